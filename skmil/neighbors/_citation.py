"""Which training bags a query refers to, and which cite it, where bags count several times.

A bag of weight w counts as w copies of it, and equal distances share places: if two places are
left for three bags at the same distance, each bag has two thirds of a place. So the results do
not depend on the order of the bags, and a bag of weight two is the same as two such bags.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["Neighbourhoods", "citer_shares", "join", "neighbourhoods", "reference_shares"]

#: Distances that differ by this share or less count as equal: rounding must not rank bags.
_TIE = 1e-9


class Neighbourhoods(NamedTuple):
    """The other training bags around each training bag, nearest first.

    Parameters
    ----------
    distances : ndarray of shape (n_bags, n_kept)
        Distances to the nearest other bags, ascending.
    weights : ndarray of shape (n_bags, n_kept + 1)
        Total weight of the first 0, 1, ... of these bags.
    """

    distances: np.ndarray
    weights: np.ndarray


def reference_shares(distances, bag_weight, n_references):
    """Return how much of each training bag is among the references of each query.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_bags)
        Distances from the queries to the training bags.
    bag_weight : ndarray of shape (n_bags,)
        Weights of the training bags, > 0.
    n_references : int
        The number of nearest bags that are references.

    Returns
    -------
    shares : ndarray of shape (n_queries, n_bags)
        One for a reference, zero for a bag farther away, and in between for bags at the same
        distance that share the last places.
    """
    order = np.argsort(distances, axis=1)
    nearest = np.take_along_axis(distances, order, axis=1)
    weights = bag_weight[order]
    reached = np.cumsum(weights, axis=1)

    is_first = np.ones(nearest.shape, dtype=bool)  # of the bags at its distance
    is_first[:, 1:] = np.diff(nearest, axis=1) > _TIE * nearest[:, 1:]
    is_last = np.ones(nearest.shape, dtype=bool)
    is_last[:, :-1] = is_first[:, 1:]
    nearer = np.maximum.accumulate(np.where(is_first, reached - weights, 0.0), axis=1)
    up_to = np.where(is_last, reached, np.inf)
    up_to = np.minimum.accumulate(up_to[:, ::-1], axis=1)[:, ::-1]

    shares = np.empty(distances.shape)
    np.put_along_axis(shares, order, _places(n_references - nearer, up_to - nearer), axis=1)
    return shares


def neighbourhoods(distances, bag_weight, n_citers, start=0):
    """Return the neighbours of training bags, as far as these may cite a query.

    Parameters
    ----------
    distances : ndarray of shape (n_some, n_bags)
        Distances from some of the training bags, which follow one another, to all.
    bag_weight : ndarray of shape (n_bags,)
        Weights of the training bags, > 0.
    n_citers : int
        How many neighbours a bag cites.
    start : int, default=0
        The number of the first of the bags.

    Returns
    -------
    neighbours : Neighbourhoods
        The nearest others of each bag.
    """
    n_some, n_bags = distances.shape
    own = np.arange(n_some)
    n_nearest = min(n_citers + 2, n_bags)
    while True:
        order = np.argpartition(distances, n_nearest - 1, axis=1)[:, :n_nearest]
        nearest = np.take_along_axis(distances, order, axis=1)
        by_distance = np.argsort(nearest, axis=1)
        order = np.take_along_axis(order, by_distance, axis=1)
        nearest = np.take_along_axis(nearest, by_distance, axis=1)
        # To one of w copies, the others are neighbours, at the distance of the bag from itself.
        is_own = order == own[:, np.newaxis] + start
        weights = np.where(is_own, np.maximum(bag_weight[order] - 1.0, 0.0), bag_weight[order])
        reached = np.cumsum(weights, axis=1)

        # A query behind bags that fill the places is not cited, whatever else comes before it.
        radius = np.where(reached >= n_citers, nearest, np.inf).min(axis=1, keepdims=True)
        matters = nearest <= radius * (1.0 + 4.0 * _TIE)
        if n_nearest == n_bags or not matters[:, -1].any():
            break
        n_nearest = min(4 * n_nearest, n_bags)  # light bags, or many at the same distance
    n_kept = np.count_nonzero(matters, axis=1).max()
    kept = np.zeros((n_some, n_kept + 1))
    kept[:, 1:] = reached[:, :n_kept]
    return Neighbourhoods(nearest[:, :n_kept].copy(), kept)


def join(tables):
    """Return the neighbours of all training bags.

    Parameters
    ----------
    tables : list of Neighbourhoods
        The neighbours of some after the other.

    Returns
    -------
    neighbours : Neighbourhoods
        A row for each training bag. What is missing to the longest is infinitely far away.
    """
    n_kept = max(table.distances.shape[1] for table in tables)
    distances, weights = [], []
    for table in tables:
        missing = [(0, 0), (0, n_kept - table.distances.shape[1])]
        distances.append(np.pad(table.distances, missing, constant_values=np.inf))
        weights.append(np.pad(table.weights, missing, mode="edge"))
    return Neighbourhoods(np.concatenate(distances), np.concatenate(weights))


def citer_shares(distances, neighbours, n_citers):
    """Return to which degree each training bag cites each query.

    A bag cites a query that is among its `n_citers` nearest of the other training bags and
    the query. Queries do not meet one another.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_bags)
        Distances from the queries to the training bags.
    neighbours : Neighbourhoods
        The neighbours of the training bags.
    n_citers : int
        How many neighbours a bag cites.

    Returns
    -------
    shares : ndarray of shape (n_queries, n_bags)
        One for a citer, zero for another bag, and in between where the query shares the last
        places with training bags at the same distance.
    """
    shares = np.empty(distances.shape)
    for i, (nearest, weights) in enumerate(zip(*neighbours, strict=True)):
        nearer = weights[np.searchsorted(nearest, distances[:, i] * (1.0 - _TIE), side="left")]
        up_to = weights[np.searchsorted(nearest, distances[:, i] * (1.0 + _TIE), side="right")]
        shares[:, i] = _places(n_citers - nearer, up_to - nearer + 1.0)  # one for the query
    return shares


def _places(left, wanted):
    """Return which share of the wanted places is left; all if next to none is wanted."""
    given = np.clip(left, 0.0, wanted)
    return np.divide(given, wanted, out=np.ones(wanted.shape), where=wanted > 0.0)
