"""The model of diverse density, and the likelihood of bag labels under it.

An instance x is positive with probability ``exp(-d)``, where d is its squared distance
``sum_k (s_k (x_k - t_k))**2`` from the target t in the scales s. A bag is positive with the
probability of its nearest instance.
"""

import numpy as np
import scipy.sparse as sp

__all__ = [
    "label_losses",
    "log_odds",
    "nearest_instances",
    "objective",
    "scaled_distances",
]

#: Below it, the loss of a negative bag goes on as a straight line. A target in the midst of
#: an instance of a negative bag would otherwise cost infinity, with no slope to leave by.
_FLOOR = 1e-10


def scaled_distances(rows, target, scales):
    """Return the squared distance of each row from the target.

    Parameters
    ----------
    rows : ndarray or CSR array of float64 of shape (n_rows, n_features)
        Instances.
    target : ndarray of shape (n_features,)
        The target.
    scales : ndarray of shape (n_features,)
        The scales.

    Returns
    -------
    distances : ndarray of shape (n_rows,)
        The squared distances, >= 0.
    """
    if not sp.issparse(rows):
        return np.square((rows - target) * scales).sum(axis=1)
    # (x - t)^2 = t^2 + x (x - 2 t), and the second term is zero where x is. Times the scales
    # before anything is squared, as the squares of x and of the scales may leave float64.
    target = target * scales
    scaled = rows.data * scales[rows.indices]
    moved = scaled * (scaled - 2 * target[rows.indices])
    moved = sp.csr_array((moved, rows.indices, rows.indptr), shape=rows.shape)
    return np.maximum(moved.sum(axis=1) + target @ target, 0.0)


def nearest_instances(distances, offsets):
    """Return the row of the nearest instance of each bag; the first if several share it.

    Parameters
    ----------
    distances : ndarray of shape (n_instances,)
        A distance for each instance.
    offsets : ndarray of int of shape (n_bags + 1,)
        Where the bags begin.

    Returns
    -------
    rows : ndarray of int of shape (n_bags,)
        Positions among all instances.
    """
    least = np.minimum.reduceat(distances, offsets[:-1])
    is_nearest = distances == np.repeat(least, np.diff(offsets))
    rows = np.where(is_nearest, np.arange(len(distances)), len(distances))
    return np.minimum.reduceat(rows, offsets[:-1])


def label_losses(distances, is_positive):
    """Return the negative log-likelihood of each label, and its derivative by the distance.

    It is d for a positive and ``-log(1 - exp(-d))`` for a negative bag.

    Parameters
    ----------
    distances : ndarray of shape (..., n_bags)
        Squared distance of the nearest instance of each bag.
    is_positive : ndarray of bool of shape (n_bags,)
        The labels.

    Returns
    -------
    losses, slopes : ndarray of shape (..., n_bags)
        The negative log-likelihoods and their derivatives.
    """
    capped = np.maximum(distances, _FLOOR)
    present, absent = np.exp(-capped), -np.expm1(-capped)  # probabilities of the labels
    slopes = -present / absent
    losses = -np.where(present < 0.5, np.log1p(-present), np.log(absent))
    losses += slopes * (distances - capped)
    return np.where(is_positive, distances, losses), np.where(is_positive, 1.0, slopes)


def log_odds(distances):
    """Return ``log(p / (1 - p))`` for the probability ``p = exp(-d)``.

    Parameters
    ----------
    distances : ndarray
        Squared distances d.

    Returns
    -------
    log_odds : ndarray
        Finite, above zero where d is less than log 2, and strictly falling in d.
    """
    losses, _ = label_losses(distances, np.zeros(np.shape(distances)[-1], dtype=bool))
    return losses - distances


def objective(parameters, rows, squares, is_positive, weight):
    """Return the negative log-likelihood of labels of rows, and its gradient.

    Parameters
    ----------
    parameters : ndarray of shape (2 * n_features,)
        The target, then the scales.
    rows : ndarray or CSR array of shape (n_rows, n_features)
        One instance of each bag.
    squares : ndarray or CSR array of shape (n_rows, n_features)
        The squares of `rows`.
    is_positive : ndarray of bool of shape (n_rows,)
        The labels.
    weight : ndarray of shape (n_rows,)
        Weights of the bags.

    Returns
    -------
    value : float
        The weighted sum of the negative log-likelihoods.
    gradient : ndarray of shape (2 * n_features,)
        Its derivatives by the parameters.
    """
    target, scales = np.split(parameters, 2)
    # Products with the rows and their squares instead of the differences from the target:
    # a fraction of the time, and the same for sparse rows.
    distances = expanded_distances(rows, squares, target, scales)
    losses, slopes = label_losses(distances, is_positive)
    pull = weight * slopes
    of_rows, of_squares, total = pull @ rows, pull @ squares, pull.sum()
    by_target = 2 * scales**2 * (total * target - of_rows)
    by_scales = 2 * scales * (of_squares - 2 * target * of_rows + total * target**2)
    return weight @ losses, np.concatenate([by_target, by_scales])


def expanded_distances(rows, squares, target, scales):
    """Return :func:`scaled_distances` from products with the rows and their squares.

    Rounding may make a distance less than zero by a little.
    """
    weights = scales**2
    return squares @ weights - 2 * (rows @ (weights * target)) + weights @ target**2
