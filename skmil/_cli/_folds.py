"""Which bags are trained on and which are tested, fold by fold."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import PredefinedSplit, RepeatedStratifiedKFold

from skmil._cli._errors import UsageError

__all__ = ["Split", "draw_splits", "published_splits"]


class Split(NamedTuple):
    """A fold of a repeat, both counted from 0, and the indices of its bags."""

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray


def draw_splits(y, n_folds, n_repeats, seed):
    """Draw stratified folds.

    Parameters
    ----------
    y : ndarray of shape (n_bags,)
        Labels of the bags.
    n_folds : int
        Number of folds.
    n_repeats : int
        How often to draw folds.
    seed : int
        Determines the folds.

    Returns
    -------
    splits : list of Split
        Repeat by repeat, fold by fold.

    Raises
    ------
    UsageError
        If a class is too small to be in every fold.
    """
    classes, counts = _classes(y)
    smallest = counts.argmin()
    if counts[smallest] < n_folds:
        raise UsageError(
            f"--folds {n_folds} is more than the {counts[smallest]} bags of the smallest "
            f"class, {classes[smallest]}."
        )
    splitter = RepeatedStratifiedKFold(n_splits=n_folds, n_repeats=n_repeats, random_state=seed)
    pairs = splitter.split(np.zeros(len(y)), y)
    return [Split(*divmod(i, n_folds), *pair) for i, pair in enumerate(pairs)]


def published_splits(y, folds, n_repeats):
    """Return the folds that were published with a data set.

    Parameters
    ----------
    y : ndarray of shape (n_bags,)
        Labels of the bags.
    folds : ndarray of int of shape (n_published, n_bags) or None
        In which fold each bag is tested, for each repeat. None if the data has none.
    n_repeats : int
        How many of the repeats to use, from the first.

    Returns
    -------
    splits : list of Split
        Repeat by repeat, fold by fold.

    Raises
    ------
    UsageError
        If there are no folds, fewer repeats, or a fold without bags of two classes to
        train on.
    """
    _classes(y)
    if folds is None:
        raise UsageError(
            "--folds published needs data with folds, such as an .npz file with an array 'folds', "
            "or folds_5x10.csv in the folder of a published data set. Give a number instead."
        )
    if n_repeats > len(folds):
        raise UsageError(f"--repeats {n_repeats} is more than the {len(folds)} published repeats.")
    splits = [
        Split(repeat, fold, *pair)
        for repeat in range(n_repeats)
        for fold, pair in enumerate(PredefinedSplit(folds[repeat]).split())
    ]
    for split in splits:
        if len(np.unique(y[split.train])) < 2:
            raise UsageError(
                f"published fold {split.fold} of repeat {split.repeat} leaves bags of one class "
                "only to train on."
            )
    return splits


def _classes(y):
    """Return the classes and their sizes; refuse a single class."""
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise UsageError(f"all bags have the label {classes[0]}; two classes are needed.")
    return classes, counts
