"""One weighted support vector machine on instances, fitted in a reproducible way."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from sklearn.svm import SVC

__all__ = ["dense_blocks", "fit_svc", "merge_equal_rows"]

#: Values in a block of :func:`dense_blocks`: 16 MB of float64.
_BLOCK_SIZE = 2**21


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


def dense_blocks(rows):
    """Yield the rows of a sparse matrix as dense blocks of limited size, one after the other.

    Parameters
    ----------
    rows : CSR matrix of shape (n_rows, n_features)
        Instances.

    Yields
    ------
    block : ndarray of shape (n_block_rows, n_features)
        The next rows.
    """
    n_rows, n_features = rows.shape
    step = max(1, _BLOCK_SIZE // n_features)
    for start in range(0, n_rows, step):
        yield rows[start : start + step].toarray()


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
