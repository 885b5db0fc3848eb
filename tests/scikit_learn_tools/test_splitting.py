"""Splitting bags, and drawing some of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scikit_learn_tools.by_hand import accuracies, assert_same_bags, linear
from scikit_learn_tools.outcomes import make_data, take, tool
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    cross_val_score,
    train_test_split,
)
from sklearn.utils import resample, shuffle

SPLITTERS = [
    KFold(3),
    LeaveOneOut(),
    LeavePOut(2),
    PredefinedSplit(np.arange(24) % 4),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
    ShuffleSplit(3, random_state=0),
    StratifiedKFold(3),
    StratifiedShuffleSplit(3, random_state=0),
    TimeSeriesSplit(3),
]
GROUP_SPLITTERS = [
    GroupKFold(3),
    GroupShuffleSplit(3, random_state=0),
    LeaveOneGroupOut(),
    LeavePGroupsOut(2),
    StratifiedGroupKFold(3),
]


@tool(*(type(splitter).__name__ for splitter in SPLITTERS))
def test_splitters_split_bags_as_they_split_rows(container):
    X, y = make_data(container)
    for splitter in SPLITTERS:
        expected = list(splitter.split(np.zeros((24, 1)), y))
        found = list(splitter.split(X, y))
        assert splitter.get_n_splits(X, y) == len(found) == len(expected)
        for pair, expected_pair in zip(found, expected, strict=True):
            for indices, expected_indices in zip(pair, expected_pair, strict=True):
                assert_array_equal(indices, expected_indices)


@tool(*(type(splitter).__name__ for splitter in GROUP_SPLITTERS))
def test_group_splitters_keep_the_bags_of_a_group_together(container):
    X, y = make_data(container)
    patients = np.arange(24) // 4
    for splitter in GROUP_SPLITTERS:
        splits = list(splitter.split(X, y, patients))
        assert splitter.get_n_splits(X, y, patients) == len(splits) > 0
        for train, test in splits:
            assert not set(patients[train]) & set(patients[test])
    model, cv = linear(), StratifiedGroupKFold(3)
    found = cross_val_score(model, X, y, groups=patients, cv=cv)
    assert_array_equal(found, accuracies(model, X, y, cv, patients))


@tool("train_test_split")
def test_train_test_split(container):
    X, y = make_data(container)
    parts = train_test_split(X, y, np.arange(24), stratify=y, random_state=0)
    X_train, X_test, y_train, y_test, train, test = parts
    for part, labels, indices in ((X_train, y_train, train), (X_test, y_test, test)):
        assert type(part) is type(X)
        assert_same_bags(part, take(X, indices))
        assert_array_equal(labels, y[indices])
    assert sorted([*train, *test]) == list(range(24))


@tool("resample", "shuffle")
@pytest.mark.parametrize("draw", [resample, shuffle])
def test_resample_and_shuffle(container, draw):
    X, y = make_data(container)
    drawn, labels, indices = draw(X, y, np.arange(24), random_state=0)
    assert type(drawn) is type(X)
    assert_same_bags(drawn, take(X, indices))
    assert_array_equal(labels, y[indices])
    assert (len(set(indices)) == 24) == (draw is shuffle)
