import io
import pickle
import warnings
from contextlib import redirect_stderr

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback

from skmil import BagStatistics, DPMINNClassifier, MINetClassifier, check_bags
from skmil.datasets import load_digit_bags
from skmil.neural import StackedGridSearchCV, _stack

GRID = {"T": [3, 1], "margin_positive": [0.9, 0.7], "margin_negative": [0.1, 0.3]}
EXACT = {"hidden_layer_sizes": (12, 6), "max_epochs": 5, "batch_size": 7, "dtype": "float64"}
#: Calibrated candidates take twice the time, so most tests have others.
EXACT["calibration_cv"] = None
CALIBRATED = {"calibration_cv": 3, "n_members": 2, "max_epochs": 5}


def make_data(n_bags=40, seed=0, n_classes=2):
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    return check_bags([rng.normal(size=(rng.integers(1, 7), 5)) + 0.4 * label for label in y]), y


def classifier(**params):
    return DPMINNClassifier(**{**EXACT, "random_state": 0, **params})


def both(model, grid, X, y, fit_params=None, **options):
    searches = [Search(model, grid, **options) for Search in (StackedGridSearchCV, GridSearchCV)]
    return [search.fit(X, y, **(fit_params or {})) for search in searches]


class Decisions:
    """A scorer that keeps the decision values and the weights' history of what it scores."""

    def __init__(self):
        self.values, self.curves = [], []

    def __call__(self, estimator, X, y):
        self.values.append(estimator.decision_function(X))
        self.curves.append(estimator.loss_curve_)
        assert estimator.n_iter_ == len(estimator.loss_curve_)
        return estimator.score(X, y)


def assert_same_search(stacked, plain):
    assert list(stacked.cv_results_) == list(plain.cv_results_)
    assert stacked.cv_results_["params"] == plain.cv_results_["params"]
    for name, values in plain.cv_results_.items():
        if "_test_" in name or "_train_" in name:
            assert_allclose(stacked.cv_results_[name], values, rtol=0, atol=1e-9, err_msg=name)
    assert_allclose(stacked.best_score_, plain.best_score_, rtol=0, atol=1e-9)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_"):
        assert getattr(stacked, name) == getattr(plain, name)


# --- The same as one after the other -----------------------------------------------------


@pytest.mark.parametrize(
    ("params", "grid"),
    [
        ({}, GRID),
        ({"n_members": 1}, GRID),
        ({"routing_gradient": "last", "class_weight": "balanced", "scale": False}, GRID),
        ({"learning_rate_decay": 1.0, "weight_decay": 0.0, "random_state": 7}, GRID),
        ({"instance_dropout": 0.0, "scale": "standard"}, GRID),
        ({"n_members": 1, "dropout": 0.4, "hidden_layer_sizes": (9, 8, 4)}, GRID),
        ({"n_members": 3, "dropout": 0.4, "hidden_layer_sizes": (9, 8, 4)}, GRID),
        ({"n_members": 2, "probability": "length", "instance_dropout": 0.2}, GRID),
        ({"dropout": 0.4}, {"T": [1, 3], "n_members": [1, 2, 17]}),
        ({"probability": "length", "class_weight": {0: 1, 1: 3}}, GRID),
        ({}, {"T": [1, 3], "probability": ["relative", "length"]}),
        ({}, {"T": [1, 3], "dropout": [0.0, 0.5], "hidden_layer_sizes": [(5,), (9, 4)]}),
        ({"instance_dropout": 0.8, "scale": "rank", "init": "paper"}, GRID),
        ({}, {"T": [1, 3], "instance_dropout": [0.0, 0.5], "scale": ["rank", True]}),
        ({}, {"T": [1, 3], "hidden_layer_sizes": [(8,), (9, 4)], "learning_rate": [1e-3, 1e-2]}),
        ({}, [{"T": [2, 2]}, {"margin_positive": [0.8], "random_state": [0, 1]}]),
        (CALIBRATED, GRID),
        ({**CALIBRATED, "class_weight": "balanced"}, {"T": [1, 3], "n_members": [1, 3]}),
        (CALIBRATED, {"T": [1, 3], "calibration_cv": [None, 2, 5]}),
    ],
)
def test_every_candidate_predicts_as_if_fitted_alone(params, grid):
    X, y = make_data()
    scorers = [Decisions(), Decisions()]
    searches = [
        Search(classifier(**params), grid, cv=2, scoring=scorer).fit(X, y)
        for Search, scorer in zip((StackedGridSearchCV, GridSearchCV), scorers, strict=True)
    ]
    assert_same_search(*searches)
    stacked, plain = scorers
    assert len(stacked.values) == 2 * len(searches[0].cv_results_["params"])
    for values, wanted in zip(stacked.values, plain.values, strict=True):
        assert_allclose(values, wanted, rtol=0, atol=1e-6)
    assert_allclose(stacked.curves, plain.curves, rtol=0, atol=1e-9)
    assert np.ptp(plain.values[0]) > 0.1


def test_scores_on_digits_are_equal_in_single_precision():
    X, y = load_digit_bags(random_state=0, return_X_y=True)
    model = DPMINNClassifier(max_epochs=12, calibration_cv=2, random_state=0)
    stacked, plain = both(model, {"T": [1, 3]}, X, y, cv=2, return_train_score=True)
    assert_same_search(stacked, plain)
    assert plain.best_score_ > 0.6
    values = [search.decision_function(X) for search in (stacked, plain)]
    assert_array_equal(*values)


def test_stacks_are_divided(monkeypatch):
    monkeypatch.setattr(_stack, "_MOST_NETWORKS", 11)
    sizes, train = [], _stack.Stacks._train

    def noting(stacks, stack, *rest):
        sizes.append(len(stack))
        train(stacks, stack, *rest)

    monkeypatch.setattr(_stack.Stacks, "_train", noting)
    X, y = make_data()
    assert_same_search(*both(classifier(n_members=2), GRID, X, y, cv=2))
    assert sizes == [5, 3] * 2  # 8 candidates of two networks each, in two folds


def test_fit_parameters_scores_and_splitters_are_those_of_the_plain_search():
    X, y = make_data()
    rng = np.random.default_rng(0)
    fit_params = {"sample_weight": rng.uniform(size=len(y)), "groups": np.arange(len(y)) // 4}
    options = {
        "cv": GroupKFold(4),
        "scoring": ["roc_auc", "neg_log_loss"],
        "refit": "neg_log_loss",
        "return_train_score": True,
    }
    stacked, plain = both(classifier(), {"T": [1, 2]}, X, y, fit_params, **options)
    assert_same_search(stacked, plain)
    assert_array_equal(stacked.predict_proba(X), plain.predict_proba(X))


def test_bags_may_be_a_list_and_labels_strings():
    X, y = make_data()
    names = np.array(["no", "yes"])[y]
    stacked, plain = both(classifier(), {"T": [1, 2]}, list(X), names, cv=2)
    assert_same_search(stacked, plain)
    assert_array_equal(stacked.classes_, ["no", "yes"])
    assert_array_equal(stacked.predict(list(X)), plain.predict(list(X)))


# --- What is left behind -----------------------------------------------------------------


def test_the_best_is_an_ordinary_classifier_and_the_search_an_ordinary_estimator():
    X, y = make_data()
    grid = {"T": [1, 2]}
    model = classifier()
    before = model.get_params()
    search = StackedGridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.estimator is model
    assert model.get_params() == before
    assert not hasattr(model, "net_")
    assert search.param_grid == {"T": [1, 2]}
    best = search.best_estimator_
    assert type(best) is DPMINNClassifier
    alone = clone(model).set_params(**search.best_params_).fit(X, y)
    assert set(vars(best)) == set(vars(alone))
    assert_array_equal(best.decision_function(X), alone.decision_function(X))
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict(X), search.predict(X))
    assert again.score(X, y) == search.score(X, y)
    assert b"Stacks" not in pickle.dumps(search)
    best.partial_fit(X, y)
    assert cross_val_score(clone(search), X, y, cv=2).shape == (2,)


def test_without_a_last_fit_there_is_no_best_classifier():
    X, y = make_data()
    stacked, plain = both(classifier(), {"T": [1, 2]}, X, y, cv=2, refit=False)
    assert_same_search(stacked, plain)
    assert not hasattr(stacked, "best_estimator_")


def test_times_are_shared_by_the_stack():
    X, y = make_data()
    search = StackedGridSearchCV(classifier(), {"T": [1, 2, 3]}, cv=2, refit=False).fit(X, y)
    times = search.cv_results_["mean_fit_time"]
    assert (times == times[0]).all()
    assert times[0] > 0


def test_the_bar_of_the_last_fit_has_the_name_of_the_classifier():
    X, y = make_data()
    shown = io.StringIO()
    with redirect_stderr(shown):
        StackedGridSearchCV(classifier(verbose=1), {"T": [1, 2]}, cv=2).fit(X, y)
    assert "DPMINNClassifier" in shown.getvalue()
    assert "Stack" not in shown.getvalue()


# --- What fails --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grid",
    [
        {"T": [0, 2]},
        {"margin_positive": [0.9, 0.3], "margin_negative": [0.3]},
        {"hidden_layer_sizes": [(4,), ()]},
        {"learning_rate": [1e-3, 1.7e308], "margin_positive": [0.8, 0.9]},
    ],
)
@pytest.mark.parametrize("params", [{}, CALIBRATED])
def test_candidates_that_cannot_be_fitted_fail_alone(grid, params):
    X, y = make_data()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stacked, plain = both(classifier(**params), grid, X, y, cv=2, refit=False)
    assert_same_search(stacked, plain)
    assert np.isnan(plain.cv_results_["mean_test_score"]).any()
    assert np.isfinite(plain.cv_results_["mean_test_score"]).any()
    reasons = [str(w.message).splitlines()[-1] for w in warned if w.category is FitFailedWarning]
    assert reasons[0] == reasons[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "cross_entropy"),
        ("optimizer", "sgd"),
        ("early_stopping", True),
        ("callbacks", [Callback()]),
        ("max_instances", 3),
        ("data_parallel", True),
        ("gradient_checkpointing", True),
        ("mixed_precision", "bf16"),
        ("net_params", {"optimizer__betas": (0.8, 0.9)}),
        ("random_state", None),
        ("random_state", np.random.RandomState(0)),
    ],
)
def test_what_cannot_be_stacked_is_refused(name, value):
    X, y = make_data()
    in_grid = StackedGridSearchCV(classifier(), {"T": [1], name: [value]})
    in_model = StackedGridSearchCV(classifier(**{name: value}), {"T": [1]})
    for search in (in_grid, in_model):
        with pytest.raises(ValueError, match=rf"needs {name} to be .* Use GridSearchCV"):
            search.fit(X, y)


@pytest.mark.parametrize(
    "estimator",
    [
        MINetClassifier(random_state=0),
        make_pipeline(classifier()),
        make_pipeline(BagStatistics(), LogisticRegression()),
        type("Own", (DPMINNClassifier,), {})(random_state=0),
    ],
)
def test_other_estimators_are_refused(estimator):
    with pytest.raises(TypeError, match=r"(?s)a DPMINNClassifier itself.* Use GridSearchCV"):
        StackedGridSearchCV(estimator, {}).fit(*make_data())


def test_other_bags_and_processes_are_refused(tmp_path):
    X, y = make_data()
    search = StackedGridSearchCV(classifier(), {"T": [1, 2]}, cv=2)
    with pytest.raises(
        ValueError, match=r"neither sparse bags nor bags on the disk.* Use GridSearchCV"
    ):
        search.fit([sp.csr_array(bag) for bag in X], y)
    np.save(tmp_path / "x.npy", X.instances)
    mapped = type(X)(np.load(tmp_path / "x.npy", mmap_mode="r"), X.offsets)
    with pytest.raises(
        ValueError, match=r"neither sparse bags nor bags on the disk.* Use GridSearchCV"
    ):
        search.fit(mapped, y)
    with pytest.raises(ValueError, match=r"Only binary classification is supported.*3 classes"):
        search.fit(*make_data(n_classes=3))
    with pytest.raises(ValueError, match="one class only"):
        search.fit(X, np.ones(len(y)))
    with pytest.raises(ValueError, match=r"n_jobs=2.*Set it to None, or use GridSearchCV"):
        search.set_params(n_jobs=2).fit(X, y)


def expected_failed_checks(estimator):
    """Excuse what no search can do: those of scikit-learn have `transform` alone."""
    reason = "a search has no fit_transform"
    names = ("check_transformer_general", "check_transformer_data_not_an_array")
    return dict.fromkeys(names, reason)


QUICK = DPMINNClassifier(n_members=2, calibration_cv=2, max_epochs=3, random_state=0)


@parametrize_with_checks(
    [StackedGridSearchCV(QUICK, {"T": [1, 2]}, cv=2)],
    expected_failed_checks=expected_failed_checks,
)
def test_sklearn_check(estimator, check):
    check(estimator)
