"""Rows that stay in files: an instance matrix that is read where it is looked at."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skmil.bags._errors import DataFileError
from skmil.bags._npy import Signature, mapped_npy, open_npy, signature_of
from skmil.bags._ranges import Integers, cut_ranges, join_ranges, rows_in, runs_of

#: Rows that so few bytes separate are read in one go: to open a file again costs more.
_GAP_BYTES = 2**20
#: Reads are not joined to larger ones than about this.
_JOINED_BYTES = 2**24


class RowSource(Protocol):
    """Where rows come from, such as one file.

    A source can be pickled, and read from several threads at a time.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values as they are stored."""

    @property
    def is_constant(self) -> bool:
        """Whether `read` never returns other values than before, but raises an error."""

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Return the rows ``first:last``, as they are stored; they may be a read-only view."""


class StoredRows:
    """A matrix of rows that lie in files, of which nothing is in memory.

    It is what `Bags` on the disk hold for their instances: sources of rows, and which ranges of
    their rows make up the matrix. Choosing rows by :meth:`select` only chooses ranges. Indexing
    reads: a slice, an array of integers or a mask of rows gives an ndarray, read in as few and as
    large pieces as possible. As with NumPy, an array of integers gives a new array, while the
    result of a slice may be a view that cannot be changed.

    Parameters
    ----------
    sources : sequence of memmap or RowSource
        One or more sources of equal width. Their rows, one source after the other, are those of
        the matrix.
    dtype : dtype, default=None
        The type to which values are converted when they are read. None for that of the sources.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of columns.
    dtype : dtype
        The type of the values that are returned.

    Raises
    ------
    ValueError
        If there is no source, or their widths differ.

    Notes
    -----
    Files are pickled by their names, and so is a map of a whole file that :meth:`Bags.load` made:
    unpickling, or the first read, fails if a file is gone or has changed. Any other map is
    pickled by its values, but joblib sends it to its workers as the name of its file.
    """

    ndim = 2

    def __init__(
        self, sources: Sequence[RowSource | np.memmap[Any, Any]], *, dtype: DTypeLike | None = None
    ) -> None:
        if len(sources) == 0:
            raise ValueError("StoredRows needs at least one source of rows.")
        self._sources = [MappedRows(s) if isinstance(s, np.memmap) else s for s in sources]
        n_columns = self._sources[0].shape[1]
        for i, source in enumerate(self._sources):
            if source.shape[1] != n_columns:
                raise ValueError(
                    f"Source {i} has {source.shape[1]} columns, but source 0 has {n_columns}."
                )
        n_rows = [source.shape[0] for source in self._sources]
        # Numbers the rows of all sources. The matrix is ranges of these numbers.
        self._source_offsets = np.cumsum([0, *n_rows], dtype=np.int64)
        stored = {source.dtype for source in self._sources}
        common = stored.pop() if len(stored) == 1 else np.result_type(*stored)
        self.dtype: np.dtype[Any] = common if dtype is None else np.dtype(dtype)
        self._n_columns = n_columns
        self._is_finite = np.zeros(len(sources), dtype=bool)  # shared by all selections
        self._set_ranges(np.array([0]), self._source_offsets[-1:])

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return int(self._offsets[-1]), self._n_columns

    @property
    def nbytes(self) -> int:
        """How many bytes the rows would take in memory."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            return self._read(np.array([start]), np.array([stop - start]))
        if isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_)):
            return cast("NDArray[Any]", self[np.array([key])][0])
        rows = _positions(key, len(self))
        block = self._read(*runs_of(rows))
        return block if block.flags.owndata else block.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        if copy is False:
            raise ValueError("Rows that are stored in files cannot be an array without a copy.")
        rows = self[:]
        if copy and not rows.flags.owndata:
            rows = rows.copy()
        return rows if dtype is None else rows.astype(dtype, copy=False)

    def __repr__(self) -> str:
        n = len(self._sources)
        return (
            f"StoredRows({self.shape[0]} rows, {self.shape[1]} columns, {self.dtype}, "
            f"{n} {'source' if n == 1 else 'sources'})"
        )

    def select(self, starts: Integers, sizes: Integers) -> StoredRows:
        """Choose ranges of rows without reading any.

        Parameters
        ----------
        starts : ndarray of int of shape (n_ranges,)
            The first row of each range.
        sizes : ndarray of int of shape (n_ranges,)
            How many rows each has.

        Returns
        -------
        rows : StoredRows
            The rows of the ranges, range after range.
        """
        chosen = self._twin()
        chosen._set_ranges(*self._in_sources(starts, sizes))
        return chosen

    def astype(self, dtype: DTypeLike) -> StoredRows:
        """Return the same rows, to be converted to another type when they are read.

        Parameters
        ----------
        dtype : dtype
            The type.

        Returns
        -------
        rows : StoredRows
            The rows.
        """
        converted = self._twin()
        converted.dtype = np.dtype(dtype)
        converted._is_finite = np.zeros_like(self._is_finite)  # it may not reach as far
        return converted

    def unchecked(self) -> StoredRows:
        """Return the rows of which it is not known that they are finite."""
        sources, starts, sizes = self._pieces(self._starts, np.diff(self._offsets))
        is_open = ~self._is_finite[sources]
        rest = self._twin()
        rest._set_ranges(*join_ranges(starts[is_open], sizes[is_open]))
        return rest

    def remember_finite(self) -> None:
        """Note that all rows are finite, for the sources that lie in them as a whole."""
        sources, _, sizes = self._pieces(self._starts, np.diff(self._offsets))
        for source in sources[sizes == np.diff(self._source_offsets)[sources]]:
            self._is_finite[source] = self._sources[source].is_constant

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the sources of which no row was chosen."""
        sources, starts, sizes = self._pieces(self._starts, np.diff(self._offsets))
        used, sources_now = np.unique(sources, return_inverse=True)
        n_rows = np.diff(self._source_offsets)[used]
        before, now = self._source_offsets[used], np.cumsum([0, *n_rows], dtype=np.int64)
        rest = self._twin()
        rest._sources = [self._sources[i] for i in used]
        rest._is_finite = self._is_finite[used]
        rest._source_offsets = now
        rest._set_ranges(*join_ranges(starts - (before - now[:-1])[sources_now], sizes))
        return rest.__dict__

    def _twin(self) -> StoredRows:
        twin = object.__new__(StoredRows)
        twin.__dict__.update(self.__dict__)
        return twin

    def _set_ranges(self, starts: Integers, sizes: Integers) -> None:
        self._starts = starts
        self._offsets = np.cumsum([0, *sizes], dtype=np.int64)

    def _in_sources(self, starts: Integers, sizes: Integers) -> tuple[Integers, Integers]:
        """Return where ranges of this matrix lie among the rows of all sources."""
        ranges, starts, sizes = cut_ranges(starts, sizes, self._offsets)
        return join_ranges(self._starts[ranges] + starts - self._offsets[ranges], sizes)

    def _pieces(self, starts: Integers, sizes: Integers) -> tuple[Integers, Integers, Integers]:
        """Cut ranges of the rows of all sources into those of one source each."""
        return cut_ranges(starts, sizes, self._source_offsets)

    def _read(self, starts: Integers, sizes: Integers) -> NDArray[Any]:
        starts, sizes = self._in_sources(starts, sizes)
        only = self._sources[0]
        if len(starts) > 1 and len(self._sources) == 1 and isinstance(only, MappedRows):
            return self._convert(np.asarray(only.array)[rows_in(starts, sizes)])
        sources, starts, sizes = self._pieces(starts, sizes)
        if len(sources) == 1:
            return self._read_block(sources[0], starts[0], starts[0] + sizes[0])
        places = np.cumsum(sizes) - sizes
        rows = np.empty((int(sizes.sum()), self._n_columns), self.dtype)
        for group in self._joined(sources, starts, starts + sizes):
            first, last = starts[group[0]], (starts + sizes)[group].max()
            block = self._read_block(sources[group[0]], first, last)
            if len(group) == 1:
                rows[places[group[0]] : places[group[0]] + len(block)] = block
            else:
                wanted = block[rows_in(starts[group] - first, sizes[group])]
                rows[rows_in(places[group], sizes[group])] = wanted
        return rows

    def _joined(
        self, sources: Integers, starts: Integers, stops: Integers
    ) -> Iterator[NDArray[np.intp]]:
        """Yield the numbers of pieces that are read together, sorted by where they start."""
        if len(sources) == 0:
            return
        row_bytes = max(1, self._n_columns * self.dtype.itemsize)
        order = np.argsort(starts, kind="stable")
        sources, starts = sources[order], starts[order]
        reached = np.maximum.accumulate(stops[order])
        cells = starts // max(1, _JOINED_BYTES // row_bytes)
        is_new = np.diff(sources) | np.diff(cells) != 0
        is_new |= starts[1:] - reached[:-1] > _GAP_BYTES // row_bytes
        yield from np.split(order, np.flatnonzero(is_new) + 1)

    def _read_block(self, source: int, first: int, last: int) -> NDArray[Any]:
        before = self._source_offsets[source]
        return self._convert(self._sources[source].read(int(first - before), int(last - before)))

    def _convert(self, stored: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, so refused
            # Row after row, on which rounding can depend.
            return np.asarray(stored).astype(self.dtype, order="C", copy=False)


class MappedRows:
    """The rows of a matrix that is mapped into memory.

    Parameters
    ----------
    array : memmap of shape (n_rows, n_columns)
        The matrix.
    """

    is_constant = False  # nothing tells when the file is written to

    def __init__(self, array: np.memmap[Any, Any]) -> None:
        self.array = array
        self.shape = (int(array.shape[0]), int(array.shape[1]))
        self.dtype: np.dtype[Any] = array.dtype

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Return rows as a view."""
        return self.array[first:last]

    def __reduce__(self) -> tuple[Any, ...]:
        """Name the file, if it is known to be still the one that is mapped."""
        file = mapped_npy(self.array)
        return (MappedRows, (self.array,)) if file is None else (_map_again, file)


def refuse_changed(path: str | os.PathLike[str], signature: Signature) -> None:
    """Raise an error if a file is no longer what it was when its rows were declared.

    Raises
    ------
    DataFileError
        If the file has changed, or is gone.
    """
    try:
        is_same = signature_of(path) == signature
    except FileNotFoundError as error:
        raise DataFileError(
            path, "it is gone, but bags that were opened need it. Open them again."
        ) from error
    if not is_same:
        raise DataFileError(path, "it has changed since the bags were opened. Open them again.")


def is_stored(instances: Any) -> bool:
    """Return whether dense instances stay in files and are read when they are looked at.

    Parameters
    ----------
    instances : ndarray, CSR matrix or StoredRows
        The instances of bags.

    Returns
    -------
    stored : bool
        True for `StoredRows` and for an ``np.memmap`` of a file: rows should be taken out of them
        in batches, by slices or arrays of integers.
    """
    if isinstance(instances, StoredRows):
        return True
    return isinstance(instances, np.memmap) and is_mapped(instances)


def release(instances: Any) -> None:
    """Let go of the pages that were read of instances in a read-only map.

    What has been read of a map counts as memory of the process until the system needs it. Who
    goes through instances once calls this on the way; the values remain there to be read again.
    Nothing is done for any other instances.

    Parameters
    ----------
    instances : ndarray, CSR matrix or StoredRows
        The instances of bags.
    """
    arrays = [instances]
    if isinstance(instances, StoredRows):
        arrays = [s.array for s in instances._sources if isinstance(s, MappedRows)]
    for array in arrays:
        # Of a map that may be written to, this would undo what was written.
        if isinstance(array, np.memmap) and array.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
            map_of_file = getattr(array, "_mmap", None)
            if map_of_file is not None:
                map_of_file.madvise(mmap.MADV_DONTNEED)


def is_mapped(array: Any) -> bool:
    """Return whether an array shows a part of a file; a copy of a memmap may not."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def _map_again(path: Path, signature: Signature) -> MappedRows:
    refuse_changed(path, signature)
    return MappedRows(cast("np.memmap[Any, Any]", open_npy(path, "r")))


def _positions(key: Any, n_rows: int) -> Integers:
    """Return the positions of the rows that a slice, a mask or integers name."""
    if isinstance(key, slice):
        return np.arange(*key.indices(n_rows))
    if isinstance(key, tuple):
        raise IndexError("Stored rows have one axis to index. Choose columns of what is read.")
    rows = np.asarray(key)
    if rows.ndim != 1:
        raise IndexError(
            f"Stored rows are indexed by a slice, a mask or integers, 1-D, got {rows.ndim} axes."
        )
    if rows.dtype == bool:
        if len(rows) != n_rows:
            raise IndexError(f"A mask of {n_rows} rows is needed, got one of {len(rows)}.")
        return np.flatnonzero(rows)
    if len(rows) == 0:
        return np.empty(0, dtype=np.int64)
    if rows.dtype.kind not in "iu":
        raise IndexError(f"Rows are chosen by integers or a mask, got {rows.dtype}.")
    if rows.min() < -n_rows or rows.max() >= n_rows:
        raise IndexError(f"Rows from {rows.min()} to {rows.max()} of {n_rows} were asked for.")
    rows = rows.astype(np.int64, copy=False)
    return np.where(rows < 0, rows + n_rows, rows)
