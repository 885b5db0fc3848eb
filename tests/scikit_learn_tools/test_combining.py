"""Classifiers made of classifiers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scikit_learn_tools.by_hand import CV, NO_TABLE, fits_by_hand, linear, rows, table
from scikit_learn_tools.outcomes import make_data, raises, refused, take, tool
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    StratifiedShuffleSplit,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier

from skmil import BagStatistics, DPMINNClassifier, check_bags


@tool("VotingClassifier")
def test_voting_classifier(container):
    X, y = make_data(container)
    members = [("svm", linear()), ("soft", linear(C=0.01)), ("rows", rows())]
    fitted = [clone(member).fit(list(X), y) for _, member in members]
    votes = np.array([member.predict(list(X)) for member in fitted])
    assert len(np.unique(votes, axis=0)) == 3
    hard = VotingClassifier(members).fit(X, y)
    assert_array_equal(hard.predict(X), votes.sum(axis=0) >= 2)
    other = make_pipeline(BagStatistics(["max"]), LogisticRegression())
    soft = VotingClassifier([("rows", rows()), ("max", other)], voting="soft").fit(X, y)
    both = [clone(m).fit(list(X), y).predict_proba(list(X)) for m in (rows(), other)]
    assert_allclose(soft.predict_proba(X), np.mean(both, axis=0))


def test_networks_of_several_seeds_vote():
    X, y = make_data("Bags")
    networks = [
        (f"seed{seed}", DPMINNClassifier(max_epochs=2, hidden_layer_sizes=(4,), random_state=seed))
        for seed in (0, 1)
    ]
    vote = VotingClassifier(networks, voting="soft").fit(X, y)
    each = [clone(network).fit(X, y).predict_proba(X) for _, network in networks]
    assert abs(each[0] - each[1]).max() > 0.01
    assert_allclose(vote.predict_proba(X), np.mean(each, axis=0), rtol=1e-5)


@tool("StackingClassifier")
def test_stacking_classifier(container):
    X, y = make_data(container)
    stack = StackingClassifier([("svm", linear()), ("rows", rows())], cv=CV).fit(X, y)
    columns = [
        cross_val_predict(linear(), list(X), y, cv=CV, method="decision_function"),
        cross_val_predict(rows(), list(X), y, cv=CV, method="predict_proba")[:, 1],
    ]
    final = LogisticRegression().fit(np.column_stack(columns), y)
    scores = linear().fit(list(X), y).decision_function(list(X))
    p = rows().fit(list(X), y).predict_proba(list(X))[:, 1]
    assert_allclose(stack.predict_proba(X), final.predict_proba(np.column_stack([scores, p])))


@refused("StackingClassifier(passthrough=True)")
def test_stacking_classifier_with_passthrough(container, refusal):
    X, y = make_data(container)
    members = [("svm", linear()), ("rows", rows())]
    with refusal(f"{NO_TABLE}|same number of dimensions"):
        StackingClassifier(members, passthrough=True, cv=CV).fit(X, y)
    # Behind BagStatistics there are rows to pass through; its members are classifiers of rows.
    stack = StackingClassifier([("lr", LogisticRegression())], passthrough=True, cv=CV)
    found = make_pipeline(BagStatistics(), stack).fit(X, y).predict_proba(X)
    assert_allclose(found, clone(stack).fit(table(X), y).predict_proba(table(X)))


@refused("BaggingClassifier")
def test_bagging_classifier(container, refusal):
    X, y = make_data(container)
    with refusal():
        BaggingClassifier(linear(), n_estimators=3).fit(X, y)
    bagging = BaggingClassifier(LogisticRegression(), n_estimators=3, random_state=0)
    found = make_pipeline(BagStatistics(), bagging).fit(X, y).predict_proba(X)
    assert_allclose(found, clone(bagging).fit(table(X), y).predict_proba(table(X)))


def numbered(X):
    """Return a table with the number of each bag, and a step that looks the bags up."""
    bags = check_bags(X)

    def look_up(numbers):
        return bags[numbers[:, 0]]

    return np.arange(len(bags)).reshape(-1, 1), FunctionTransformer(look_up)


@pytest.mark.parametrize("container", ["list", "Bags"])
def test_bagging_of_bag_classifiers_by_their_numbers(container):
    X, y = make_data(container)
    numbers, look_up = numbered(X)
    bagging = BaggingClassifier(make_pipeline(look_up, linear()), n_estimators=3, random_state=0)
    bagging.fit(numbers, y)
    assert len(bagging.estimators_samples_) == 3
    votes = []
    for drawn, member in zip(bagging.estimators_samples_, bagging.estimators_, strict=True):
        assert len(set(drawn)) < len(drawn) == 24  # with replacement
        by_hand = linear().fit(take(X, drawn), y[drawn])
        assert_allclose(
            member[-1].decision_function(list(X)), by_hand.decision_function(list(X)), rtol=1e-5
        )
        votes.append(by_hand.predict(list(X)))
    assert_array_equal(bagging.predict(numbers), np.sum(votes, axis=0) >= 2)


@tool("AdaBoostClassifier", given_list="partly", given_bags="refused")
def test_ada_boost_classifier_takes_lists_of_bags_of_equal_size(container, refusal):
    X, y = make_data(container)
    boosting = AdaBoostClassifier(linear(C=10.0), n_estimators=2)
    if container == "list of equal sizes":
        boosting.fit(X, y)
        weight = np.full(24, 1 / 24)
        for member in boosting.estimators_:
            by_hand = linear(C=10.0).fit(X, y, sample_weight=weight)
            assert_allclose(member.decision_function(X), by_hand.decision_function(X))
            wrong = by_hand.predict(X) != y
            error = weight[wrong].sum()
            weight = np.where(wrong, weight * (1 - error) / error, weight)
            weight /= weight.sum()
        assert wrong.any()
        assert_array_equal(boosting.predict(np.stack(X)), boosting.predict(X))
        with refusal():
            boosting.predict([X[0], X[1][:2]])
    else:
        with refusal():
            boosting.fit(X, y)
    boosting = AdaBoostClassifier(LogisticRegression(), n_estimators=2)
    found = make_pipeline(BagStatistics(), boosting).fit(X, y).predict_proba(X)
    assert_allclose(found, clone(boosting).fit(table(X), y).predict_proba(table(X)))


def calibrated_by_hand(model, X, y, cv):
    """Return the mean of the calibrated probabilities of the models of all splits."""
    p = []
    for fitted, held_out, test in fits_by_hand(model, X, y, cv):
        curve = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
        curve.fit(fitted.decision_function(held_out), y[test])
        p.append(curve.predict(fitted.decision_function(list(X))))
    return np.mean(p, axis=0)


@tool("CalibratedClassifierCV")
@pytest.mark.parametrize(
    "cv", [CV, StratifiedShuffleSplit(4, train_size=0.6, random_state=0)], ids=["folds", "random"]
)
def test_calibrated_classifier(container, cv):
    X, y = make_data(container)
    calibrated = CalibratedClassifierCV(linear(), method="isotonic", cv=cv).fit(X, y)
    expected = calibrated_by_hand(linear(), X, y, cv)
    assert_allclose(calibrated.predict_proba(X)[:, 1], expected)


@tool("FrozenEstimator")
def test_a_frozen_classifier_is_calibrated_on_other_bags(container):
    X, y = make_data(container)
    fitted = linear().fit(X[:12], y[:12])
    frozen = FrozenEstimator(fitted).fit(X[12:], y[12:])
    scores = fitted.decision_function(list(X))
    assert_array_equal(frozen.decision_function(X), scores)
    calibrated = CalibratedClassifierCV(frozen, method="isotonic", cv=3).fit(X[12:], y[12:])
    curve = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(scores[12:], y[12:])
    assert_allclose(calibrated.predict_proba(X)[:, 1], curve.predict(scores))


@tool("FixedThresholdClassifier", "TunedThresholdClassifierCV")
def test_thresholds(container):
    X, y = make_data(container)
    scores = linear().fit(list(X), y).decision_function(list(X))
    fixed = FixedThresholdClassifier(linear(), threshold=0.3).fit(X, y)
    assert_array_equal(fixed.predict(X), scores >= 0.3)

    split = next(CV.split(np.zeros(24), y))
    tuned = TunedThresholdClassifierCV(linear(), cv=[split], refit=False).fit(X, y)
    train, test = split
    held_out = linear().fit(take(X, train), y[train]).decision_function(take(X, test))
    accuracy = [balanced_accuracy_score(y[test], held_out >= t) for t in np.sort(held_out)]
    assert tuned.best_score_ == pytest.approx(max(accuracy))
    found = balanced_accuracy_score(y[test], tuned.predict(take(X, test)))
    assert found == pytest.approx(max(accuracy))
    tuned = TunedThresholdClassifierCV(linear(), cv=CV).fit(X, y)
    assert_array_equal(tuned.predict(X), scores >= tuned.best_threshold_)


EVERY_BAG = "Label .* is present in all"


@tool("OneVsRestClassifier", given_list="partly")
def test_one_vs_rest_classifier(container):
    X, y = make_data(container, n_classes=3)
    scores = [linear().fit(list(X), y == k).decision_function(list(X)) for k in range(3)]
    ensemble = OneVsRestClassifier(linear()).fit(X, y)
    assert_array_equal(ensemble.predict(X), np.argmax(scores, axis=0))
    several = np.column_stack([y == 0, y < 2])
    found = OneVsRestClassifier(linear()).fit(X, several).predict(X)
    expected = [linear().fit(list(X), column).predict(list(X)) for column in several.T]
    assert_array_equal(found, np.column_stack(expected))
    several[:, 1] = True  # the label of all bags, for which there is nothing to fit
    ensemble = OneVsRestClassifier(linear())
    if container == "Bags":
        with pytest.warns(UserWarning, match=EVERY_BAG):
            ensemble.fit(X, several)
        assert_array_equal(ensemble.predict(X), np.column_stack([expected[0], np.ones(24)]))
        return
    with pytest.warns(UserWarning, match=EVERY_BAG), raises(ValueError, NO_TABLE):
        ensemble.fit(X, several)


@tool("OutputCodeClassifier", given_list="partly")
def test_output_code_classifier(container):
    X, y = make_data(container, n_classes=3)

    def fit(random_state):
        return OutputCodeClassifier(linear(), code_size=2, random_state=random_state).fit(X, y)

    codes = fit(3)
    assert not (codes.code_book_ == codes.code_book_[0]).all(axis=0).any()
    scores = [
        linear().fit(list(X), column[y]).decision_function(list(X)) for column in codes.code_book_.T
    ]
    distances = [((np.transpose(scores) - code) ** 2).sum(axis=1) for code in codes.code_book_]
    assert_array_equal(codes.predict(X), np.argmin(distances, axis=0))
    if container == "Bags":  # a column of the code may be the same for all classes
        constant = fit(0).code_book_
        assert (constant == constant[0]).all(axis=0).any()
        assert fit(0).score(X, y) > 0.5
    else:
        with raises(ValueError, NO_TABLE):
            fit(0)


@refused("OneVsOneClassifier")
def test_one_vs_one_classifier(container, refusal):
    X, y = make_data(container, n_classes=3)
    with refusal():
        OneVsOneClassifier(linear()).fit(X, y)
    # MISVMClassifier tells several classes apart itself, one against the rest.
    rest = OneVsRestClassifier(linear()).fit(X, y)
    assert_array_equal(linear().fit(X, y).predict(X), rest.predict(X))
    found = make_pipeline(BagStatistics(), OneVsOneClassifier(LogisticRegression())).fit(X, y)
    expected = OneVsOneClassifier(LogisticRegression()).fit(table(X), y).predict(table(X))
    assert_array_equal(found.predict(X), expected)


@tool("MultiOutputClassifier")
def test_multi_output_classifier(container):
    X, y = make_data(container)
    several = np.column_stack([y, np.arange(24) < 8])
    found = MultiOutputClassifier(linear()).fit(X, several).predict(X)
    expected = [linear().fit(list(X), column).predict(list(X)) for column in several.T]
    assert_array_equal(found, np.column_stack(expected))


@refused("ClassifierChain")
def test_classifier_chain(container, refusal):
    X, y = make_data(container)
    several = np.column_stack([y, np.arange(24) < 8])
    with refusal():
        ClassifierChain(linear()).fit(X, several)
    chain = ClassifierChain(LogisticRegression())
    found = make_pipeline(BagStatistics(), chain).fit(X, several).predict(X)
    assert_array_equal(found, clone(chain).fit(table(X), several).predict(table(X)))


@refused("SelfTrainingClassifier")
def test_self_training_classifier(container, refusal):
    X, y = make_data(container)
    some = np.where(np.arange(24) < 12, y, -1)  # -1: no label
    with refusal():
        SelfTrainingClassifier(rows()).fit(X, some)
    training = SelfTrainingClassifier(LogisticRegression(), max_iter=1)
    found = make_pipeline(BagStatistics(), training).fit(X, some).predict_proba(X)
    assert_allclose(found, clone(training).fit(table(X), some).predict_proba(table(X)))

    numbers, look_up = numbered(X)
    model = make_pipeline(look_up, rows())
    found = SelfTrainingClassifier(model, max_iter=1).fit(numbers, some)
    first = rows().fit(take(X, range(12)), y[:12]).predict_proba(list(X))
    chosen = np.flatnonzero((np.arange(24) < 12) | (first.max(axis=1) > 0.75))
    assert 12 < len(chosen) < 24
    labels = np.where(some == -1, first.argmax(axis=1), y)[chosen]
    expected = rows().fit(take(X, chosen), labels).predict_proba(list(X))
    assert_allclose(found.predict_proba(numbers), expected, rtol=1e-5)


@tool("DummyClassifier")
def test_dummy_classifier(container):
    X, y = make_data(container)
    dummy = DummyClassifier(strategy="prior").fit(X[:9], y[:9])
    assert_allclose(dummy.predict_proba(X), np.tile([5 / 9, 4 / 9], (24, 1)))
