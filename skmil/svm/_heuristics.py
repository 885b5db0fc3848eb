"""The two heuristics of Andrews, Tsochantaridis and Hofmann (2002), as plain functions.

Both alternate between fitting a support vector machine to instances and asking it what is
not known about the positive bags:

- MI-SVM, the *bag* formulation: which instance of each bag is its witness;
- mi-SVM, the *instance* formulation: which instances of each bag are positive.

Each heuristic is a start, a training problem for a given state and a new state from the
scores of the instances. :func:`alternate` runs either.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

__all__ = ["HEURISTICS", "Heuristic", "Run", "alternate", "best_instances", "score_bags"]


class Run(NamedTuple):
    """What :func:`alternate` returns."""

    model: object  # fitted to the last state
    n_iter: int  # how many models were fitted
    outcome: str  # "converged", "cycle" or "max_iter"


class Heuristic(NamedTuple):
    """The three steps of a heuristic."""

    start: object  # (positive bags) -> state
    problem: object  # (state, positive bags, their weights) -> rows, labels, weights
    update: object  # (scores of the positive bags' instances, offsets) -> state


def alternate(heuristic, fit, positive, positive_weight, negative, negative_weight, max_iter):
    """Fit a model, let it choose the next state, and repeat until the state stays.

    Neither step raises the objective of the support vector machine: fitting minimises it
    for the given state, and the new state has, bag by bag, the least loss under the given
    model. So a state can only come back after another one where two states are equally
    good to the tolerance of the solver. The run then ends with the model at hand, which is
    as good as the others of the cycle.

    Parameters
    ----------
    heuristic : Heuristic
        The steps.
    fit : callable
        ``fit(rows, labels, weight)`` returns a model with ``decision_function(rows)``.
    positive : Bags
        The positive bags.
    positive_weight : ndarray of shape (n_positive_bags,)
        Weights of the positive bags.
    negative : Bags
        The negative bags, all of whose instances are negative.
    negative_weight : ndarray of shape (n_negative_bags,)
        Weights of the negative bags.
    max_iter : int
        Most models to fit.

    Returns
    -------
    run : Run
        The last model, the number of models and how it ended.
    """
    fixed_labels = np.full(negative.n_instances, -1)
    fixed_weight = np.repeat(negative_weight, negative.bag_sizes)
    state = heuristic.start(positive)
    seen = {state.tobytes()}
    for n_iter in range(1, max_iter + 1):
        rows, labels, weight = heuristic.problem(state, positive, positive_weight)
        model = fit(
            _stack(rows, negative.instances),
            np.concatenate([labels, fixed_labels]),
            np.concatenate([weight, fixed_weight]),
        )
        new = heuristic.update(model.decision_function(positive.instances), positive.offsets)
        if np.array_equal(new, state):
            return Run(model, n_iter, "converged")
        if new.tobytes() in seen:
            return Run(model, n_iter, "cycle")
        seen.add(new.tobytes())
        state = new
    return Run(model, max_iter, "max_iter")


def score_bags(scores, offsets):
    """Return the highest instance score of each bag.

    Parameters
    ----------
    scores : ndarray of shape (n_instances,)
        Scores of the instances.
    offsets : ndarray of int of shape (n_bags + 1,)
        Where the bags begin.

    Returns
    -------
    scores : ndarray of shape (n_bags,)
        Scores of the bags.
    """
    return np.maximum.reduceat(scores, offsets[:-1])


def best_instances(scores, offsets):
    """Return, for each bag, where in it the highest score is; the first if several share it.

    Parameters
    ----------
    scores : ndarray of shape (n_instances,)
        Scores of the instances.
    offsets : ndarray of int of shape (n_bags + 1,)
        Where the bags begin.

    Returns
    -------
    positions : ndarray of int of shape (n_bags,)
        Positions inside the bags.
    """
    is_best = scores == np.repeat(score_bags(scores, offsets), np.diff(offsets))
    rows = np.arange(len(scores))
    first = np.minimum.reduceat(np.where(is_best, rows, len(scores)), offsets[:-1])
    return first - offsets[:-1]


def start_from_means(positive):
    """Return the state before any witness is known: -1, or 0 where there is no choice."""
    return np.where(positive.bag_sizes == 1, 0, -1)


def witness_problem(witnesses, positive, weight):
    """Return one positive row per bag: its witness, at the start the mean of the bag."""
    if (witnesses < 0).any():
        rows = _bag_means(positive)
    else:
        rows = positive.instances[positive.offsets[:-1] + witnesses]
    return rows, np.ones(positive.n_bags, dtype=int), weight


def start_all_positive(positive):
    """Return the state in which every instance of a positive bag is positive."""
    return np.ones(positive.n_instances, dtype=bool)


def imputed_problem(is_positive, positive, weight):
    """Return all rows of the positive bags with their imputed labels."""
    labels = np.where(is_positive, 1, -1)
    return positive.instances, labels, np.repeat(weight, positive.bag_sizes)


def impute(scores, offsets):
    """Return which instances are positive: score above zero, and the best of each bag."""
    is_positive = scores > 0
    is_positive[offsets[:-1] + best_instances(scores, offsets)] = True
    return is_positive


#: The heuristics by the name of their formulation.
HEURISTICS = {
    "bag": Heuristic(start_from_means, witness_problem, best_instances),
    "instance": Heuristic(start_all_positive, imputed_problem, impute),
}


def _bag_means(bags):
    shares = np.repeat(1.0 / bags.bag_sizes, bags.bag_sizes)
    columns = np.arange(bags.n_instances, dtype=np.int32)
    average = sp.csr_array((shares, columns, bags.offsets.astype(np.int32)))
    return average @ bags.instances


def _stack(upper, lower):
    if sp.issparse(upper):
        return sp.vstack([upper, lower], format="csr")
    return np.concatenate([upper, lower])
