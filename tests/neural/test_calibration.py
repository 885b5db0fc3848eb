"""The shift of scores that makes mean probabilities the shares of the classes."""

import io
from contextlib import redirect_stderr

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.special import expit, softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler

from skmil import DPMINNClassifier
from skmil.neural import _standardize
from skmil.neural._calibration import fit_intercept, parts_to_leave_out

SMALL = {"hidden_layer_sizes": (8, 4), "n_members": 2, "max_epochs": 4, "random_state": 0}


def small(**params):
    return DPMINNClassifier(**{**SMALL, **params})


def make_data(n_bags=40, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    return [rng.normal(size=(rng.integers(1, 7), 5)) + 0.5 * label for label in y], y


# --- The shift -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(
    n=st.integers(2, 60),
    spread=st.floats(0, 30),
    offset=st.floats(-40, 40),
    seed=st.integers(0, 2**16),
)
def test_the_shift_of_log_odds_is_the_root_of_its_equation(n, spread, offset, seed):
    rng = np.random.default_rng(seed)
    scores = spread * rng.normal(size=n) + offset
    y = rng.permutation(np.arange(n) % 2)
    weight = rng.uniform(0.1, 3, size=n)

    def excess(shift):  # the prior is that of two classes, each shifted by half
        return weight @ (expit(scores + shift) - y) + shift / 2

    expected = brentq(excess, -1000, 1000)
    found = fit_intercept(scores[:, None], y, weight)
    assert found.shape == (1,)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_many_classes_far_apart_are_brought_together(seed):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(2000) % 20)
    scores = 0.3 * rng.normal(size=(2000, 20)) + 20 * rng.normal(size=20)
    shift = fit_intercept(scores, codes, np.ones(2000))
    p = softmax(scores + shift, axis=1)
    assert_allclose(p.sum(axis=0) + shift, 100, atol=0.01)  # in bags, with the prior


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_mean_probabilities_are_the_shares_of_the_classes(n_classes):
    rng = np.random.default_rng(0)
    n = 30_000  # so many that the prior does not count
    codes = rng.choice(n_classes, p=np.arange(1, n_classes + 1) / sum(range(n_classes + 1)), size=n)
    scores = rng.normal(size=(n, n_classes)) + np.eye(n_classes)[codes] + np.arange(n_classes)
    weight = rng.uniform(size=n)
    intercept = fit_intercept(scores, codes, weight)
    means = weight @ softmax(scores + intercept, axis=1) / weight.sum()
    shares = np.bincount(codes, weights=weight) / weight.sum()
    assert_allclose(means, shares, atol=1e-3)
    assert_allclose(intercept.sum(), 0, atol=1e-10)
    assert abs(intercept).max() > 0.1


def test_two_classes_are_the_same_in_one_column_and_in_two():
    rng = np.random.default_rng(0)
    codes, logs = np.arange(20) % 2, rng.normal([0, 3], size=(20, 2))
    weight = np.ones(20)
    two = fit_intercept(logs, codes, weight)
    one = fit_intercept(logs[:, 1:] - logs[:, :1], codes, weight)
    assert_allclose(one, two[1:] - two[:1], atol=1e-10)


def test_a_weight_of_two_is_a_bag_twice():
    rng = np.random.default_rng(0)
    scores, codes = rng.normal(size=(20, 1)), np.arange(20) % 2
    weight = rng.integers(1, 4, size=20)
    again = np.repeat(np.arange(20), weight)
    expected = fit_intercept(scores[again], codes[again], np.ones(len(again)))
    assert_allclose(fit_intercept(scores, codes, weight), expected, atol=1e-10)


# --- The parts -------------------------------------------------------------------------------


def test_parts_leave_out_each_bag_once_and_are_stratified():
    codes = np.repeat([0, 1, 2], [10, 20, 30])
    weight = np.ones(60)
    weight[::7] = 0
    parts = parts_to_leave_out(codes, weight, 3, 5, seed=0)
    assert len(parts) == 5
    out = np.concatenate([part for _, part in parts])
    assert_array_equal(np.sort(out), np.flatnonzero(weight))
    for kept, part in parts:
        assert_array_equal(np.sort(np.concatenate([kept, part])), np.flatnonzero(weight))
        counts = np.bincount(codes[part], minlength=3)
        assert (abs(counts - np.bincount(codes[weight > 0]) / 5) < 1).all()


@pytest.mark.parametrize(("rarest", "n_parts"), [(1, 0), (2, 2), (4, 4), (9, 5)])
def test_there_are_no_more_parts_than_bags_of_the_rarest_class(rarest, n_parts):
    codes = np.repeat([0, 1], [20, rarest])
    assert len(parts_to_leave_out(codes, np.ones(len(codes)), 2, 5, seed=0)) == n_parts


# --- In the classifier -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"calibration_cv": 3},
        {"probability": "length"},
        {"loss": "cross_entropy"},
        {"scale": "rank", "dropout": 0.0, "instance_dropout": 0.3},
        {"class_weight": {0: 1, 1: 4}},
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_intercept_comes_from_scores_of_bags_left_out(params, n_classes):
    """The same, written out with public classifiers."""
    params = {**params, "dtype": "float64"}
    X, y = make_data(n_classes=n_classes)
    labels = np.array(["a", "b", "c"])[y]
    if n_classes == 3 and "class_weight" in params:
        params["class_weight"] = {"a": 1, "b": 4, "c": 2}
    elif "class_weight" in params:
        params["class_weight"] = {"a": 1, "b": 4}
    sample_weight = np.random.default_rng(1).uniform(0.5, 2, size=len(y))
    classifier = small(**params).fit(X, labels, sample_weight)

    weight = sample_weight * [params.get("class_weight", {}).get(label, 1) for label in labels]
    rng = np.random.RandomState(0)
    rng.randint(np.iinfo(np.int32).max)  # the seed of the members
    seed = rng.randint(np.iinfo(np.int32).max)
    n_parts = params.get("calibration_cv", 5)
    seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=n_parts)
    folds = StratifiedKFold(n_parts, shuffle=True, random_state=seed).split(y, y)
    scores = np.empty((len(y), classifier.decision_function(X[:2]).size // 2))
    for fold_seed, (kept, out) in zip(seeds, folds, strict=True):
        other = {"n_members": 1, "calibration_cv": None, "class_weight": None}
        twin = small(**{**params, **other, "random_state": int(fold_seed)})
        twin.fit([X[i] for i in kept], labels[kept], weight[kept])
        scores[out] = twin.decision_function([X[i] for i in out]).reshape(len(out), -1)
    expected = fit_intercept(scores, y, weight / weight.mean())
    assert_allclose(classifier.intercept_, expected, rtol=0, atol=1e-7)
    assert abs(expected).max() > 1e-3

    without = small(**{**params, "calibration_cv": None}).fit(X, labels, sample_weight)
    assert_array_equal(without.intercept_, np.zeros_like(expected))
    difference = classifier.decision_function(X) - without.decision_function(X)
    assert_allclose(difference, np.zeros_like(difference) + expected, atol=1e-7)
    assert_array_equal(classifier.loss_curve_, without.loss_curve_)


@pytest.fixture
def twins(monkeypatch):
    """Return a list that fills with the classifiers trained on all parts but one."""
    made, make = [], DPMINNClassifier._twin_for_part

    def noting(*args):
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(DPMINNClassifier, "_twin_for_part", noting)
    return made


def epochs_of(twins):
    """Return how many epochs the classifiers were trained for, and forget them."""
    epochs = [twin.n_iter_ for twin in twins]
    twins.clear()
    return epochs


def test_networks_for_parts_train_for_as_many_epochs(twins):
    X, y = make_data()
    classifier = small(warm_start=True, calibration_cv=3).fit(X, y)
    first = classifier.intercept_
    assert epochs_of(twins) == [4, 4, 4]
    classifier.set_params(max_epochs=2, calibration_cv=2).fit(X, y)
    assert epochs_of(twins) == [6, 6]
    assert classifier.intercept_ != first


def test_networks_for_parts_train_up_to_the_epoch_that_early_stopping_goes_back_to(twins):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(3, 5)) for _ in range(60)]  # noise, so that validation gets worse
    stopping = {"early_stopping": True, "n_iter_no_change": 4, "validation_fraction": 0.3}
    wide = {"hidden_layer_sizes": (64, 16), "max_epochs": 200}
    classifier = small(**stopping, **wide).fit(X, np.arange(60) % 2)
    best = int(np.argmin(classifier.validation_loss_curve_)) + 1
    assert best < classifier.n_iter_
    assert epochs_of(twins) == [best] * 5


def test_a_class_with_one_bag_leaves_scores_as_they_are(twins):
    X, y = make_data()
    y[y == 1] = np.arange(20) == 0
    classifier = small(warm_start=True).fit(*make_data())
    assert epochs_of(twins) == [4] * 5
    assert classifier.intercept_ != 0
    classifier.fit(X, y)
    assert_array_equal(classifier.intercept_, [0])
    assert not twins


def test_nothing_is_left_of_a_calibration_before():
    X, y = make_data()
    classifier = small(warm_start=True).fit(X, y)
    assert classifier.intercept_ != 0
    classifier.set_params(calibration_cv=None).fit(X, y)
    assert_array_equal(classifier.intercept_, [0])


class Exponential(DPMINNClassifier):
    """A subclass with parameters of its own, that transforms its bags."""

    def __init__(self, random_state=None):
        super().__init__((8, 4), n_members=2, max_epochs=4, random_state=random_state)

    def fit(self, X, y):
        return super().fit([np.exp(bag) for bag in X], y)


def test_subclasses_are_calibrated_as_they_are():
    X, y = make_data()
    classifier = Exponential(random_state=0).fit(X, y)
    expected = small().fit([np.exp(bag) for bag in X], y)
    assert_array_equal(classifier.intercept_, expected.intercept_)
    assert classifier.intercept_ != 0


def test_networks_for_parts_scale_as_the_net_does(monkeypatch, twins):
    X, y = make_data()
    n_values = 5 * sum(map(len, X))
    monkeypatch.setattr(_standardize, "_RANKED_VALUES", n_values - 1)
    classifier = small().fit(X, y)
    assert {type(twin.scaler_) for twin in twins} == {type(classifier.scaler_)} == {StandardScaler}


def test_bags_without_weight_have_no_part_in_it():
    X, y = make_data()
    weight = np.ones(len(y))
    weight[[3, 8, 20, 21, 22]] = 0
    some = {"dtype": "float64", "batch_size": 100, "dropout": 0.0, "max_epochs": 10}
    with_them = small(**some).fit(X, y, weight)
    kept = np.flatnonzero(weight)
    without = small(**some).fit([X[i] for i in kept], y[kept])
    assert_allclose(with_them.intercept_, without.intercept_, rtol=0, atol=1e-6)
    assert abs(without.intercept_) > 1e-3


def test_partial_fit_leaves_the_intercept_as_it_is(twins):
    X, y = make_data()
    classifier = small().partial_fit(X, y, classes=[0, 1])
    assert_array_equal(classifier.intercept_, [0])
    assert not twins
    classifier = small().fit(X, y)
    before = classifier.intercept_
    classifier.partial_fit(X, y)
    assert_array_equal(classifier.intercept_, before)
    assert len(twins) == 5


class Recorder(Callback):
    epochs = 0

    def on_epoch_end(self, net, **kwargs):
        Recorder.epochs += 1


def test_callbacks_are_called_for_the_net_only_unless_they_shape_the_training(twins):
    X, y = make_data()
    clipping = ("clipping", GradientNormClipping(1.0))
    callbacks = [
        Recorder(),
        clipping,
        LRScheduler("StepLR", step_size=2),
        ("again", GradientNormClipping),
    ]
    Recorder.epochs = 0
    classifier = small(callbacks=callbacks).fit(X, y)
    assert Recorder.epochs == 4
    assert classifier.callbacks is callbacks
    assert [twin.callbacks for twin in twins] == [callbacks[1:]] * 5


def test_schedules_that_follow_held_out_bags_are_left_out(twins):
    X, y = make_data()
    schedule = LRScheduler("ReduceLROnPlateau", monitor="valid_loss")
    small(early_stopping=True, callbacks=[schedule]).fit(X, y)
    assert [twin.callbacks for twin in twins] == [[]] * 5


def test_early_stopping_may_be_switched_off_by_name(twins):
    X, y = make_data()
    small(early_stopping=True, net_params={"callbacks__early_stopping": None}).fit(X, y)
    assert epochs_of(twins) == [4] * 5


def test_progress_bars_tell_the_parts():
    X, y = make_data()
    with redirect_stderr(io.StringIO()) as shown:
        small(verbose=1, calibration_cv=2).fit(X, y)
    text = shown.getvalue()
    assert "DPMINNClassifier 4/4" in text
    assert "DPMINNClassifier, part 1 of 2 4/4" in text
    assert "DPMINNClassifier, part 2 of 2 4/4" in text
    assert "3 of" not in text


def test_instance_weights_are_those_of_the_predicted_class():
    X, y = make_data()
    classifier = small(n_members=1, max_epochs=20).fit(X, y)
    capsules = np.split(classifier._run(classifier._checked(X))[2], np.cumsum([len(x) for x in X]))
    for shift in (-100, 100):  # all bags negative, all positive
        classifier.intercept_ = np.array([float(shift)])
        assert (classifier.predict(X) == (shift > 0)).all()
        for weights, all_weights in zip(classifier.instance_weights(X), capsules, strict=False):
            assert_array_equal(weights, all_weights[:, int(shift > 0)])


def test_scores_keep_their_type_and_the_generator_of_torch_its_state():
    X, y = make_data()
    state = torch.get_rng_state()
    classifier = small().fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)
    assert classifier.decision_function(X).dtype == np.float32
    assert classifier.intercept_.dtype == np.float64


@pytest.mark.parametrize("value", [1, 0, 2.5, "prefit"])
def test_bad_numbers_of_parts_are_refused(value):
    with pytest.raises(ValueError, match="'calibration_cv' parameter"):
        small(calibration_cv=value).fit(*make_data())
