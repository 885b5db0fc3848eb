"""The named estimators on real bags, where they are at hand."""

import numpy as np
import pytest
from real_data import path_of

from skmil._cli._data import load_data
from skmil._cli._evaluate import cross_validate
from skmil._cli._folds import published_splits
from skmil._cli._registry import ESTIMATORS


@pytest.fixture(scope="module")
def tiger():
    return load_data(str(path_of("tiger")))


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_learns_to_tell_tigers(name, tiger):
    halves = published_splits(tiger.y, tiger.folds[:1] % 2, n_repeats=1)
    estimator = {name: ESTIMATORS[name].build(tiger.sparse, 0)}
    results = [r for _, r in cross_validate(estimator, tiger.bags, tiger.y, halves, n_jobs=1)]
    assert [r.error for r in results] == [None, None]
    # Guessing gets 0.5; over ten folds each gets 0.70 or more, see benchmarks/accuracy.
    assert np.mean([r.accuracy for r in results]) >= 0.62
    assert np.mean([r.auc for r in results]) >= 0.68
