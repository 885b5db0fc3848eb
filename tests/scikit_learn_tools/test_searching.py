"""Searching parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scikit_learn_tools.by_hand import CV, accuracies, linear
from scikit_learn_tools.outcomes import make_data, tool
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from sklearn.pipeline import make_pipeline

from skmil import DPMINNClassifier, InstanceTransformer


@tool("GridSearchCV", "RandomizedSearchCV")
@pytest.mark.parametrize(
    ("Search", "options"), [(GridSearchCV, {}), (RandomizedSearchCV, {"n_iter": 3})]
)
def test_searches_score_each_candidate_and_fit_the_best_to_all_bags(container, Search, options):
    X, y = make_data(container)
    values = [1e-4, 0.01, 1.0]
    search = Search(linear(), {"C": values}, cv=CV, error_score="raise", **options).fit(X, y)
    results = search.cv_results_
    assert sorted(results["param_C"]) == values
    for C, mean in zip(results["param_C"], results["mean_test_score"], strict=True):
        assert mean == pytest.approx(np.mean(accuracies(linear(C=C), X, y)))
    assert search.best_score_ == max(results["mean_test_score"]) > 0.5
    best = linear(**search.best_params_).fit(list(X), y)
    assert_allclose(search.decision_function(X), best.decision_function(list(X)))


@tool("HalvingGridSearchCV", "HalvingRandomSearchCV")
@pytest.mark.parametrize("Search", [HalvingGridSearchCV, HalvingRandomSearchCV])
def test_halving_counts_bags(container, Search):
    X, y = make_data(container)
    options = {"n_candidates": 3} if Search is HalvingRandomSearchCV else {}
    search = Search(
        linear(),
        {"C": [1e-4, 0.01, 1.0]},
        min_resources=12,
        factor=2,
        cv=CV,
        random_state=0,
        error_score="raise",
        **options,
    ).fit(X, y)
    assert search.n_resources_ == [12, 24]
    results = search.cv_results_
    for i in np.flatnonzero(results["n_resources"] == 24):  # the round that has all bags
        expected = np.mean(accuracies(linear(C=results["param_C"][i]), X, y))
        assert results["mean_test_score"][i] == pytest.approx(expected)
    best = linear(**search.best_params_).fit(list(X), y)
    assert_allclose(search.decision_function(X), best.decision_function(list(X)))


def test_a_network_is_searched_too():
    X, y = make_data("Bags")
    network = DPMINNClassifier(max_epochs=2, hidden_layer_sizes=(4,), random_state=0)
    pipeline = make_pipeline(InstanceTransformer(), network)
    grid = {"dpminnclassifier__T": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=CV, scoring="roc_auc").fit(X, y)
    best = pipeline.set_params(**search.best_params_).fit(X, y)
    assert_allclose(search.predict_proba(X), best.predict_proba(X), rtol=1e-5)
