"""Ranges of rows, given as two arrays: where each starts and how many rows it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def runs_of(rows: Integers) -> tuple[Integers, Integers]:
    """Return the ranges of rows that follow each other, in the order of the rows."""
    return join_ranges(rows, np.ones(len(rows), dtype=np.int64))


def rows_in(starts: Integers, sizes: Integers) -> Integers:
    """Return all rows of the ranges, range after range."""
    before = np.cumsum(sizes) - sizes
    rows: Integers = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
    return rows


def join_ranges(starts: Integers, sizes: Integers) -> tuple[Integers, Integers]:
    """Make one range of those of which each starts where the one before it ends."""
    if len(starts) == 0:
        return starts, sizes
    is_first = np.concatenate([[True], starts[1:] != (starts + sizes)[:-1]])
    first = np.flatnonzero(is_first)
    return starts[first], np.add.reduceat(sizes, first)


def cut_ranges(
    starts: Integers, sizes: Integers, offsets: Integers
) -> tuple[Integers, Integers, Integers]:
    """Cut ranges wherever a part begins that `offsets` tells of; empty ranges go.

    Parameters
    ----------
    starts, sizes : ndarray of int of shape (n_ranges,)
        Ranges of rows from ``offsets[0]`` to ``offsets[-1]``.
    offsets : ndarray of int of shape (n_parts + 1,)
        Part ``k`` is the rows ``offsets[k]:offsets[k + 1]``.

    Returns
    -------
    parts : ndarray of int of shape (n_pieces,)
        The part in which each piece lies.
    starts, sizes : ndarray of int of shape (n_pieces,)
        The pieces, range after range.
    """
    starts, sizes = starts[sizes > 0], sizes[sizes > 0]
    stops = starts + sizes
    first = np.searchsorted(offsets, starts, side="right") - 1
    last = np.searchsorted(offsets, stops, side="left") - 1
    n_pieces = last - first + 1
    parts = rows_in(first, n_pieces)
    low = np.maximum(np.repeat(starts, n_pieces), offsets[parts])
    high = np.minimum(np.repeat(stops, n_pieces), offsets[parts + 1])
    filled = high > low  # a part without rows may lie between two others
    return parts[filled], low[filled], (high - low)[filled]


def take_rows(offsets: Integers, indices: NDArray[np.intp]) -> tuple[Integers, Integers]:
    """Return the rows of the chosen bags, bag after bag, and the offsets among these rows."""
    starts = offsets[:-1][indices]
    sizes = offsets[1:][indices] - starts
    taken = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64, copy=False)
    return rows_in(starts, sizes), taken
