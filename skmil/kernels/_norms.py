"""Norms of bags in the feature space of a kernel, and the division by them."""

import numpy as np

from skmil.kernels._sums import instance_self_kernels

__all__ = ["divide", "norms"]

#: A squared norm below this share of what it would be without cancellation counts as zero.
_VANISHED = 1e-12
#: So many rows are divided at a time, to hold no second matrix.
_ROWS = 256


def norms(kernel, bags, sums):
    """Return the norm of each bag, the root of its kernel with itself.

    Parameters
    ----------
    kernel : InstanceKernel
        The kernel.
    bags : WeightedBags
        The bags.
    sums : ndarray of shape (n_bags,)
        The sum of each bag with itself.

    Returns
    -------
    norms : ndarray of float64 of shape (n_bags,)
        The norms; infinite for a bag whose sum vanishes, so that what is divided by it
        becomes 0.

    Raises
    ------
    ValueError
        If the kernel of a bag with itself is negative or not finite.
    """
    _check_finite(sums)
    lengths = np.sqrt(np.abs(instance_self_kernels(kernel, bags.bags.instances)))
    least = _VANISHED * bags.sum_by_bag(lengths) ** 2
    if (sums < -least).any():
        i = int(np.flatnonzero(sums < -least)[0])
        raise ValueError(
            f"The kernel of bag {i} with itself is {sums[i]:.3g}, so the kernel between "
            "instances is not positive semi-definite. Choose another kernel or, for "
            "kernel='poly', coef0 >= 0; or normalization='average', which needs no root."
        )
    present = sums > least
    return np.sqrt(sums, where=present, out=np.full(len(sums), np.inf))


def divide(gram, left, right):
    """Divide the kernel of each pair of bags by the product of their norms.

    Parameters
    ----------
    gram : ndarray of shape (n_left, n_right)
        The kernels, changed in place.
    left : ndarray of shape (n_left,)
        Norms of the bags of the rows.
    right : ndarray of shape (n_right,)
        Norms of the bags of the columns.

    Returns
    -------
    gram : ndarray of shape (n_left, n_right)
        The same matrix.

    Raises
    ------
    ValueError
        If a kernel is not finite.
    """
    _check_finite(gram)
    for start in range(0, len(left), _ROWS):
        rows = slice(start, start + _ROWS)
        gram[rows] /= np.outer(left[rows], right)  # at once, so that a symmetric matrix stays so
    return gram


def _check_finite(values):
    if not np.isfinite(values).all():
        raise ValueError(
            "The kernel of some bags is too large for float64. Scale the features, or decrease "
            "degree or power."
        )
