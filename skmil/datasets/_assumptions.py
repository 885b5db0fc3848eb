"""The rules by which the instances of a generated bag determine its label.

A rule knows how many instances of each concept a bag of a given label may hold, and computes
labels from such counts. The names are those of J. Foulds, E. Frank, "A review of multi-instance
learning assumptions", The Knowledge Engineering Review 25(1), 2010.
"""

from collections.abc import Iterable
from numbers import Integral

import numpy as np

from skmil.datasets._checks import check_integer

#: Assumptions that `make_rule` knows.
ASSUMPTIONS = ("standard", "presence", "threshold", "count", "collective")


def make_rule(assumption, *, n_classes=2, n_concepts=2, min_count=2, max_count=3):
    """Return the rule of an assumption.

    Parameters
    ----------
    assumption : {"standard", "presence", "threshold", "count", "collective"}
        Name of the assumption.
    n_classes : int, default=2
        Number of classes, 0 included. Only the standard assumption takes more than two.
    n_concepts : int, default=2
        Number of concepts of "presence", "threshold" and "count".
    min_count : int or sequence of int, default=2
        Least number of instances of each concept for "threshold" and "count".
    max_count : int or sequence of int, default=3
        Greatest number of instances of each concept for "count".

    Returns
    -------
    rule : StandardRule, CountRule or CollectiveRule
        The rule.
    """
    if assumption not in ASSUMPTIONS:
        raise ValueError(f"assumption must be one of {', '.join(ASSUMPTIONS)}; got {assumption!r}.")
    check_integer("n_classes", n_classes, 2)
    if assumption == "standard":
        return StandardRule(n_classes)
    if n_classes > 2:
        raise ValueError(
            f"assumption={assumption!r} makes two classes, got n_classes={n_classes}. "
            'Use assumption="standard" for more.'
        )
    if assumption == "collective":
        return CollectiveRule()
    check_integer("n_concepts", n_concepts, 2 if assumption == "presence" else 1)
    least = np.ones(n_concepts, dtype=np.int64)
    most = np.full(n_concepts, np.iinfo(np.int64).max)
    if assumption != "presence":
        least = _each("min_count", min_count, n_concepts)
    if assumption == "count":
        most = _each("max_count", max_count, n_concepts)
        if np.any(least > most):
            raise ValueError(f"max_count={max_count} is below min_count={min_count}. Raise it.")
    return CountRule(least, most)


def _each(name, value, n_concepts):
    """Return one count for each concept."""
    if isinstance(value, Integral):
        value = [value] * n_concepts
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {value!r}.")
    values = list(value)
    for count in values:
        check_integer(name, count, 1)
    if len(values) != n_concepts:
        raise ValueError(f"{name} has {len(values)} values, but there are {n_concepts} concepts.")
    return np.array(values, dtype=np.int64)


class StandardRule:
    """A bag of class k > 0 holds instances of concept k and of no other, one of class 0 none."""

    least_size = 1

    def __init__(self, n_classes):
        self.n_concepts = n_classes - 1

    def draw_counts(self, label, size, n_witnesses, rng):
        """Return the number of instances of each concept in a bag."""
        counts = np.zeros(self.n_concepts, dtype=np.int64)
        if label:
            counts[label - 1] = n_witnesses
        return counts

    def labels(self, counts, sizes):
        """Return the labels of bags, given how many instances of each concept they hold."""
        present = counts > 0
        return (present * np.arange(1, self.n_concepts + 1)).max(axis=1)


class CollectiveRule:
    """A bag is positive if more than half of its instances belong to the concept."""

    least_size = 1
    n_concepts = 1

    def draw_counts(self, label, size, n_witnesses, rng):
        """Return the number of instances of the concept in a bag."""
        half = size // 2
        return np.array([rng.randint(half + 1, size + 1) if label else rng.randint(0, half + 1)])

    def labels(self, counts, sizes):
        """Return the labels of bags, given how many instances of the concept they hold."""
        return (2 * counts[:, 0] > sizes).astype(np.int64)


class CountRule:
    """A bag is positive if the count of every concept lies within the bounds of the concept.

    A negative bag breaks the bounds of exactly one concept. How many instances of concepts there
    are in all is drawn for both labels alike, so that it tells nothing, if the other concepts can
    make up for the broken one: if there are others, and the bounds leave them a choice.
    """

    def __init__(self, least, most):
        self.least = least
        self.most = most
        self.n_concepts = len(least)
        self.least_size = int(least.sum())

    def draw_counts(self, label, size, n_witnesses, rng):
        """Return the number of instances of each concept in a bag."""
        positive = self.least, np.minimum(self.most, size)
        negative = self._draw_negative(*positive, size, rng)
        counts, most = positive if label else negative
        # For a positive bag, too, a negative one is drawn: the total has to suit both.
        low = max(positive[0].sum(), negative[0].sum())
        high = min(positive[1].sum(), negative[1].sum(), size)
        if low > high:
            low, high = counts.sum(), min(most.sum(), size)
        total = min(max(n_witnesses, low), high)
        counts = counts.copy()
        while counts.sum() < total:
            counts[rng.choice(np.flatnonzero(counts < most))] += 1
        return counts

    def _draw_negative(self, least, most, size, rng):
        """Return bounds of a negative bag: those of a positive one, but for one concept."""
        k = rng.randint(self.n_concepts)
        # How far the other concepts can make up for this one. If they cannot, any count will do.
        choice = np.delete(most - least, k).sum() or size
        room = size - np.delete(least, k).sum()
        if room > most[k] and rng.randint(2):
            spread = min(most[k] - least[k] + 1, choice)
            count = rng.randint(most[k] + 1, min(room, most[k] + spread) + 1)
        else:
            # A concept that must occur more than once does occur: presence is not enough.
            count = rng.randint(max(min(1, least[k] - 1), least[k] - choice), least[k])
        least, most = least.copy(), most.copy()
        least[k] = most[k] = count
        return least, most

    def labels(self, counts, sizes):
        """Return the labels of bags, given how many instances of each concept they hold."""
        return np.all((self.least <= counts) & (counts <= self.most), axis=1).astype(np.int64)
