"""Instance labels that stand in the last column of the features, where they give the bags away."""

import math

import numpy as np

#: An honest column is taken for labels less often than this,
_CHANCE = 1e-6
#: and comes under suspicion less often than this.
_SUSPICIOUS_CHANCE = 1e-2
#: Positive bags without a positive instance: bags that were meant to have one.
_MOST_WITHOUT_WITNESS = 0.1


def as_labels(values):
    """Return labels as integers where they are integers; -1 and 1 become 0 and 1.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Numbers or strings.

    Returns
    -------
    labels : ndarray of shape (n,)
        Strings without blanks around them, int64, or numbers as they were.

    Raises
    ------
    ValueError
        If a label is not a number, or there are neither numbers nor strings.
    """
    values = as_names(values)
    if values.dtype == np.int64 and np.isin(values, (-1, 1)).all():
        return (values > 0).astype(np.int64)
    return values


def as_names(values):
    """Return labels or names as integers where they are integers.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Numbers or strings.

    Returns
    -------
    names : ndarray of shape (n,)
        Strings without blanks around them, int64, or numbers as they were.

    Raises
    ------
    ValueError
        If a label is not a number, or there are neither numbers nor strings.
    """
    if values.dtype.kind == "U":
        return np.char.strip(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"labels must be real numbers or text, got {values.dtype}.")
    if not np.isfinite(values).all():
        i = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"label {i + 1} of {len(values)} is {values[i]}, which is no label.")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "f" and (np.abs(values) >= 2**53).any():
        return values
    if (values.dtype.kind == "f" and (values % 1 != 0).any()) or values.dtype == np.uint64:
        return values
    return values.astype(np.int64)


def judge_column(column, offsets, target):
    """Say whether a column of the instances is their labels.

    Parameters
    ----------
    column : ndarray of shape (n_instances,)
        The column, see `as_labels`.
    offsets : ndarray of int of shape (n_bags + 1,)
        The offsets of the bags.
    target : ndarray of shape (n_bags,)
        The labels of the bags, see `as_labels`.

    Returns
    -------
    verdict : {"yes", "maybe", "no"}
        "maybe" if it looks like labels, but the bags are too few to be sure; with very few
        bags there is no telling, and it is "no".
    """
    if not _fits(column, offsets, target):
        return "no"
    log_chance = _log_chance(_largest(column, offsets), target)
    if log_chance < math.log(_CHANCE):
        return "yes"
    return "maybe" if log_chance < math.log(_SUSPICIOUS_CHANCE) else "no"


def read_column(column, offsets, target):
    """Return instance labels, None if they only repeat those of the bags, and labels of the bags.

    Parameters
    ----------
    column : ndarray of shape (n_instances,)
        The column, see `as_labels`.
    offsets : ndarray of int of shape (n_bags + 1,)
        The offsets of the bags.
    target : ndarray of shape (n_bags,)
        The labels of the bags as stored, see `as_labels`.

    Returns
    -------
    instance_labels : ndarray of shape (n_instances,) or None
        The column, if it says more than the labels of the bags.
    target : ndarray of shape (n_bags,)
        The largest label of the instances of each bag; as given if there are none.

    Raises
    ------
    ValueError
        If the column cannot be labels of the instances.
    """
    is_text = target.dtype.kind == "U"
    unknown = column if is_text else column[~np.isin(column, target)]
    if len(unknown):
        raise ValueError(
            f"the last column cannot hold instance labels: {unknown[0]} is the label of no bag. "
            "If it is a feature, pass instance_label_column=None."
        )
    largest = _largest(column, offsets)
    wrong = np.flatnonzero(largest > target)
    if len(wrong):
        raise ValueError(
            f"the last column cannot hold instance labels: bag {wrong[0]} has the label "
            f"{target[wrong[0]]}, but an instance of it {largest[wrong[0]]}. "
            "If it is a feature, pass instance_label_column=None."
        )
    if (column == np.repeat(target, np.diff(offsets))).all():
        return None, target
    return column, largest


def _largest(column, offsets):
    return np.maximum.reduceat(column, offsets[:-1])


def _fits(column, offsets, target):
    """Whether the labels of the bags could be the largest values of the column in each bag."""
    labels = np.unique(target)
    values = np.unique(column)
    if labels.dtype.kind == "U" or len(values) < 2 or not np.isin(values, labels).all():
        return False
    largest = _largest(column, offsets)
    if len(labels) > 2:
        return bool((largest == target).all())
    is_positive = target == labels[1]
    has_witness = largest == labels[1]
    n_without = (is_positive & ~has_witness).sum()
    return bool(
        not (has_witness & ~is_positive).any()
        and n_without <= _MOST_WITHOUT_WITNESS * is_positive.sum()
    )


def _log_chance(largest, target):
    """Return how probable it is that a column knows so much of the labels by accident.

    If a column has nothing to do with the labels, its bags with the largest value are any, each
    choice of so many being as probable as another. Only one choice, or few, fit the labels.
    """
    if len(np.unique(target)) > 2:
        _, counts = np.unique(target, return_counts=True)
        return sum(math.lgamma(n + 1) for n in counts) - math.lgamma(len(target) + 1)
    n_marked = int((largest == target.max()).sum())
    n_positive = int((target == target.max()).sum())
    return _log_binomial(n_positive, n_marked) - _log_binomial(len(target), n_marked)


def _log_binomial(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
