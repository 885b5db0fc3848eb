import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skmil._cli._evaluate import area_under_curve, cross_validate
from skmil._cli._folds import draw_splits
from skmil._cli._registry import ESTIMATORS
from skmil.datasets import make_bags
from skmil.embedding import BagStatistics


class Guess(ClassifierMixin, BaseEstimator):
    """A classifier without scores that warns, and fails if it is told to."""

    def __init__(self, message=None):
        self.message = message

    def fit(self, X, y):
        if self.message is not None:
            raise ValueError(self.message)
        warnings.warn("I am\n  guessing", stacklevel=2)
        warnings.warn("I am guessing", stacklevel=2)
        warnings.warn("and I am old", DeprecationWarning, stacklevel=2)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture(scope="module")
def data():
    return make_bags(n_bags=40, n_features=4, n_informative=2, random_state=0)


def evaluate(estimators, data, n_jobs=1):
    splits = draw_splits(data.target, n_folds=3, n_repeats=2, seed=4)
    pairs = cross_validate(estimators, data.bags, data.target, splits, n_jobs=n_jobs)
    results = {name: [] for name in estimators}
    for name, result in pairs:
        results[name].append(result)
    return results


@pytest.mark.parametrize("name", ["misvm-bag", "statistics"])
def test_scores_are_those_of_scikit_learn(name, data):
    estimator = ESTIMATORS[name].build(False, 0)
    expected = sklearn_cross_validate(
        estimator,
        list(data.bags),
        data.target,
        cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=4),
        scoring=["accuracy", "roc_auc"],
    )
    results = evaluate({name: estimator}, data)[name]
    assert_allclose([r.accuracy for r in results], expected["test_accuracy"])
    assert_allclose([r.auc for r in results], expected["test_roc_auc"])


def test_results_come_fold_by_fold_with_their_facts(data):
    estimators = {name: ESTIMATORS[name].build(False, 0) for name in ("statistics", "misvm-bag")}
    results = evaluate(estimators, data)
    assert list(results) == ["statistics", "misvm-bag"]
    for folds in results.values():
        assert [(r.repeat, r.fold) for r in folds] == [
            (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)
        ]  # fmt: skip
        assert {r.n_train + r.n_test for r in folds} == {40}
        assert all(r.fit_seconds > 0 and r.predict_seconds > 0 for r in folds)
        assert {r.error for r in folds} == {None}


def test_the_estimators_given_stay_unfitted(data):
    estimator = ESTIMATORS["statistics"].build(False, 0)
    evaluate({"statistics": estimator}, data)
    assert not hasattr(estimator[-1], "classes_")


@pytest.mark.slow
def test_the_number_of_processes_does_not_change_the_scores(data):
    names = ("dp-minn", "misvm-instance", "statistics")
    estimators = {name: ESTIMATORS[name].build(False, 0) for name in names}
    estimators["dp-minn"].set_params(max_epochs=3)
    one, two = (evaluate(estimators, data, n_jobs=n_jobs) for n_jobs in (1, 2))
    for name in names:
        assert [(r.accuracy, r.auc, r.warnings, r.error) for r in one[name]] == [
            (r.accuracy, r.auc, r.warnings, r.error) for r in two[name]
        ]


def test_one_failure_does_not_stop_the_others(data):
    results = evaluate({"bad": Guess("no\n such bags"), "good": Guess()}, data)
    for result in results["bad"]:
        assert result.error == "ValueError: no such bags"
        assert result.accuracy is result.auc is result.fit_seconds is None
    assert [r.error for r in results["good"]] == [None] * 6


def test_warnings_for_users_are_kept_once(data):
    results = evaluate({"guess": Guess()}, data)["guess"]
    assert {r.warnings for r in results} == {("UserWarning: I am guessing",)}


def test_an_estimator_without_scores_has_no_area(data):
    assert {r.auc for r in evaluate({"guess": Guess()}, data)["guess"]} == {None}


def test_area_for_several_classes_is_the_mean_of_one_against_the_rest():
    data = make_bags(n_bags=60, n_classes=3, random_state=0)
    y = np.array(["a", "b", "c"])[data.target]
    model = make_pipeline(BagStatistics(), SVC()).fit(data.bags[:40], y[:40])
    bags, labels = data.bags[40:], y[40:]
    scores = model.decision_function(bags)
    areas = [roc_auc_score(labels == label, scores[:, k]) for k, label in enumerate("abc")]
    assert area_under_curve(model, bags, labels) == pytest.approx(sum(areas) / 3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_area_from_probabilities(n_classes):
    data = make_bags(n_bags=60, n_classes=n_classes, random_state=0)

    model = make_pipeline(BagStatistics(), GaussianNB()).fit(data.bags, data.target)
    assert not hasattr(model, "decision_function")
    probability = model.predict_proba(data.bags)
    expected = roc_auc_score(
        data.target, probability[:, 1] if n_classes == 2 else probability, multi_class="ovr"
    )
    assert area_under_curve(model, data.bags, data.target) == pytest.approx(expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_area_where_a_class_is_not_tested(n_classes):
    data = make_bags(n_bags=60, n_classes=n_classes, random_state=0)
    model = make_pipeline(BagStatistics(), SVC()).fit(data.bags, data.target)
    chosen = np.flatnonzero(data.target != 1)
    assert area_under_curve(model, data.bags[chosen], data.target[chosen]) is None
    chosen = np.flatnonzero(data.target == 1)
    assert area_under_curve(model, data.bags[chosen], data.target[chosen]) is None
