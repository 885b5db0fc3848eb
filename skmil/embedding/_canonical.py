"""Rows in an order that depends on their values only."""

import numpy as np
import scipy.sparse as sp

__all__ = ["canonical_order"]


def canonical_order(rows):
    """Sort rows by their values, in an order that has no other meaning.

    What draws rows at random, such as k-means, draws them by their position. Given rows in
    this order it draws the same ones however the bags and the instances in them are
    ordered.

    Rows are sorted by their projection on a fixed random direction. Unlike an order by
    bytes, or by a hash, it hardly changes if values change by a rounding error, as happens
    when a scaler sums its training data in another order. Unlike an order by columns, it
    costs one product, also for a sparse matrix.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    order : ndarray of int of shape (n_rows,)
        Positions of the rows, sorted.
    starts : ndarray of int of shape (n_distinct,)
        Where among the sorted rows those begin that equal each other.
    """
    direction = np.random.default_rng(0).standard_normal(rows.shape[1])
    order = np.argsort(rows @ direction, kind="stable")
    ordered = rows[order]
    if sp.issparse(rows):
        steps = ordered[1:] - ordered[:-1]
        steps.eliminate_zeros()
        differs = np.diff(steps.indptr) > 0
    else:
        differs = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, np.flatnonzero(np.concatenate([[True], differs]))
