"""The two heuristics of Andrews, Tsochantaridis and Hofmann (2002), as plain functions.

Both alternate between fitting a support vector machine to instances and asking it what is
not known about the positive bags:

- MI-SVM, the *bag* formulation: which instance of each bag is its witness;
- mi-SVM, the *instance* formulation: which instances of each bag are positive.

Each heuristic is a table of rows, a start, a training problem for a given state, which chooses
rows of the table, and a new state from the scores of the instances. :func:`alternate` runs
either.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

__all__ = [
    "HEURISTICS",
    "Heuristic",
    "PositiveBags",
    "Run",
    "alternate",
    "best_instances",
    "score_bags",
]


class PositiveBags(NamedTuple):
    """Where in the table of a heuristic the positive bags are."""

    rows: np.ndarray  # (n_instances,) their instances
    offsets: np.ndarray  # (n_positive_bags + 1,) where among these the bags begin
    means: np.ndarray  # (n_positive_bags,) their means, if the table has any
    weight: np.ndarray  # (n_positive_bags,)


class Run(NamedTuple):
    """What :func:`alternate` returns."""

    model: object  # fitted to the last state
    scores: np.ndarray  # of the instances of the positive bags, under the model
    n_iter: int  # how many models were fitted
    outcome: str  # "converged", "cycle" or "max_iter"


class Heuristic(NamedTuple):
    """The steps of a heuristic."""

    table: object  # (bags) -> the rows of all bags' instances, and what else is to be fitted to
    start: object  # (positive bags) -> state
    problem: object  # (state, positive bags) -> rows of the table, labels, weights
    update: object  # (scores of the positive bags' instances, offsets) -> state


def alternate(heuristic, solver, bags, is_positive, weight, max_iter):
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
    solver : Solver
        ``fit(chosen, labels, weight)`` returns a model of chosen rows of the table,
        ``score(model, chosen)`` their scores, and ``fit_to_features`` the model to return.
    bags : Bags
        All bags.
    is_positive : ndarray of bool of shape (n_bags,)
        Which of them are positive. All instances of the others are negative.
    weight : ndarray of shape (n_bags,)
        Weights of the bags.
    max_iter : int
        Most models to fit.

    Returns
    -------
    run : Run
        The last model, the number of models and how it ended.
    """
    of_positive = is_positive[bags.bag_index]
    positive = PositiveBags(
        rows=np.flatnonzero(of_positive),
        offsets=np.concatenate([[0], np.cumsum(bags.bag_sizes[is_positive])]),
        means=bags.n_instances + np.flatnonzero(is_positive),
        weight=weight[is_positive],
    )
    fixed = np.flatnonzero(~of_positive)
    fixed_weight = weight[bags.bag_index[fixed]]

    state = heuristic.start(positive)
    seen = {state.tobytes()}
    outcome = "max_iter"
    for n_iter in range(1, max_iter + 1):  # noqa: B007, its last value is returned
        rows, labels, row_weight = heuristic.problem(state, positive)
        problem = (
            np.concatenate([rows, fixed]),
            np.concatenate([labels, np.full(len(fixed), -1)]),
            np.concatenate([row_weight, fixed_weight]),
        )
        model = solver.fit(*problem)
        scores = solver.score(model, positive.rows)
        new = heuristic.update(scores, positive.offsets)
        if np.array_equal(new, state):
            outcome = "converged"
            break
        if new.tobytes() in seen:
            outcome = "cycle"
            break
        seen.add(new.tobytes())
        state = new
    fitted = solver.fit_to_features(*problem, model)
    if fitted is not model:
        model, scores = fitted, solver.score(fitted, positive.rows)
    return Run(model, scores, n_iter, outcome)


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


def instances_and_means(bags):
    """Return the instances of all bags and, after them, the mean of each bag."""
    shares = np.repeat(1.0 / bags.bag_sizes, bags.bag_sizes)
    columns = np.arange(bags.n_instances, dtype=np.int32)
    means = sp.csr_array((shares, columns, bags.offsets.astype(np.int32))) @ bags.instances
    if sp.issparse(means):
        means.sort_indices()
        return sp.vstack([bags.instances, means], format="csr")
    return np.concatenate([bags.instances, means])


def start_from_means(positive):
    """Return the state before any witness is known: -1, or 0 where there is no choice."""
    return np.where(np.diff(positive.offsets) == 1, 0, -1)


def witness_problem(witnesses, positive):
    """Return one positive row per bag: its witness, at the start the mean of the bag."""
    is_start = (witnesses < 0).any()
    rows = positive.means if is_start else positive.rows[positive.offsets[:-1] + witnesses]
    return rows, np.ones(len(rows), dtype=int), positive.weight


def instances_alone(bags):
    """Return the instances of all bags."""
    return bags.instances


def start_all_positive(positive):
    """Return the state in which every instance of a positive bag is positive."""
    return np.ones(len(positive.rows), dtype=bool)


def imputed_problem(is_positive, positive):
    """Return all rows of the positive bags with their imputed labels."""
    weight = np.repeat(positive.weight, np.diff(positive.offsets))
    return positive.rows, np.where(is_positive, 1, -1), weight


def impute(scores, offsets):
    """Return which instances are positive: score above zero, and the best of each bag."""
    is_positive = scores > 0
    is_positive[offsets[:-1] + best_instances(scores, offsets)] = True
    return is_positive


#: The heuristics by the name of their formulation.
HEURISTICS = {
    "bag": Heuristic(instances_and_means, start_from_means, witness_problem, best_instances),
    "instance": Heuristic(instances_alone, start_all_positive, imputed_problem, impute),
}
