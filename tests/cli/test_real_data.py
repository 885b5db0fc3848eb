"""The named estimators on real bags, where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from skmil._cli._data import load_data
from skmil._cli._evaluate import cross_validate
from skmil._cli._folds import published_splits
from skmil._cli._registry import ESTIMATORS


@pytest.fixture(scope="module")
def tiger():
    folder = os.environ.get("SKMIL_DATA_DIR")
    if folder is None:
        pytest.skip("SKMIL_DATA_DIR does not name a directory of data sets")
    return load_data(str(Path(folder) / "tiger.npz"))


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
