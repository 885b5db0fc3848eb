"""The random frame of a generated data set: bag sizes, bag labels, places of the witnesses."""

from numbers import Integral, Real

import numpy as np


def draw_layout(n_bags, bag_size, positive_fraction, witness_rate, n_classes, rng):
    """Draw bag sizes and labels, and choose which instances are witnesses.

    Parameters
    ----------
    n_bags : int
        Number of bags.
    bag_size : int or (int, int)
        Size of every bag, or the smallest and the largest size.
    positive_fraction : float
        Share of the bags whose label is not 0, split evenly among the other classes.
    witness_rate : float
        Share of witnesses in a positive bag, rounded, at least one instance.
    n_classes : int
        Number of classes, 0 included.
    rng : numpy.random.RandomState
        Source of all randomness.

    Returns
    -------
    offsets : ndarray of int64 of shape (n_bags + 1,)
        Where each bag begins, and at the end the number of instances.
    target : ndarray of int64 of shape (n_bags,)
        Labels of the bags.
    instance_labels : ndarray of int64 of shape (n_instances,)
        The label of its bag for a witness, otherwise 0.
    """
    check_integer("n_bags", n_bags, 1)
    check_integer("n_classes", n_classes, 2)
    low, high = _check_bag_size(bag_size)
    check_number("positive_fraction", positive_fraction, 0, 1)
    check_number("witness_rate", witness_rate, 0, 1)
    if witness_rate == 0:
        raise ValueError("witness_rate must be above 0: a positive bag has a witness.")

    target = _draw_target(n_bags, positive_fraction, n_classes, rng)
    sizes = rng.randint(low, high + 1, size=n_bags)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n_witnesses = np.maximum(1, np.rint(witness_rate * sizes)).astype(int)
    instance_labels = np.zeros(offsets[-1], dtype=np.int64)
    for i in np.flatnonzero(target):
        places = rng.choice(sizes[i], size=n_witnesses[i], replace=False)
        instance_labels[offsets[i] + places] = target[i]
    return offsets, target, instance_labels


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


def _check_bag_size(bag_size):
    """Return the smallest and the largest bag size."""
    if isinstance(bag_size, Integral):
        low = high = bag_size
    else:
        try:
            low, high = bag_size
        except (TypeError, ValueError):
            raise TypeError(
                f"bag_size must be an integer or a pair (smallest, largest), got {bag_size!r}."
            ) from None
    check_integer("bag_size", low, 1)
    check_integer("bag_size", high, 1)
    if low > high:
        raise ValueError(f"bag_size is (smallest, largest), got ({low}, {high}). Swap the two.")
    return low, high


def check_integer(name, value, low, high=np.inf):
    """Refuse anything but an integer from `low` to `high`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if not low <= value <= high:
        raise ValueError(f"{name} must be {_range(low, high)}, got {value}.")


def check_number(name, value, low, high=np.inf):
    """Refuse anything but a finite number from `low` to `high`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    if not (low <= value <= high) or np.isinf(value):
        raise ValueError(f"{name} must be a finite number {_range(low, high)}, got {value}.")


def _range(low, high):
    return f"at least {low}" if high == np.inf else f"from {low} to {high}"
