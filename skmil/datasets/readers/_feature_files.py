"""Files with one bag each: the instances and, where there are any, their positions."""

import math
import os
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skmil.bags._errors import DataFileError, errors_name
from skmil.bags._npy import Signature, blocks_of, declared_npy, open_npy, signature_of
from skmil.bags._stored import refuse_changed
from skmil.bags._tables import first_non_finite
from skmil.datasets.readers._hdf5 import (
    find_dataset,
    names_in,
    open_hdf5,
    read_dataset,
    read_dataset_rows,
    spell,
)
from skmil.datasets.readers._npz import ARCHIVE_DAMAGE, declared_member, read_member

#: Suffixes of the files that are read.
SUFFIXES = (".h5", ".hdf5", ".npy", ".npz")
#: How programs that compute features of the parts of slides name the array.
FEATURE_KEYS = ("features", "feats", "embeddings")
#: Larger chunks of an HDF5 file are not read, and decompressed, again for each part of them.
_LARGE_CHUNK_BYTES = 2**22


class Declared(NamedTuple):
    """What a file declares: the arrays to read, their shape and types.

    `signature` tells whether the file has changed since then; `in_parts`, whether some of the
    instances can be read without reading them all.
    """

    path: Path
    signature: Signature
    key: str | None
    n_instances: int
    n_features: int
    dtype: np.dtype
    in_parts: bool
    positions_key: str | None = None
    positions_dtype: np.dtype | None = None


class _Single:
    """The array in an ``.npy`` file, which has no name."""

    names = (None,)

    def __init__(self, path):
        self.path = path

    def declared(self, key):
        return declared_npy(self.path)

    def in_parts(self, key):
        return True

    def read(self, key):
        return open_npy(self.path, "r")

    def read_rows(self, key, shape, dtype, first, last):
        array = open_npy(self.path, "r")
        return np.array(array.reshape(array.shape[-2:])[first:last])


class _Archive:
    """The arrays in an ``.npz`` file."""

    def __init__(self, archive, n_file_bytes):
        self.archive = archive
        self.n_file_bytes = n_file_bytes
        members = archive.namelist()
        self.names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]

    def declared(self, key):
        return declared_member(self.archive, f"{key}.npy", self.n_file_bytes)

    def in_parts(self, key):
        return False

    def read(self, key):
        return read_member(self.archive, f"{key}.npy", self.n_file_bytes)


class _Hdf5:
    """The datasets in an HDF5 file."""

    def __init__(self, file, path):
        self.file = file
        self.path = path

    @property
    def names(self):
        return names_in(self.file)

    def declared(self, key):
        dataset = find_dataset(self.file, self.path, key)
        return dataset.shape, dataset.dtype

    def in_parts(self, key):
        dataset = self.file[key]
        chunk = dataset.chunks or ()
        return math.prod(chunk) * dataset.dtype.itemsize <= _LARGE_CHUNK_BYTES

    def read(self, key):
        return read_dataset(find_dataset(self.file, self.path, key), self.path)

    def read_rows(self, key, shape, dtype, first, last):
        return read_dataset_rows(self.file[key], self.path, shape, dtype, first, last)


@contextmanager
def _open(path):
    """Open the file of a bag; whatever is wrong with it becomes a `DataFileError`."""
    if not path.is_file():
        raise DataFileError(path, "it is no ordinary file.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        with errors_name(path):
            yield _Single(path)
    elif suffix == ".npz":
        with (
            path.open("rb") as file,
            errors_name(path, caught=ARCHIVE_DAMAGE),
            zipfile.ZipFile(file) as archive,
        ):
            yield _Archive(archive, os.fstat(file.fileno()).st_size)
    else:
        with open_hdf5(path) as file:
            yield _Hdf5(file, path)


def declared_by(path, key, positions_key):
    """Return what the file of a bag declares, without reading any value.

    Parameters
    ----------
    path : Path
        The file.
    key : str or None
        The array with the instances; None to find it.
    positions_key : str or None
        The array with the positions, if there is one of this name.

    Returns
    -------
    declared : Declared
        Names, shape and types of the arrays.
    """
    signature = signature_of(path)
    with _open(path) as file:
        key = _find_key(file.names, key)
        shape, dtype = file.declared(key)
        n_instances, n_features = _table_shape(shape, dtype, key or "array")
        if n_instances == 0 or n_features == 0:
            raise ValueError(f"the bag is empty: its shape is {shape}. Leave the file out.")
        in_parts = file.in_parts(key)
        declared = Declared(path, signature, key, n_instances, n_features, dtype, in_parts)
        if not _has(file.names, positions_key):
            return declared
        shape, positions_dtype = file.declared(positions_key)
        if _table_shape(shape, positions_dtype, positions_key) != (n_instances, 2):
            raise ValueError(
                f"{positions_key!r} must have the shape ({n_instances}, 2), got {shape}. With "
                "positions_key=None it is not read."
            )
        return declared._replace(positions_key=positions_key, positions_dtype=positions_dtype)


def read_blocks(declared, of_positions, dtype):
    """Read the instances of a bag, or their positions, in blocks of rows.

    Parameters
    ----------
    declared : Declared
        What `declared_by` returned.
    of_positions : bool
        Whether to read the positions rather than the features.
    dtype : dtype
        The type to return.

    Yields
    ------
    block : ndarray of shape (n_rows, n_columns)
        The next rows, all finite.
    """
    key = declared.positions_key if of_positions else declared.key
    shape = (declared.n_instances, 2 if of_positions else declared.n_features)
    with _open(declared.path) as file:
        values = file.read(key)
        if values.shape not in (shape, (1, *shape)):
            raise ValueError("it has changed while it was read.")
    with errors_name(declared.path, None if key is None else f"array {key!r}"):
        start = 0
        for stored in blocks_of(values.reshape(shape)):
            with np.errstate(over="ignore"):  # what is too large becomes infinite, so refused
                block = stored.astype(dtype, copy=False)
            _refuse_non_finite(block, start)
            start += len(block)
            yield block


def read_rows(declared, first, last):
    """Read some of the instances of a bag, whose file must be as it was when it was declared.

    Parameters
    ----------
    declared : Declared
        What `declared_by` returned.
    first, last : int
        The rows to read, `last` excluded.

    Returns
    -------
    rows : ndarray of shape (last - first, n_features)
        The rows as they are stored.
    """
    refuse_changed(declared.path, declared.signature)  # so what was checked still holds
    shape = (declared.n_instances, declared.n_features)
    with _open(declared.path) as file:
        if declared.in_parts:
            rows = file.read_rows(declared.key, shape, declared.dtype, first, last)
        else:
            rows = file.read(declared.key).reshape(shape)[first:last]
        if rows.shape != (last - first, declared.n_features):
            raise ValueError("it has changed while it was read.")
    return rows


def _has(names, key):
    """Return whether a file has an array; one in a group of an HDF5 file is looked for later."""
    return key is not None and tuple(names) != (None,) and (key in names or "/" in key)


def _find_key(names, key):
    if key is not None and tuple(names) != (None,):
        if not _has(names, key):
            raise ValueError(f"there is no array {key!r}; {spell(list(names))}.")
        return key
    for known in FEATURE_KEYS:
        if known in names:
            return known
    if len(names) == 1 and not str(names[0]).endswith("/"):
        return names[0]
    raise ValueError(f"which array holds the instances? Name it with key; {spell(list(names))}.")


def _table_shape(shape, dtype, name):
    """Return rows and columns of a table, which may stand under an axis of length one."""
    if dtype.kind not in "biuf":
        raise ValueError(f"{name!r} must hold numbers, but holds {dtype}.")
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2:
        raise ValueError(
            f"{name!r} must have the shape (n_instances, n_features), with or without an axis of "
            f"length 1 before it, but has {shape}."
        )
    return shape


def _refuse_non_finite(block, start):
    found = first_non_finite(block)
    if found is not None:
        row, column, kind = found
        raise ValueError(
            f"there is {kind} in row {start + row}, column {column}. Fill it in or drop the row."
        )
