"""Weights and groups on their way through other tools."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from scikit_learn_tools.by_hand import CV, accuracies, linear
from scikit_learn_tools.outcomes import make_data, take, tool
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from skmil import InstanceTransformer


@tool("params")
def test_sample_weight_reaches_a_step_by_its_name(container):
    X, y = make_data(container)
    weight = np.where(y == 1, 5.0, 1.0) + np.arange(24) % 3
    model = make_pipeline(InstanceTransformer(), linear())
    found = cross_val_score(model, X, y, cv=CV, params={"misvmclassifier__sample_weight": weight})
    scores = weighted_by_hand(X, y, weight)[0]
    assert_allclose(found, scores)
    assert (found != cross_val_score(model, X, y, cv=CV)).any()


def weighted_by_hand(X, y, weight):
    """Return the accuracies of models fitted with weights, not weighted and weighted."""
    plain, weighted = [], []
    for train, test in CV.split(np.zeros(len(y)), y):
        scaler = InstanceTransformer().fit(take(X, train))
        model = linear().fit(
            scaler.transform(take(X, train)), y[train], sample_weight=weight[train]
        )
        right = model.predict(scaler.transform(take(X, test))) == y[test]
        plain.append(right.mean())
        weighted.append(np.average(right, weights=weight[test]))
    return plain, weighted


@tool("enable_metadata_routing", "set_fit_request", "set_score_request")
@pytest.mark.usefixtures("routing")
def test_sample_weight_is_routed_to_fit_and_to_the_scorer(container):
    X, y = make_data(container)
    weight = np.where(y == 1, 5.0, 1.0) + np.arange(24) % 3
    _, expected = weighted_by_hand(X, y, weight)
    model = make_pipeline(
        InstanceTransformer().set_fit_request(sample_weight=False),
        linear().set_fit_request(sample_weight=True),
    )
    scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
    params = {"sample_weight": weight}
    result = cross_validate(model, X, y, cv=CV, scoring=scorer, params=params)
    assert_allclose(result["test_score"], expected)
    search = GridSearchCV(model, {"misvmclassifier__C": [1.0]}, cv=CV, scoring=scorer)
    assert_allclose(search.fit(X, y, **params).best_score_, np.mean(expected))
    vote = VotingClassifier([("svm", linear().set_fit_request(sample_weight=True))])
    by_hand = linear().fit(list(X), y, sample_weight=weight)
    assert_allclose(vote.fit(X, y, **params).transform(X).ravel(), by_hand.predict(list(X)))


@tool("groups")
@pytest.mark.parametrize("enabled", [False, True])
def test_groups_reach_the_splitter(container, enabled):
    X, y = make_data(container)
    patients = np.arange(24) // 2 % 6
    cv = StratifiedGroupKFold(3)
    expected = accuracies(linear(), X, y, cv, patients)
    assert expected != accuracies(linear(), X, y)
    with sklearn.config_context(enable_metadata_routing=enabled):
        given = {"params": {"groups": patients}} if enabled else {"groups": patients}
        assert_allclose(cross_val_score(linear(), X, y, cv=cv, **given), expected)
        search = GridSearchCV(linear(), {"C": [1.0]}, cv=cv).fit(X, y, groups=patients)
        assert search.best_score_ == pytest.approx(np.mean(expected))
