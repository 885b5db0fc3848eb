"""Single arrays in NumPy's own format: read after a check of sizes, written in blocks."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

#: For each version, in how many bytes the size of the header is written, and what reads it.
_HEADER_READERS = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}
#: NumPy refuses longer headers, but not before it has read them.
_LONGEST_HEADER = 10_000
#: What parsing a damaged header raises, besides ValueError; MemoryError is that of a parser that
#: runs out of stack, for the header itself is short.
_HEADER_DAMAGE = (
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TokenError,
    Warning,
)
#: How much of a large array is in memory at a time while it is written or checked.
_BLOCK_BYTES = 2**22
#: The largest length of an axis.
_LONGEST = np.iinfo(np.int64).max
#: The largest number that is a character.
_LAST_CHARACTER = 0x10FFFF
#: Under this name a mapped array keeps the signature of its file.
_SIGNATURE = "_skmil_signature"

Signature = tuple[int, int]


def check_npy(file: BinaryIO, n_bytes: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Check that a file holds exactly the array that its header declares.

    Parameters
    ----------
    file : binary file
        The content in the format of :func:`numpy.save`, read from its current position.
    n_bytes : int
        How many bytes the content has, header included.

    Returns
    -------
    shape : tuple of int
        The shape of the array.
    dtype : dtype
        Its type, never one of objects.
    header_size : int
        Where in the content the values begin.

    Raises
    ------
    ValueError
        If the header is damaged, the array holds objects, or its size does not fit.
    """
    start = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"format version {version} is unknown")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an odd header, which warns whenever it is parsed
            shape, _, dtype = _read_header(file, *_HEADER_READERS[version])
    except _HEADER_DAMAGE as error:
        raise ValueError(f"the header of the array is damaged ({error})") from error
    if dtype.hasobject:
        raise ValueError("the array holds objects, which are never loaded")
    header_size = file.tell() - start
    if any(type(length) is not int or not 0 <= length <= _LONGEST for length in shape):
        raise ValueError(f"{shape} is no shape of an array")
    declared = math.prod(shape) * dtype.itemsize
    if declared != n_bytes - header_size:
        raise ValueError(
            f"an array of shape {shape} and type {dtype} needs {declared} bytes, "
            f"but there are {n_bytes - header_size}"
        )
    return shape, dtype, header_size


def _read_header(
    file: BinaryIO, n_bytes: int, read: Any
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    size = file.read(n_bytes)
    text = file.read(min(int.from_bytes(size, "little"), _LONGEST_HEADER))
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(io.BytesIO(size + text))
    return header


def declared_npy(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array in a file, which has exactly that size.

    Raises
    ------
    ValueError
        If the file does not hold one array of numbers or strings.
    OSError
        If the file cannot be opened.
    """
    with path.open("rb") as file:
        shape, dtype, _ = check_npy(file, os.fstat(file.fileno()).st_size)
    if dtype.kind not in "biufUS" or dtype.itemsize == 0 or dtype.subdtype is not None:
        raise ValueError(f"the array must hold numbers or strings, not {dtype}")
    if shape == ():
        raise ValueError("the array is a single value")
    return shape, dtype


def open_npy(path: Path, mmap_mode: Literal["r", "c"] | None) -> NDArray[Any]:
    """Return the array in a file, by default mapped into memory rather than read.

    Raises
    ------
    ValueError
        If the file does not hold one array of numbers or strings.
    OSError
        If the file cannot be opened.
    """
    signature = signature_of(path)
    declared_npy(path)
    array: NDArray[Any] = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    check_characters(array)
    if mmap_mode == "r":
        vars(array)[_SIGNATURE] = signature  # of this array alone: no slice or copy has it
    return array


def mapped_npy(array: NDArray[Any]) -> tuple[Path, Signature] | None:
    """Return the file, and its signature, if an array is that file as `open_npy` mapped it.

    None if it is any other array, or the file has changed meanwhile.
    """
    signature: Signature | None = getattr(array, _SIGNATURE, None)
    if not isinstance(array, np.memmap) or array.filename is None or signature is None:
        return None
    path = Path(array.filename)
    try:
        return (path, signature) if signature_of(path) == signature else None
    except OSError:
        return None


def signature_of(path: str | os.PathLike[str]) -> Signature:
    """Return what shows that a file has changed: its size and the time of its last change."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def check_characters(array: NDArray[Any]) -> None:
    """Refuse strings with numbers that are no characters, an error wherever they are looked at."""
    if array.dtype.kind != "U" or array.dtype.itemsize == 0:
        return
    for block in blocks_of(array.reshape(-1)):
        codes = np.ascontiguousarray(block).view(block.dtype.str[0] + "u4")
        if codes.size and codes.max() > _LAST_CHARACTER:
            raise ValueError("the array holds strings of numbers that are no characters")


def write_npy(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[NDArray[Any]]
) -> None:
    """Write an array, given in blocks of rows, so that it is never in memory as a whole.

    Parameters
    ----------
    path : Path
        The file to write.
    shape : tuple of int
        The shape of the whole array.
    dtype : dtype
        The type to write; blocks of another type are converted.
    blocks : iterable of ndarray
        The array, cut along the first axis.

    Raises
    ------
    ValueError
        If the blocks do not add up to the shape.
    """
    n_rows = 0
    with path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            values = np.ascontiguousarray(block, dtype=dtype)
            file.write(values.reshape(-1).view(np.uint8).data)
            n_rows += len(block)
        file.flush()
        os.fsync(file.fileno())
    if n_rows != shape[0]:
        raise ValueError(f"{path.name} was to get {shape[0]} rows, but got {n_rows}.")


def blocks_of(array: Any) -> Iterator[NDArray[Any]]:
    """Cut an array along its first axis into blocks of bounded size.

    Those of an array are views; stored rows are read block by block.
    """
    row_bytes = max(1, math.prod(array.shape[1:]) * array.dtype.itemsize)
    n_rows = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, len(array), n_rows):
        yield array[start : start + n_rows]
