"""Instance matrices as solvers and kernels want them."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp

__all__ = ["as_rows", "choose_gamma", "number_rows", "scale_gamma"]


def as_rows(rows):
    """Return rows as scikit-learn's solvers take them all.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    rows : ndarray or CSR array of float64 of shape (n_rows, n_features)
        The same rows; the argument itself, or its memory, where nothing had to change. In C
        order if dense, since products round differently in another, and with 32-bit indices
        if sparse.
    """
    if not sp.issparse(rows):
        return np.ascontiguousarray(rows, dtype=np.float64)
    parts = (
        rows.data.astype(np.float64, copy=False),
        rows.indices.astype(np.int32, copy=False),
        rows.indptr.astype(np.int32, copy=False),
    )
    return sp.csr_array(parts, shape=rows.shape)


def choose_gamma(gamma, rows):
    """Return the coefficient of a kernel as a number.

    Parameters
    ----------
    gamma : {"scale", "auto"} or float
        "auto" means ``1 / n_features``; for "scale" see :func:`scale_gamma`.
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Instances.

    Returns
    -------
    gamma : float
        The coefficient.
    """
    if gamma == "scale":
        return scale_gamma(rows)
    return 1.0 / rows.shape[1] if gamma == "auto" else float(gamma)


def scale_gamma(rows, weight=None):
    """Return ``1 / (n_features * variance)``, scikit-learn's ``gamma="scale"``, with weights.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Instances. A sparse matrix stores each value once.
    weight : ndarray of float of shape (n_rows,), default=None
        One weight per row; a row of weight two counts like two rows. None for equal weights.

    Returns
    -------
    gamma : float
        The coefficient; 1.0 if all values are equal but for rounding.
    """
    n_rows, n_features = rows.shape
    weight = np.ones(n_rows) if weight is None else weight
    total = weight.sum() * n_features
    sums = np.asarray(rows.sum(axis=1, dtype=np.float64)).reshape(-1)  # a matrix may sum to one
    mean = weight @ sums / total
    values = rows.data if sp.issparse(rows) else rows
    squares = np.subtract(values, mean, dtype=np.float64) ** 2
    if sp.issparse(rows):
        n_stored = np.diff(rows.indptr)
        spread = np.repeat(weight, n_stored) @ squares
        spread += weight @ (n_features - n_stored) * mean**2
    else:
        spread = weight @ squares.sum(axis=1)
    is_constant = spread <= total * (1e-14 * mean) ** 2
    return 1.0 if is_constant else float(total / (n_features * spread))


def number_rows(rows):
    """Number the distinct rows, in an order that depends on their values only.

    It is the order of their bytes, which has no meaning, but is the same for dense and for
    sparse rows. What stops at a tolerance, or amplifies rounding, gives the same numbers if it
    takes the rows in this order, however they were ordered and repeated before.

    Parameters
    ----------
    rows : ndarray or CSR matrix of float64 of shape (n_rows, n_features)
        Rows, in C order if dense. A sparse matrix stores each value once, in the order of
        the features.

    Returns
    -------
    first : ndarray of int of shape (n_distinct,)
        Where the first row with each number is.
    ids : ndarray of int of shape (n_rows,)
        The number of each row.
    """
    keys = np.empty(rows.shape[0], dtype=object)
    keys[:] = _sparse_keys(rows) if sp.issparse(rows) else _dense_keys(rows)
    _, first, ids = np.unique(keys, return_index=True, return_inverse=True)
    return first, ids


def _sparse_keys(rows):
    """Return the bytes of the features that are not zero, and of their values."""
    table = sp.csr_array(rows)
    if (table.data == 0).any():  # stored zeros, and zeros with a minus sign
        table = table.copy()
        table.eliminate_zeros()
    indices = table.indices.astype(np.int64, copy=False)
    return [
        indices[start:stop].tobytes() + table.data[start:stop].tobytes()
        for start, stop in pairwise(table.indptr.tolist())
    ]


def _dense_keys(rows):
    """Return what :func:`_sparse_keys` does, without a sparse copy of the rows."""
    present = rows != 0
    every = np.arange(rows.shape[1], dtype=np.int64).tobytes()
    return [
        every + row.tobytes() if full else np.flatnonzero(kept).tobytes() + row[kept].tobytes()
        for row, kept, full in zip(rows, present, present.all(axis=1), strict=True)
    ]
