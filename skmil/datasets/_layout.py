"""The random frame of a generated data set: bag sizes, bag labels, places of the witnesses."""

from numbers import Integral

import numpy as np

from skmil.datasets._checks import check_integer, check_number

_LARGEST_SIZE = 2**31 - 1


def draw_layout(n_bags, bag_size, positive_fraction, witness_rate, n_classes, rule, rng):
    """Draw bag sizes and labels, and choose which instances are witnesses.

    Parameters
    ----------
    n_bags : int
        Number of bags.
    bag_size : int, (int, int) or frozen distribution
        Size of every bag, the smallest and the largest size, or what sizes are drawn from.
    positive_fraction : float
        Share of the bags whose label is not 0, split evenly among the other classes.
    witness_rate : float
        Share of witnesses in a bag that has some, rounded, at least one instance.
    n_classes : int
        Number of classes, 0 included.
    rule : StandardRule, CountRule or CollectiveRule
        What the label of a bag says about its witnesses.
    rng : numpy.random.RandomState
        Source of all randomness.

    Returns
    -------
    offsets : ndarray of int64 of shape (n_bags + 1,)
        Where each bag begins, and at the end the number of instances.
    target : ndarray of int64 of shape (n_bags,)
        Labels of the bags.
    instance_labels : ndarray of int64 of shape (n_instances,)
        The concept of each witness, from 1 up, otherwise 0.
    """
    check_integer("n_bags", n_bags, 1)
    check_integer("n_classes", n_classes, 2)
    check_bag_size(bag_size, rule.least_size)
    check_number("positive_fraction", positive_fraction, 0, 1)
    check_number("witness_rate", witness_rate, 0, 1)
    if witness_rate == 0:
        raise ValueError("witness_rate must be above 0: a positive bag has a witness.")

    target = _draw_target(n_bags, positive_fraction, n_classes, rng)
    sizes = draw_sizes(bag_size, n_bags, rule.least_size, rng)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n_witnesses = np.maximum(1, np.rint(witness_rate * sizes)).astype(int)
    instance_labels = np.zeros(offsets[-1], dtype=np.int64)
    concepts = np.arange(1, rule.n_concepts + 1)
    for i in range(n_bags):
        counts = rule.draw_counts(target[i], sizes[i], n_witnesses[i], rng)
        if counts.any():
            places = rng.choice(sizes[i], size=counts.sum(), replace=False)
            instance_labels[offsets[i] + places] = np.repeat(concepts, counts)
    return offsets, target, instance_labels


def concept_counts(instance_labels, offsets, n_concepts):
    """Count the instances of each concept in each bag.

    Parameters
    ----------
    instance_labels : ndarray of int64 of shape (n_instances,)
        The concept of each instance, from 1 up; 0 or less is none.
    offsets : ndarray of int64 of shape (n_bags + 1,)
        Where each bag begins.
    n_concepts : int
        Number of concepts.

    Returns
    -------
    counts : ndarray of int64 of shape (n_bags, n_concepts)
        Column k belongs to concept k + 1.
    """
    is_concept = instance_labels[:, np.newaxis] == np.arange(1, n_concepts + 1)
    return np.add.reduceat(is_concept, offsets[:-1], axis=0, dtype=np.int64)


def _draw_target(n_bags, positive_fraction, n_classes, rng):
    n_positive = round(positive_fraction * n_bags)
    if 0 < n_positive < n_classes - 1:
        raise ValueError(
            f"{n_positive} positive bags (positive_fraction={positive_fraction} of "
            f"{n_bags}) are too few for {n_classes - 1} positive classes. "
            "Ask for more bags or fewer classes."
        )
    target = np.zeros(n_bags, dtype=np.int64)
    target[:n_positive] = 1 + np.arange(n_positive) % (n_classes - 1)
    rng.shuffle(target)
    return target


def check_bag_size(bag_size, least=1, name="bag_size"):
    """Refuse what is neither a size, nor a range of sizes, nor a frozen distribution."""
    if hasattr(bag_size, "rvs"):
        if callable(bag_size):  # a call is what freezes it
            raise TypeError(
                f"{name} must be a frozen distribution, got {bag_size!r}, which is not. Call it "
                f"with its parameters, as in {name}=scipy.stats.lognorm(1, scale=10)."
            )
        return
    try:
        low, high = _size_range(bag_size)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be an integer, a pair (smallest, largest) or a frozen distribution, "
            f"got {bag_size!r}."
        ) from None
    check_integer(name, low, 1)
    check_integer(name, high, 1)
    if low > high:
        raise ValueError(f"{name} is (smallest, largest), got ({low}, {high}). Swap the two.")
    if low < least:
        raise ValueError(
            f"A positive bag of this assumption has at least {least} instances, but {name} "
            f"allows {low}. Raise {name}, or lower n_concepts or min_count."
        )


def draw_sizes(bag_size, n_bags, least, rng, name="bag_size"):
    """Draw the sizes of bags.

    Parameters
    ----------
    bag_size : int, (int, int) or frozen distribution
        What to draw from, checked by `check_bag_size`.
    n_bags : int
        Number of bags.
    least : int
        Sizes drawn from a distribution are raised to this if they are below.
    rng : numpy.random.RandomState
        Source of all randomness.
    name : str, default="bag_size"
        What the user calls it.

    Returns
    -------
    sizes : ndarray of int64 of shape (n_bags,)
        The sizes.
    """
    if not hasattr(bag_size, "rvs"):
        low, high = _size_range(bag_size)
        return rng.randint(low, high + 1, size=n_bags)
    drawn = np.asarray(bag_size.rvs(size=n_bags, random_state=rng), dtype=np.float64)
    if drawn.shape != (n_bags,) or not np.all(drawn <= _LARGEST_SIZE):
        raise ValueError(
            f"{name} must give {n_bags} sizes up to {_LARGEST_SIZE}, got shape {drawn.shape} "
            f"with the maximum {drawn.max()}. Choose a distribution of one dimension with a "
            "shorter tail."
        )
    return np.maximum(least, np.rint(drawn)).astype(np.int64)


def _size_range(bag_size):
    """Return the smallest and the largest bag size."""
    if isinstance(bag_size, Integral):
        return bag_size, bag_size
    low, high = bag_size
    return low, high
