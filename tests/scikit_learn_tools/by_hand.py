"""What the tools of scikit-learn do, done by hand, with quick models of bags."""

import numpy as np
from numpy.testing import assert_array_equal
from scikit_learn_tools.outcomes import take
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from skmil import BagStatistics, MISVMClassifier

CV = StratifiedKFold(3)
#: What scikit-learn and NumPy say of bags where they want a table.
NO_TABLE = "setting an array element with a sequence|[Ee]xpected 2D array|with dim 3"


def linear(**params):
    """Return a quick classifier of bags that has scores and no probabilities."""
    return MISVMClassifier(kernel="linear", **params)


def rows():
    """Return a quick classifier of bags that has probabilities."""
    return make_pipeline(BagStatistics(), LogisticRegression())


def table(X):
    """Return what the first step of `rows` makes of the bags."""
    return BagStatistics().fit_transform(list(X))


def fits_by_hand(model, X, y, cv=CV, groups=None):
    """Return (model fitted to the training bags, test bags, their indices) for each split."""
    splits = list(cv.split(np.zeros(len(y)), y, groups))
    return [
        (clone(model).fit(take(X, train), y[train]), take(X, test), test) for train, test in splits
    ]


def accuracies(model, X, y, cv=CV, groups=None):
    return [
        m.score(held_out, y[test]) for m, held_out, test in fits_by_hand(model, X, y, cv, groups)
    ]


def assert_same_bags(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)
