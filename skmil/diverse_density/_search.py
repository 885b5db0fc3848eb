"""EM-DD: the search for a target, as plain functions."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize

from skmil._pairs import reduce_pairs
from skmil.bags import Bags
from skmil.diverse_density._likelihood import (
    expanded_distances,
    label_losses,
    nearest_instances,
    objective,
)

#: A feature whose scale times spread is less than this part of the largest is left out.
_NEGLIGIBLE = 1e-3

#: Starts are compared so many at a time, each with every bag.
_BLOCK_STARTS = 256

__all__ = ["Problem", "Run", "Units", "choose_starts", "measure", "prepare", "search"]


class Units(NamedTuple):
    """Where zero is and how long one is, in the coordinates that the search works in."""

    origin: object  # (n_features,), or 0.0 for sparse instances, which must stay sparse
    length: float
    spread: np.ndarray  # (n_features,), standard deviations in this length
    initial_scale: float  # 1 / sqrt(sum of the variances of the features)


class Problem(NamedTuple):
    """Bags to tell apart, in the coordinates of the search."""

    rows: object  # (n_instances, n_features), ndarray or CSR array
    squares: object  # the squares of the rows
    offsets: np.ndarray  # (n_bags + 1,)
    is_positive: np.ndarray  # (n_bags,)
    weight: np.ndarray  # (n_bags,), sums to 1
    spread: np.ndarray  # (n_features,), zero for constant features


class Run(NamedTuple):
    """What :func:`search` returns."""

    target: np.ndarray  # (n_features,)
    scales: np.ndarray  # (n_features,)
    loss: float  # negative log-likelihood of the bags, a weighted mean
    n_iter: int
    converged: bool


def measure(rows):
    """Return the coordinates in which the features have mean zero and mean variance one.

    Constant features count for nothing. One length for all features keeps their ratios,
    which are the caller's choice.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (n_instances, n_features)
        Instances.

    Returns
    -------
    units : Units
        The coordinates.

    Raises
    ------
    ValueError
        If the variances are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        mean, variances = _mean_and_variances(rows)
        total = variances.sum()
    if not np.isfinite(total):
        raise ValueError(
            "The features are too large: their variances leave float64. Scale them, for example "
            "divide them by their largest absolute value."
        )
    # The mean of equal values may differ from them by rounding.
    variances[variances <= np.square(1e-12 * mean)] = 0.0
    total = variances.sum()
    origin = 0.0 if sp.issparse(rows) else mean
    if total == 0:
        return Units(origin, 1.0, variances, 1.0)
    length = float(np.sqrt(total / np.count_nonzero(variances)))
    return Units(origin, length, np.sqrt(variances) / length, float(total**-0.5))


def _mean_and_variances(rows):
    """Return the mean and the variance of each feature."""
    mean = rows.sum(axis=0) / rows.shape[0]
    if sp.issparse(rows):
        n_zero = rows.shape[0] - np.bincount(rows.indices, minlength=rows.shape[1])
        squares = np.square(rows.data - mean[rows.indices])
        sums = np.bincount(rows.indices, weights=squares, minlength=rows.shape[1])
        variances = (sums + n_zero * mean**2) / rows.shape[0]
    else:
        variances = np.square(rows - mean).mean(axis=0)
    return mean, variances


def prepare(bags, units, is_positive, weight):
    """Return the problem in the given coordinates.

    Parameters
    ----------
    bags : Bags
        Bags of float64.
    units : Units
        The coordinates.
    is_positive : ndarray of bool of shape (n_bags,)
        The labels.
    weight : ndarray of shape (n_bags,)
        Weights of the bags, not all zero.

    Returns
    -------
    problem : Problem
        The problem, with weights that sum to one: the stopping rules then mean the same for
        any unit of weight.
    """
    if sp.issparse(bags.instances):
        rows = bags.instances / units.length
        squares = rows.copy()
        squares.data **= 2
    else:
        rows = (bags.instances - units.origin) / units.length
        squares = rows**2
    weight = weight / weight.sum()
    return Problem(rows, squares, bags.offsets, is_positive, weight, units.spread)


def choose_starts(problem, ids, scale, n_starts):
    """Return the instances of positive bags from which to search, the most promising first.

    An instance is the more promising the higher its diverse density is, that is the
    likelihood of all labels with the target in its place and all scales equal. But many
    instances close to each other lead to the same target. So the best of each positive bag
    come first, then the second best of each, and so on.

    Parameters
    ----------
    problem : Problem
        The bags.
    ids : ndarray of int of shape (n_instances,)
        Equal for equal instances, of which one is enough.
    scale : float
        The scale of all features.
    n_starts : int or None
        Number of instances; None for all.

    Returns
    -------
    starts : ndarray of int of shape (<= n_starts,)
        Rows of ``problem.rows``.
    """
    bags = np.repeat(np.arange(len(problem.is_positive)), np.diff(problem.offsets))
    candidates = np.flatnonzero(problem.is_positive[bags])
    losses = _losses_at(problem, candidates, scale)

    bags = bags[candidates]
    order = np.lexsort((losses, bags))
    candidates, bags, losses = candidates[order], bags[order], losses[order]
    rank_in_bag = np.arange(len(bags)) - np.searchsorted(bags, bags)
    candidates = candidates[np.lexsort((losses, rank_in_bag))]
    _, first = np.unique(ids[candidates], return_index=True)
    return candidates[np.sort(first)][:n_starts]


def search(problem, start, scale, *, max_iter, max_step_iter, tol):
    """Alternate between choosing an instance of each bag and fitting the model to them.

    The E-step chooses the instance of each bag that is nearest to the target. The M-step
    fits target and scales to the chosen instances. It lowers the loss for them, but a
    negative bag may have another instance that has come nearer, so the loss of the bags may
    rise. The search ends where it does, or where it hardly falls, with the best target so
    far.

    Parameters
    ----------
    problem : Problem
        The bags.
    start : int
        The row of ``problem.rows`` that is the first target.
    scale : float
        The first scale of all features that are not constant.
    max_iter : int
        Most iterations.
    max_step_iter : int
        Most iterations of the quasi-Newton method in one M-step.
    tol : float
        The least fall of the loss that is worth another iteration.

    Returns
    -------
    run : Run
        The result, in the coordinates of the problem.
    """
    scales = np.where(problem.spread > 0, scale, 0.0)
    parameters = np.concatenate([_dense_row(problem.rows, start), scales])
    chosen, loss = _expect(problem, parameters)
    for n_iter in range(1, max_iter + 1):  # noqa: B007, its last value is returned
        found = _maximise(problem, chosen, parameters, max_step_iter)
        found_chosen, found_loss = _expect(problem, found)
        fall = loss - found_loss
        if fall > 0:
            parameters, chosen, loss = found, found_chosen, found_loss
        if not fall > tol:
            break
    target, scales = np.split(parameters, 2)
    return Run(target, np.abs(scales), float(loss), n_iter, not fall > tol)


def _expect(problem, parameters):
    """Return the nearest instance of each bag, and the loss of the bags."""
    distances = expanded_distances(problem.rows, problem.squares, *np.split(parameters, 2))
    chosen = nearest_instances(distances, problem.offsets)
    losses, _ = label_losses(distances[chosen], problem.is_positive)
    return chosen, problem.weight @ losses


def _maximise(problem, chosen, parameters, max_step_iter):
    """Return the target and the scales fitted to the chosen instances.

    Where a scale comes close to zero, rounding alone decides where the target ends up in
    that feature. The next M-step would start from there, should the scale rise again. A
    scale of exactly zero stays zero, as the slopes of both are then zero.
    """
    result = minimize(
        objective,
        parameters,
        args=(problem.rows[chosen], problem.squares[chosen], problem.is_positive, problem.weight),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_step_iter,
            "maxfun": 10 * max_step_iter,
            "ftol": 1e-12,
            "gtol": 1e-7,
        },
    )
    target, scales = np.split(result.x, 2)
    effects = np.abs(scales) * problem.spread
    scales = np.where(effects < _NEGLIGIBLE * effects.max(), 0.0, scales)
    return np.concatenate([target, scales])


def _losses_at(problem, candidates, scale):
    """Return the loss of the bags with the target at each of the candidates.

    Some candidates at a time, since there may be many times the memory's worth of pairs of a
    candidate and a bag.
    """
    bags = Bags(problem.rows, problem.offsets)
    norms = problem.squares.sum(axis=1)
    parts = np.split(candidates, range(_BLOCK_STARTS, len(candidates), _BLOCK_STARTS))
    losses = []
    for part in parts:
        distances = scale**2 * _distances_to_bags(bags, norms, part)
        losses.append(label_losses(distances, problem.is_positive)[0] @ problem.weight)
    return np.concatenate(losses)


def _distances_to_bags(bags, norms, candidates):
    """Return the squared distance of each candidate from the nearest instance of each bag."""
    left, right = bags.instances[candidates], bags.instances
    left_norms = norms[candidates]

    def compare(i, j):
        products = left[i] @ right[j].T
        if sp.issparse(products):
            products = products.toarray()
        return left_norms[i, np.newaxis] + norms[j] - 2 * products

    one_each = Bags(left, np.arange(len(candidates) + 1))
    return np.maximum(reduce_pairs(one_each, bags, compare, np.minimum, np.minimum), 0.0)


def _dense_row(rows, i):
    if not sp.issparse(rows):
        return rows[i]
    row = np.zeros(rows.shape[1])
    stored = slice(rows.indptr[i], rows.indptr[i + 1])
    row[rows.indices[stored]] = rows.data[stored]
    return row
