"""Scores, curves and their displays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scikit_learn_tools.by_hand import CV, accuracies, fits_by_hand, linear, rows
from scikit_learn_tools.outcomes import make_data, take, tool
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay, calibration_curve
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    average_precision_score,
    confusion_matrix,
    det_curve,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import (
    LearningCurveDisplay,
    ValidationCurveDisplay,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)


@tool("cross_validate")
def test_cross_validate(container):
    X, y = make_data(container)
    result = cross_validate(
        rows(),
        X,
        y,
        cv=CV,
        scoring=["roc_auc", "neg_log_loss"],
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    for k, (model, held_out, test) in enumerate(fits_by_hand(rows(), X, y)):
        p = model.predict_proba(held_out)
        assert_array_equal(result["indices"]["test"][k], test)
        assert_allclose(result["test_roc_auc"][k], roc_auc_score(y[test], p[:, 1]))
        assert_allclose(result["test_neg_log_loss"][k], -log_loss(y[test], p))
        assert_allclose(result["estimator"][k].predict_proba(held_out), p)
    assert result["train_roc_auc"].mean() > result["test_roc_auc"].mean() > 0.5


@tool("cross_val_score", "n_jobs")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_cross_val_score_in_one_process_and_in_two(container, n_jobs):
    X, y = make_data(container)
    found = cross_val_score(linear(), X, y, cv=CV, n_jobs=n_jobs)
    assert_array_equal(found, accuracies(linear(), X, y))
    assert 0.5 < found.mean() < 1  # a mistake in the choice of bags would show


@tool("cross_val_predict")
@pytest.mark.parametrize(
    ("model", "method"),
    [(linear(), "predict"), (linear(), "decision_function"), (rows(), "predict_proba")],
)
def test_cross_val_predict(container, model, method):
    X, y = make_data(container)
    found = cross_val_predict(model, X, y, cv=CV, method=method)
    for fitted, held_out, test in fits_by_hand(model, X, y):
        assert_allclose(found[test], getattr(fitted, method)(held_out))


@tool("permutation_test_score")
def test_permutation_test_score(container):
    X, y = make_data(container)
    score, permuted, p = permutation_test_score(
        rows(), X, y, cv=CV, n_permutations=9, random_state=0
    )
    assert_allclose(score, np.mean(accuracies(rows(), X, y)))
    assert p == (np.sum(permuted >= score) + 1) / 10
    assert permuted.mean() < score


@tool("learning_curve", "LearningCurveDisplay")
def test_learning_curve(container, ax):
    X, y = make_data(container)
    sizes, _, found = learning_curve(linear(), X, y, train_sizes=[6, 16], cv=CV)
    assert_array_equal(sizes, [6, 16])
    for k, (train, test) in enumerate(CV.split(np.zeros(24), y)):
        for size, score in zip(sizes, found[:, k], strict=True):
            first = train[:size]
            model = linear().fit(take(X, first), y[first])
            assert score == model.score(take(X, test), y[test])
    display = LearningCurveDisplay.from_estimator(linear(), X, y, train_sizes=[6, 16], cv=CV, ax=ax)
    assert_array_equal(display.test_scores, found)


@tool("validation_curve", "ValidationCurveDisplay")
def test_validation_curve(container, ax):
    X, y = make_data(container)
    values = {"param_name": "C", "param_range": [0.01, 1.0], "cv": CV}
    _, found = validation_curve(linear(), X, y, **values)
    assert_array_equal(found, [accuracies(linear(C=C), X, y) for C in (0.01, 1.0)])
    display = ValidationCurveDisplay.from_estimator(linear(), X, y, ax=ax, **values)
    assert_array_equal(display.test_scores, found)


@tool(
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "DetCurveDisplay",
    "PrecisionRecallDisplay",
    "RocCurveDisplay",
)
def test_displays_of_predictions(container, ax):
    X, y = make_data(container)
    train, test = slice(0, 12), slice(12, 24)
    model = rows().fit(X[train], y[train])
    p = model.predict_proba(X[test])[:, 1]
    given = (model, X[test], y[test])
    roc = RocCurveDisplay.from_estimator(*given, ax=ax)
    assert roc.roc_auc == pytest.approx(roc_auc_score(y[test], p))
    precision = PrecisionRecallDisplay.from_estimator(*given, ax=ax)
    assert precision.average_precision == pytest.approx(average_precision_score(y[test], p))
    det = DetCurveDisplay.from_estimator(*given, drop_intermediate=False, ax=ax)
    assert_allclose(det.fnr, det_curve(y[test], p)[1], atol=1e-9)
    confusion = ConfusionMatrixDisplay.from_estimator(*given, ax=ax)
    assert_array_equal(
        confusion.confusion_matrix, confusion_matrix(y[test], model.predict(X[test]))
    )
    calibration = CalibrationDisplay.from_estimator(*given, ax=ax)
    assert_allclose(calibration.prob_true, calibration_curve(y[test], p)[0])


@tool("get_scorer", "make_scorer")
def test_scorers(container):
    X, y = make_data(container)
    model = rows().fit(X, y)
    p = model.predict_proba(list(X))[:, 1]
    assert get_scorer("roc_auc")(model, X, y) == pytest.approx(roc_auc_score(y, p))
    assert get_scorer("neg_log_loss")(model, X, y) == pytest.approx(-log_loss(y, p))
    scorer = make_scorer(fbeta_score, beta=2)
    assert scorer(model, X, y) == pytest.approx(fbeta_score(y, p > 0.5, beta=2))
    ranking = make_scorer(roc_auc_score, response_method="decision_function")
    svm = linear().fit(X, y)
    expected = roc_auc_score(y, svm.decision_function(list(X)))
    assert ranking(svm, X, y) == pytest.approx(expected)


def test_scores_of_probabilities_need_a_model_that_has_them():
    X, y = make_data("list")
    with pytest.warns(UserWarning, match=r"Scoring failed(?s:.*)predict_proba"):
        scores = cross_val_score(linear(), X, y, cv=CV, scoring="neg_log_loss")
    assert np.isnan(scores).all()
    calibrated = CalibratedClassifierCV(linear(), cv=3)
    assert (cross_val_score(calibrated, X, y, cv=CV, scoring="neg_log_loss") < 0).all()
