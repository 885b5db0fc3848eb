"""Every bag against every bag, without the matrix of every instance against every instance."""

import numpy as np

__all__ = ["reduce_pairs"]

#: Rows and columns of the largest block of instances against instances: 4 MB of float64, which
#: mostly stay in the cache of a processor while one operation after the other goes over them.
_BLOCK_ROWS, _BLOCK_COLUMNS = 512, 1024
#: So many bags are compared with a block of rows at a time: 16 MB of float64.
_BLOCK_BAGS = 4096


def reduce_pairs(left, right, compare, inner, outer):
    """Reduce what `compare` says of pairs of instances to one value per pair of bags.

    For bags A of `left` and B of `right` this is `outer` over the instances a of A of
    `inner` over the instances b of B of ``compare(a, b)``. With ``np.add`` twice it is a
    double sum, with ``np.minimum`` twice the distance of the closest instances, with
    ``np.minimum`` inside ``np.maximum`` the directed Hausdorff distance.

    Parameters
    ----------
    left, right : Bags
        The bags.
    compare : callable
        Maps two slices, of the rows of ``left.instances`` and of ``right.instances``, to an
        array with a row for each of the first and a column for each of the second.
    inner, outer : ufunc
        Associative and commutative, such as ``np.add``, ``np.minimum`` or ``np.maximum``.

    Returns
    -------
    values : ndarray of float64 of shape (left.n_bags, right.n_bags)
        One value per pair of bags.
    """
    values = np.empty((left.n_bags, right.n_bags))
    for some in _slices(0, right.n_bags, _BLOCK_BAGS):
        offsets = right.offsets[some.start : some.stop + 1]
        for rows in _slices(0, left.n_instances, _BLOCK_ROWS):
            of_rows = np.empty((rows.stop - rows.start, len(offsets) - 1))
            for columns in _slices(offsets[0], offsets[-1], _BLOCK_COLUMNS):
                block = compare(rows, columns)
                _merge(of_rows.T, inner, block.T, offsets, columns)
            _merge(values[:, some], outer, of_rows, left.offsets, rows)
    return values


def _merge(values, ufunc, rows, offsets, chosen):
    """Reduce the chosen rows bag by bag into `values`, which has a row for each bag.

    The first of the bags may have begun before the chosen rows, and the last may go on
    after them.
    """
    first = np.searchsorted(offsets, chosen.start, side="right") - 1
    stop = np.searchsorted(offsets, chosen.stop, side="left")
    if stop - first == len(rows):  # a row for each bag
        reduced = rows
    else:
        starts = np.maximum(offsets[first:stop] - chosen.start, 0)
        reduced = ufunc.reduceat(rows, starts, axis=0)
    begun = values[first].copy() if offsets[first] < chosen.start else None
    values[first:stop] = reduced
    if begun is not None:
        values[first] = ufunc(begun, values[first])


def _slices(start, stop, size):
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]
