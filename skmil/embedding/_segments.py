"""Statistics of segments: consecutive rows of a dense or sparse matrix, column by column."""

import numpy as np

__all__ = ["dense_statistics", "sparse_statistics"]

#: So many values are computed with at a time, lest there be a few copies of all of them.
_MOST_VALUES = 2**20


def dense_statistics(rows, offsets, names):
    """Compute statistics of each segment of a dense matrix.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        All segments, one after the other.
    offsets : ndarray of int of shape (n_segments + 1,)
        Where the segments begin; none is empty.
    names : sequence of {"mean", "std", "min", "max", "sum"}
        The statistics to compute.

    Returns
    -------
    tables : dict of str to ndarray of float64 of shape (n_segments, n_columns)
        The statistics by name.
    """
    parts = [
        _dense_statistics(rows[offsets[i] : offsets[j]], offsets[i : j + 1] - offsets[i], names)
        for i, j in _groups(offsets, max(1, _MOST_VALUES // rows.shape[1]))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _groups(offsets, most_rows):
    """Yield first and last, exclusive, of segments that have so many rows or are one alone."""
    start = 0
    while start < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[start] + most_rows, side="right")) - 1
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def _dense_statistics(rows, offsets, names):
    starts = offsets[:-1]
    sizes = np.diff(offsets)
    tables = {}
    if not {"mean", "std", "sum"}.isdisjoint(names):
        tables["sum"] = np.add.reduceat(rows, starts, dtype=np.float64)
        tables["mean"] = tables["sum"] / sizes[:, np.newaxis]
    if "std" in names:
        # Deviations from the mean first: the mean square less the square of the mean would
        # cancel where the mean is large.
        squares = (rows - np.repeat(tables["mean"], sizes, axis=0)) ** 2
        tables["std"] = np.sqrt(np.add.reduceat(squares, starts) / sizes[:, np.newaxis])
    if "min" in names:
        tables["min"] = np.minimum.reduceat(rows, starts).astype(np.float64)
    if "max" in names:
        tables["max"] = np.maximum.reduceat(rows, starts).astype(np.float64)
    return {name: tables[name] for name in names}


def sparse_statistics(rows, offsets, names):
    """Compute statistics of each segment of a CSR matrix without making it dense.

    The values that are not stored count as the zeros they are. Where a segment stores no
    value in a column, all statistics are zero, so each table stores at most one value for
    each segment and column with a stored value.

    Parameters
    ----------
    rows : CSR matrix of shape (n_rows, n_columns)
        All segments, one after the other.
    offsets : ndarray of int of shape (n_segments + 1,)
        Where the segments begin; none is empty.
    names : sequence of {"mean", "std", "min", "max", "sum"}
        The statistics to compute.

    Returns
    -------
    tables : dict of str to CSR matrix of float64 of shape (n_segments, n_columns)
        The statistics by name, of the matrix class of `rows`.
    """
    values, starts, segments, columns = _cells(rows, offsets)
    n_stored = np.diff(starts, append=len(values))
    sizes = np.diff(offsets)[segments]

    def of_cells(ufunc, values):
        return ufunc.reduceat(values, starts) if len(starts) else np.zeros(0)

    def extreme(ufunc):
        stored = of_cells(ufunc, values)
        return np.where(n_stored < sizes, ufunc(stored, 0.0), stored)

    def std():
        stored = of_cells(np.add, (values - np.repeat(mean, n_stored)) ** 2)
        return np.sqrt(stored / sizes + (1 - n_stored / sizes) * mean**2)

    def table(cells):
        kept = cells != 0
        indptr = np.searchsorted(segments[kept], np.arange(len(offsets)))
        indptr = indptr.astype(columns.dtype, copy=False)  # else SciPy makes both 64 bits long
        shape = (len(offsets) - 1, rows.shape[1])
        return type(rows)((cells[kept], columns[kept], indptr), shape=shape)

    total = of_cells(np.add, values)
    mean = total / sizes
    compute = {
        "sum": lambda: total,
        "mean": lambda: mean,
        "std": std,
        "min": lambda: extreme(np.minimum),
        "max": lambda: extreme(np.maximum),
    }
    return {name: table(compute[name]()) for name in names}


def _cells(rows, offsets):
    """Sort the stored values of a CSR matrix by segment and column.

    Returns
    -------
    values : ndarray of float64 of shape (n_stored,)
        The sorted values.
    starts : ndarray of int of shape (n_cells,)
        Where among them each cell, a segment and a column with a stored value, begins.
    segments, columns : ndarray of int of shape (n_cells,)
        The segment and the column of each cell.
    """
    segment_of_row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    segments = np.repeat(segment_of_row, np.diff(rows.indptr))
    order = np.lexsort((rows.indices, segments))
    segments, columns = segments[order], rows.indices[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(segments) != 0) | (np.diff(columns) != 0)
    starts = np.flatnonzero(is_first)
    values = rows.data[order].astype(np.float64, copy=False)
    return values, starts, segments[starts], columns[starts]
