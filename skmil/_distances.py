"""Squared distances between instances: as fast as a matrix product, as precise as a loop."""

import numpy as np
import scipy.sparse as sp

__all__ = ["centre_of", "squared_distances", "squared_norms"]

#: A squared distance below this share of the squared norms is computed from the difference.
_CANCELLED = 1e-5
#: So many numbers of the differences are held at a time: 8 MB of float64.
_CHUNK = 2**20


def centre_of(instances):
    """Return a point amid the instances; zero for sparse ones, for they are not shifted.

    It is the median of at most a thousand of them: any point will do, as long as it does not
    follow a single outlier away from all others.
    """
    if sp.issparse(instances):
        return 0.0
    step = -(-len(instances) // 1000)
    return np.median(instances[::step].astype(np.float64), axis=0)


def squared_distances(left, right, centre):
    """Return a function that computes blocks of squared Euclidean distances.

    A block comes from ``|a|^2 - 2 a b + |b|^2``, the fast way. For close instances this
    subtracts large numbers from one another, and few digits of the result are right.
    Such pairs are computed again from the difference ``a - b``. So equal instances have the
    distance zero, and the others about ten digits, however large their norms are.

    Parameters
    ----------
    left, right : ndarray or CSR matrix of shape (n_instances, n_features)
        The instances. If one is sparse, both are used as sparse.
    centre : ndarray of shape (n_features,) or float
        Subtracted from dense instances first. This moves no distance, and leaves less to
        cancel.

    Returns
    -------
    compare : callable
        Maps two slices, of the rows of `left` and of `right`, to an ndarray of float64 with
        a row for each of the first and a column for each of the second.
    """
    if sp.issparse(left) or sp.issparse(right):
        return _compare_sparse(
            sp.csr_array(left, dtype=np.float64), sp.csr_array(right, dtype=np.float64)
        )
    return _compare_dense(left, right, centre)


def squared_norms(rows):
    """Return the squared Euclidean norm of each row, summed in float64.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    squares : ndarray of float64 of shape (n_rows,)
        One value per row.
    """
    if sp.issparse(rows):
        rows = rows.astype(np.float64, copy=False)
        return np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64)


def _compare_dense(left, right, centre):
    def compare(rows, columns):
        a, b = left[rows], right[columns]
        shifted_a, shifted_b = _subtract(a, centre), _subtract(b, centre)
        block, cancelled = _expand(
            shifted_a @ (-2.0 * shifted_b).T, squared_norms(shifted_a), squared_norms(shifted_b)
        )
        for i, j in _in_chunks(cancelled, width=a.shape[1]):
            block[i, j] = squared_norms(_subtract(a[i], b[j]))
        return block

    return compare


def _compare_sparse(left, right):
    width = 2 + (left.nnz + right.nnz) // (left.shape[0] + right.shape[0])

    def compare(rows, columns):
        a, b = left[rows], right[columns]
        # Only the products are dense: one number for each pair of the block.
        block, cancelled = _expand((a @ (-2.0 * b).T).toarray(), squared_norms(a), squared_norms(b))
        for i, j in _in_chunks(cancelled, width):
            block[i, j] = squared_norms(a[i] - b[j])
        return block

    return compare


def _expand(products, norms_left, norms_right):
    """Return the expanded squared distances, and row and column of those that cancelled.

    `products` are those of the rows times -2.
    """
    sums = norms_left[:, np.newaxis] + norms_right
    products += sums
    sums *= _CANCELLED
    cancelled = products < sums
    # To look for positions takes many times as long as to see that there are none.
    return products, np.nonzero(cancelled) if cancelled.any() else ((), ())


def _in_chunks(pairs, width):
    size = max(1, _CHUNK // width)
    for start in range(0, len(pairs[0]), size):
        yield tuple(index[start : start + size] for index in pairs)


def _subtract(left, right):
    """Return the difference in float64, and row by row, so that it is rounded the same."""
    return np.subtract(left, right, dtype=np.float64, order="C")
