"""One weighted support vector machine on instances, fitted in a reproducible way."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from sklearn.svm import SVC

__all__ = ["as_svm_rows", "fit_svc", "merge_equal_rows", "scale_gamma"]


def as_svm_rows(rows):
    """Return rows of float64 as the solver takes them; 32-bit indices if sparse.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Instances.

    Returns
    -------
    rows : ndarray or CSR array of shape (n_rows, n_features)
        The same rows; the arguments themselves where nothing had to change.
    """
    if not sp.issparse(rows):
        return np.ascontiguousarray(rows, dtype=np.float64)
    parts = (
        rows.data.astype(np.float64, copy=False),
        rows.indices.astype(np.int32, copy=False),
        rows.indptr.astype(np.int32, copy=False),
    )
    return sp.csr_array(parts, shape=rows.shape)


def merge_equal_rows(rows, labels, weight):
    """Replace rows of equal values and label by one of them with the sum of their weights.

    For a support vector machine this changes nothing: two copies of a row with weights
    ``a`` and ``b`` cost as much as one with weight ``a + b``. It does make the numbers
    reproducible, because the order of the merged rows follows from the rows alone (from
    their bytes, an order without meaning) and the solver, which stops at a tolerance,
    depends on the order of its rows.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Instances.
    labels : ndarray of int of shape (n_rows,)
        One label per row: -1, 0 or 1.
    weight : ndarray of float of shape (n_rows,)
        One weight per row.

    Returns
    -------
    rows, labels, weight : ndarray or CSR matrix, ndarray, ndarray
        The merged rows, at most as many as came in.
    """
    keys = np.empty(rows.shape[0], dtype=object)
    keys[:] = [
        bytes([label + 1]) + key for label, key in zip(labels, _row_bytes(rows), strict=True)
    ]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], labels[first], np.bincount(group, weights=weight)


def scale_gamma(rows, weight):
    """Return ``1 / (n_features * variance)``, scikit-learn's ``gamma="scale"``, with weights.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Instances.
    weight : ndarray of float of shape (n_rows,)
        One weight per row; a row of weight two counts like two rows.

    Returns
    -------
    gamma : float
        The coefficient; 1.0 if all values are equal.
    """
    rows, _, weight = merge_equal_rows(rows, np.zeros(rows.shape[0], dtype=int), weight)
    n_features = rows.shape[1]
    total = weight.sum() * n_features
    mean = weight @ rows.sum(axis=1) / total
    if sp.issparse(rows):
        n_stored = np.diff(rows.indptr)
        squares = np.repeat(weight, n_stored) @ (rows.data - mean) ** 2
        squares += weight @ (n_features - n_stored) * mean**2
    else:
        squares = weight @ ((rows - mean) ** 2).sum(axis=1)
    return 1.0 if squares == 0 else float(total / (n_features * squares))


def fit_svc(rows, labels, weight, **params):
    """Fit a support vector classifier to rows with labels -1 and 1 and a weight each.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Instances.
    labels : ndarray of int of shape (n_rows,)
        -1 or 1, each at least once.
    weight : ndarray of float of shape (n_rows,)
        Positive factors of the penalty `C`.
    **params : dict
        Parameters of :class:`sklearn.svm.SVC`.

    Returns
    -------
    svc : SVC
        The fitted classifier.
    """
    rows, labels, weight = merge_equal_rows(rows, labels, weight)
    # The solver draws no numbers, but SVC asks for a seed; None would advance NumPy's global one.
    return SVC(random_state=0, **params).fit(rows, labels, sample_weight=weight)


def _row_bytes(rows):
    """Return bytes for each row, equal where the rows are and the same dense or sparse."""
    table = sp.csr_array(rows)
    if (table.data == 0).any():  # stored zeros
        table = table.copy()
        table.eliminate_zeros()
    indices = table.indices.astype(np.int64, copy=False)
    return [
        indices[start:stop].tobytes() + table.data[start:stop].tobytes()
        for start, stop in pairwise(table.indptr.tolist())
    ]
