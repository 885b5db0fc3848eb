"""Bags on disk: a folder of flat arrays, written in one piece and mapped into memory.

The folder holds ``bags.json``, which says what else there is:

- ``instances.npy``, or ``csr_data.npy``, ``csr_indices.npy`` and ``csr_indptr.npy``;
- ``offsets.npy``;
- further arrays with a row for each bag or each instance, such as ``target.npy``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skmil.bags._errors import DataFileError, errors_name
from skmil.bags._npy import blocks_of, declared_npy, open_npy, write_npy

HEADER = "bags.json"
FORMAT = "skmil bags"
VERSION = 1
_CSR_PARTS = ("csr_data", "csr_indices", "csr_indptr")
#: What each kind of instance matrix is stored as.
_PARTS = {"dense": ("instances",), "csr_matrix": _CSR_PARTS, "csr_array": _CSR_PARTS}
_RESERVED = {"bags", "feature_names", "instances", "offsets", *_CSR_PARTS}
#: The header is read as a whole; nearly all of it is the names of features.
_MOST_HEADER_BYTES = 2**24
#: Arrays whose shape their name tells: one value a bag, or one an instance.
_OF_BAGS = ("bag_ids", "target")
_OF_INSTANCES = ("instance_ids", "instance_labels")


class Part(NamedTuple):
    """An array to be written: what it will be, and its blocks of rows."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[NDArray[Any]]


class Header(NamedTuple):
    """What ``bags.json`` says."""

    kind: str
    dtype: str
    n_bags: int
    n_instances: int
    n_features: int
    feature_names: list[str] | None
    arrays: list[str]


def save_bags(
    folder: str | os.PathLike[str],
    instances: Any,
    offsets: NDArray[np.int64],
    feature_names: NDArray[Any] | None,
    arrays: Mapping[str, ArrayLike | None],
    overwrite: bool,
) -> None:
    """Write bags and further arrays; see `Bags.save`."""
    if instances.dtype.kind not in "biuf":
        raise TypeError(f"Bags of numbers can be saved, not of dtype {instances.dtype}.")
    kind = _kind_of_csr(instances) if sp.issparse(instances) else "dense"
    header = Header(
        kind=kind,
        dtype=instances.dtype.newbyteorder("=").str,
        n_bags=len(offsets) - 1,
        n_instances=int(instances.shape[0]),
        n_features=int(instances.shape[1]),
        feature_names=None if feature_names is None else list(feature_names),
        arrays=[],
    )
    parts = dict(_instance_parts(instances))
    parts["offsets"] = _part(offsets)
    further = {name: _plain(name, array) for name, array in arrays.items() if array is not None}
    write_parts(folder, header, parts, {k: _part(array) for k, array in further.items()}, overwrite)


def write_parts(
    folder: str | os.PathLike[str],
    header: Header,
    parts: Mapping[str, Part],
    further: Mapping[str, Part],
    overwrite: bool,
) -> None:
    """Write the arrays of bags, which may come block by block, and their header.

    Raises
    ------
    FileExistsError
        If the folder exists, unless it is to be overwritten and holds saved bags.
    ValueError
        If a further array has neither a row for each bag nor one for each instance.
    """
    header = header._replace(arrays=sorted(further))
    for name, part in further.items():
        _check_further(name, part.shape, part.dtype, header)
    text = _dump(header)
    with new_folder(Path(folder), overwrite) as temporary:
        for name, part in {**parts, **further}.items():
            write_npy(temporary / f"{name}.npy", *part)
        with (temporary / HEADER).open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def load_bags(
    folder: str | os.PathLike[str], mmap_mode: Literal["r", "c"] | None
) -> tuple[Any, NDArray[np.int64], list[str] | None]:
    """Return instances, offsets and feature names; see `Bags.load`."""
    _check_mode(mmap_mode)
    return _load_instances(Path(folder), _read_header(Path(folder)), mmap_mode)


def load_saved(
    folder: str | os.PathLike[str], mmap_mode: Literal["r", "c"] | None
) -> tuple[tuple[Any, NDArray[np.int64], list[str] | None], dict[str, NDArray[Any]]]:
    """Return what `load_bags` does and all further arrays.

    Arrays with a row for each instance are mapped into memory like the instances themselves,
    others are read.
    """
    _check_mode(mmap_mode)
    folder = Path(folder)
    header = _read_header(folder)
    bags = _load_instances(folder, header, mmap_mode)
    arrays = {}
    for name in header.arrays:
        path = folder / f"{name}.npy"
        with errors_name(path):
            shape, dtype = _declared(path)
            _check_further(name, shape, dtype, header)
            is_large = shape[0] == header.n_instances != header.n_bags and name != "folds"
            arrays[name] = open_npy(path, mmap_mode if is_large else None)
    return bags, arrays


def is_saved(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds saved bags."""
    return (Path(folder) / HEADER).is_file()


@contextlib.contextmanager
def new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder, which takes the name of `folder` once all went well.

    After an error nothing of it is left. A folder that is there already is replaced only if
    that is wanted and it holds saved bags, or nothing.
    """
    refuse_existing(folder, overwrite)
    folder = folder.absolute()
    if not folder.parent.exists():
        raise FileNotFoundError(f"{folder.parent} does not exist. Create it first.")
    token = uuid.uuid4().hex[:12]
    temporary = folder.with_name(f".{folder.name}.{token}.part")
    temporary.mkdir()
    try:
        yield temporary
        _sync(temporary)
        refuse_existing(folder, overwrite)
        _put_in_place(temporary, folder, folder.with_name(f".{folder.name}.{token}.old"))
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(folder.parent)


def refuse_existing(folder: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise an error if a folder cannot be created, as something else bears its name."""
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise FileExistsError(f"{folder} exists. Choose another folder, or set overwrite=True.")
    is_other = folder.is_symlink() or not folder.is_dir()
    if is_other or any(p.name != HEADER and p.suffix != ".npy" for p in folder.iterdir()):
        raise FileExistsError(
            f"{folder} is not, or not only, a folder of saved bags and is not overwritten. "
            "Choose another one."
        )


def _put_in_place(temporary: Path, folder: Path, aside: Path) -> None:
    """Rename a folder; one that is there makes way and is then deleted, or comes back."""
    if not os.path.lexists(folder):
        temporary.rename(folder)
        return
    folder.rename(aside)
    try:
        temporary.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _kind_of_csr(matrix: Any) -> str:
    return "csr_array" if isinstance(matrix, sp.sparray) else "csr_matrix"


def _part(array: Any) -> Part:
    return Part(array.shape, array.dtype.newbyteorder("="), blocks_of(array))


def _instance_parts(instances: Any) -> Iterator[tuple[str, Part]]:
    if not sp.issparse(instances):
        yield "instances", _part(instances)
        return
    narrow = max(instances.nnz, *instances.shape) <= np.iinfo(np.int32).max
    index = np.dtype(np.int32 if narrow else np.int64)
    n_entries = int(instances.indptr[-1])  # there may be room for more
    yield "csr_data", _part(instances.data[:n_entries])
    yield "csr_indices", _part(instances.indices[:n_entries])._replace(dtype=index)
    yield "csr_indptr", _part(instances.indptr)._replace(dtype=index)


def _plain(name: str, array: ArrayLike) -> NDArray[Any]:
    """Return an array of numbers or strings, as which alone it can be stored."""
    if name == "y":
        raise ValueError("The labels of bags are saved under the name target: target=y.")
    if not name.isidentifier() or name in _RESERVED:
        raise ValueError(f"An array cannot be saved under the name {name!r}.")
    plain = np.asarray(array)
    if plain.dtype == object and all(isinstance(value, str) for value in plain.flat):
        plain = plain.astype(str)
    if plain.dtype.kind not in "biufUS":
        raise TypeError(
            f"{name} must hold numbers or strings to be saved, got an array of {plain.dtype}."
        )
    return plain if plain.dtype.itemsize else plain.astype("U1")


def _check_further(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], header: Header) -> None:
    n_bags, n_instances = header.n_bags, header.n_instances
    if name in _OF_BAGS and shape != (n_bags,):
        raise ValueError(f"{name} needs a value for each bag, shape ({n_bags},), got {shape}.")
    if name in _OF_INSTANCES and shape != (n_instances,):
        raise ValueError(
            f"{name} needs a value for each instance, shape ({n_instances},), got {shape}."
        )
    if name == "folds":
        if len(shape) != 2 or shape[0] == 0 or shape[1] != n_bags or dtype.kind not in "iu":
            raise ValueError(
                f"folds needs integers of shape (n_repeats, {n_bags}), got {dtype} of {shape}."
            )
    elif not shape or shape[0] not in (n_bags, n_instances):
        raise ValueError(
            f"{name} needs a row for each of the {n_bags} bags or the {n_instances} instances, "
            f"got shape {shape}."
        )


def _dump(header: Header) -> bytes:
    names = header.feature_names
    for name in names or []:
        if not isinstance(name, str):
            raise TypeError(f"Names of features must be strings to be saved, got {name!r}.")
    content = {"format": FORMAT, "version": VERSION, **header._asdict()}
    text = json.dumps(content, indent=1).encode()
    if len(text) > _MOST_HEADER_BYTES:
        raise ValueError(f"The names of the features need {len(text)} bytes, which is too many.")
    return text


def _read_header(folder: Path) -> Header:
    path = folder / HEADER
    if folder.is_dir() and not path.exists():
        raise DataFileError(
            folder,
            f"it holds no saved bags, for there is no {HEADER}. "
            "skmil.datasets.read_bags reads folders of other kinds.",
        )
    if path.exists() and not path.is_file():
        raise DataFileError(path, "it is no ordinary file.")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST_HEADER_BYTES:
            raise DataFileError(path, f"it is larger than {_MOST_HEADER_BYTES} bytes.")
        text = file.read()
    with errors_name(path, caught=(RecursionError,)):
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"it does not say that its format is {FORMAT!r}.")
        if content.get("version") != VERSION:
            raise ValueError(
                f"version {content.get('version')!r} of the format is unknown; this version of "
                f"skmil reads version {VERSION}."
            )
        missing = [field for field in Header._fields if field not in content]
        if missing:
            raise ValueError(f"it does not say {missing[0]!r}.")
        header = Header(**{field: content[field] for field in Header._fields})
        _check_header(header)
    return header


def _check_header(header: Header) -> None:
    if not (isinstance(header.kind, str) and header.kind in _PARTS):
        raise ValueError(f"'kind' must be one of {', '.join(_PARTS)}, got {header.kind!r}.")
    for field in ("n_bags", "n_instances", "n_features"):
        n = getattr(header, field)
        if type(n) is not int or not 0 <= n <= np.iinfo(np.int64).max:
            raise ValueError(f"{field!r} must be a number from 0, got {n!r}.")
    names = header.feature_names
    if names is not None and not _is_strings(names):
        raise ValueError("'feature_names' must be null or a list of strings.")
    if names is not None and len(names) != header.n_features:
        raise ValueError(f"there are {len(names)} names for {header.n_features} features.")
    if not _is_strings(header.arrays) or len(set(header.arrays)) < len(header.arrays):
        raise ValueError("'arrays' must be a list of different names.")
    for name in header.arrays:
        if not name.isidentifier() or name in _RESERVED:  # nothing outside the folder
            raise ValueError(f"{name!r} is no name of a further array.")


def _is_strings(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _load_instances(
    folder: Path, header: Header, mmap_mode: Literal["r", "c"] | None
) -> tuple[Any, NDArray[np.int64], list[str] | None]:
    loaded = {}
    for name in (*_PARTS[header.kind], "offsets"):
        path = folder / f"{name}.npy"
        with errors_name(path):
            _check_part(name, *_declared(path), header)
            loaded[name] = open_npy(path, None if name == "offsets" else mmap_mode)
    offsets = loaded.pop("offsets").astype(np.int64, copy=False)
    with errors_name(folder / "offsets.npy"):
        _check_rise(offsets, header.n_instances, "offsets")
    if header.kind == "dense":
        return loaded["instances"], offsets, header.feature_names
    return _csr(folder, header, *loaded.values()), offsets, header.feature_names


def _declared(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if not path.is_file():
        raise ValueError(f"there is no such file, although {HEADER} tells of it.")
    return declared_npy(path)


def _check_part(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], header: Header) -> None:
    expected: dict[str, tuple[int, ...]] = {
        "instances": (header.n_instances, header.n_features),
        "offsets": (header.n_bags + 1,),
        "csr_indptr": (header.n_instances + 1,),
    }
    if name in expected and shape != expected[name]:
        raise ValueError(f"the shape must be {expected[name]} by {HEADER}, but is {shape}.")
    if len(shape) != 1 and name not in expected:
        raise ValueError(f"the array must be 1-D, but its shape is {shape}.")
    if name in ("instances", "csr_data"):
        if dtype.str != header.dtype or dtype.kind not in "biuf":
            raise ValueError(
                f"the type must be {header.dtype!r} by {HEADER}, but is {dtype.str!r}."
            )
    elif dtype.kind not in "iu":
        raise ValueError(f"the array must hold integers, but holds {dtype}.")


def _check_rise(offsets: NDArray[Any], last: int, what: str) -> None:
    if offsets[0] != 0 or offsets[-1] != last:
        raise ValueError(f"{what} must rise from 0 to {last}, got {offsets[0]} to {offsets[-1]}.")
    falls = np.flatnonzero(offsets[1:] < offsets[:-1])
    if len(falls):
        raise ValueError(f"{what} must rise, but fall after position {falls[0]}.")


def _csr(
    folder: Path, header: Header, data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any]
) -> Any:
    """Return the sparse matrix of these parts; a wrong index would crash what computes with it."""
    with errors_name(folder / "csr_indptr.npy"):
        _check_rise(indptr, len(indices), "row pointers")
    with errors_name(folder / "csr_indices.npy"):
        if len(indices) != len(data):
            raise ValueError(f"there are {len(indices)} columns for {len(data)} values.")
        if len(indices) and not 0 <= indices.min() <= indices.max() < header.n_features:
            raise ValueError(
                f"columns must be from 0 to {header.n_features - 1}, got {indices.min()} to "
                f"{indices.max()}."
            )
        matrix = getattr(sp, header.kind)(
            (data, indices, indptr), shape=(header.n_instances, header.n_features)
        )
        matrix.check_format(full_check=True)
    return matrix


def _check_mode(mmap_mode: str | None) -> None:
    if mmap_mode not in ("r", "c", None):
        raise ValueError(
            f"mmap_mode must be 'r' (read only), 'c' (changes stay in memory) or None (read into "
            f"memory), got {mmap_mode!r}."
        )
