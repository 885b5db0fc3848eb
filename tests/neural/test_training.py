"""Parameters that save memory or time change no result: all neural classifiers, all parts."""

import pickle

import numpy as np
import pytest
import torch
from estimators import is_neural, public_estimators, uncalibrated
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch import nn

from skmil import Bags, DPMINNClassifier
from skmil.datasets import load_digit_bags

NEURAL = [Estimator for Estimator in public_estimators() if is_neural(Estimator)]
every_network = pytest.mark.parametrize("Estimator", NEURAL)
SMALL = {"hidden_layer_sizes": (8, 4), "max_epochs": 3, "random_state": 0, "batch_size": 7}
ONE_NET = {"n_members": 1, "calibration_cv": None}


def make_data(n_bags=30, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    X = [rng.normal(size=(rng.integers(1, 9), 5)) + 1.5 * label for label in y]
    return X, y


def outputs_of(classifier, X):
    """Return whatever the classifier can say of bags."""
    outputs = {"decision_function": classifier.decision_function(X)}
    outputs["predict_proba"] = classifier.predict_proba(X)
    if hasattr(classifier, "transform"):
        outputs["transform"] = classifier.transform(X)
    for name in ("instance_weights", "instance_decision_function", "predict_instances"):
        if hasattr(classifier, name):
            outputs[name] = np.concatenate([np.asarray(a) for a in getattr(classifier, name)(X)])
    return outputs


def assert_same(found, expected, rtol):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        scale = abs(values).max()
        assert_allclose(found[name], values, rtol=rtol, atol=rtol * scale, err_msg=name)


class Calls:
    """Counts calls of the encoder's first layer, and notes sizes and types."""

    def __init__(self, monkeypatch):
        self.training, self.predicting, self.types = [], [], set()
        forward = nn.Linear.forward

        def noting(layer, x):
            if layer.in_features == 5 and layer.out_features == 8:
                where = self.training if torch.is_grad_enabled() else self.predicting
                where.append(len(x))
            output = forward(layer, x)
            if torch.is_grad_enabled():
                self.types.add(output.dtype)
            return output

        monkeypatch.setattr(nn.Linear, "forward", noting)


# --- In chunks -----------------------------------------------------------------------------


@every_network
@pytest.mark.parametrize("n_classes", [2, 3])
def test_what_is_predicted_does_not_depend_on_the_chunks(Estimator, n_classes):
    X, y = make_data(n_classes=n_classes)
    classifier = Estimator(**SMALL, dtype="float64").fit(X, y)
    expected = outputs_of(classifier, X)
    for chunk_size in (1, 7):
        classifier.set_params(chunk_size=chunk_size)
        assert_same(outputs_of(classifier, X), expected, rtol=1e-10)


@every_network
def test_a_large_bag_is_predicted_in_chunks(Estimator, monkeypatch):
    X, y = make_data()
    classifier = Estimator(**SMALL).fit(X, y)
    X.append(np.random.default_rng(1).normal(size=(5000, 5)))
    expected = outputs_of(classifier, X)
    calls = Calls(monkeypatch)
    found = outputs_of(classifier.set_params(chunk_size=7), X)
    assert max(calls.predicting) == 7
    assert_same(found, expected, rtol=1e-5)


@every_network
def test_training_does_not_depend_on_the_chunks(Estimator):
    X, y = make_data()
    params = {**SMALL, "dropout": 0.5, "early_stopping": True}
    whole = Estimator(**params).fit(X, y)
    chunked = Estimator(**params, chunk_size=3).fit(X, y)
    for found, expected in zip(weights_of(chunked), weights_of(whole), strict=True):
        assert_array_equal(found, expected)
    assert_allclose(chunked.validation_loss_curve_, whole.validation_loss_curve_, rtol=1e-5)


def weights_of(classifier):
    return [p.detach().numpy() for p in classifier.net_.module_.parameters()]


# --- Gradient checkpointing --------------------------------------------------------------------


@every_network
@pytest.mark.parametrize(
    ("dropout", "chunk_size"), [(0.0, 4), (0.0, 16384), (0.5, 16384)]
)  # chunks draw their dropout in another order
def test_checkpointing_changes_the_memory_only(Estimator, monkeypatch, dropout, chunk_size):
    X, y = make_data()
    params = {**SMALL, "dtype": "float64", "dropout": dropout, "instance_dropout": 0.0}
    params |= uncalibrated(Estimator)
    plain = Estimator(**params).fit(X, y)
    calls = Calls(monkeypatch)
    checkpointed = Estimator(**params, gradient_checkpointing=True, chunk_size=chunk_size)
    checkpointed.fit(X, y)
    if chunk_size == 4:
        assert max(calls.training) == 4
    n_instances = sum(len(bag) for bag in X)
    seen = n_instances * len(checkpointed.net_.module_.members)  # in an epoch
    assert sum(calls.training) == 2 * 3 * seen  # forward, and again for the gradient
    for found, expected in zip(weights_of(checkpointed), weights_of(plain), strict=True):
        assert_allclose(found, expected, rtol=1e-7, atol=1e-10)
    assert_allclose(checkpointed.loss_curve_, plain.loss_curve_, rtol=1e-9)


def test_checkpointing_in_chunks_trains_with_dropout_and_repeats_itself():
    X, y = make_data(n_bags=60)
    params = {"gradient_checkpointing": True, "chunk_size": 4, "dropout": 0.2, "max_epochs": 10}
    params |= {"learning_rate": 1e-2, **ONE_NET}
    first, second = (DPMINNClassifier(**{**SMALL, **params}).fit(X, y) for _ in range(2))
    assert first.score(X, y) > 0.9
    assert_array_equal(first.decision_function(X), second.decision_function(X))


# --- Mixed precision -------------------------------------------------------------------------


@every_network
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32(Estimator, monkeypatch):
    X, y = make_data()
    calls = Calls(monkeypatch)
    classifier = Estimator(**SMALL, mixed_precision="bf16").fit(X, y)
    assert torch.bfloat16 in calls.types
    exact = Estimator(**SMALL).fit(X, y)
    assert all(p.dtype == torch.float32 for p in classifier.net_.module_.parameters())
    state = classifier.net_.optimizer_.state.values()
    assert all(s["exp_avg"].dtype == torch.float32 for s in state)
    assert classifier.decision_function(X).dtype == np.float32
    assert_allclose(classifier.loss_curve_, exact.loss_curve_, rtol=0.05)
    assert classifier.loss_curve_ != exact.loss_curve_


def test_without_mixed_precision_everything_is_float32(monkeypatch):
    calls = Calls(monkeypatch)
    DPMINNClassifier(**SMALL).fit(*make_data())
    assert calls.types == {torch.float32}


@every_network
def test_mixed_precision_learns_digits(Estimator):
    X, y = load_digit_bags(random_state=0, return_X_y=True)
    params = {"max_epochs": 40, "instance_dropout": 0.0, "random_state": 0}
    params |= uncalibrated(Estimator)
    classifier = Estimator(mixed_precision="bf16", **params).fit(X[:150], y[:150])
    assert classifier.loss_curve_[-1] < 0.5 * classifier.loss_curve_[0]
    assert classifier.score(X[150:], y[150:]) > 0.8


def test_mixed_precision_and_checkpointing_go_together(monkeypatch):
    X, y = make_data()
    plain = DPMINNClassifier(**SMALL, mixed_precision="bf16").fit(X, y)
    calls = Calls(monkeypatch)
    both = DPMINNClassifier(**SMALL, mixed_precision="bf16", gradient_checkpointing=True).fit(X, y)
    assert calls.types == {torch.bfloat16}  # when computed again, too
    for found, expected in zip(weights_of(both), weights_of(plain), strict=True):
        assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@every_network
def test_mixed_precision_needs_float32(Estimator):
    with pytest.raises(ValueError, match=r'mixed_precision=.bf16. needs dtype="float32", got'):
        Estimator(**SMALL, mixed_precision="bf16", dtype="float64").fit(*make_data())


# --- As parameters ---------------------------------------------------------------------------


NEW = {
    "max_instances": 3,
    "instance_dropout": 0.2,
    "scale": "rank",
    "chunk_size": 5,
    "gradient_checkpointing": True,
    "mixed_precision": "bf16",
}


@every_network
def test_parameters_are_kept_by_clones_and_pickles(Estimator):
    X, y = make_data()
    classifier = Estimator(**SMALL, **NEW)
    assert {name: clone(classifier).get_params()[name] for name in NEW} == NEW
    classifier.fit(X, y)
    assert {name: classifier.get_params()[name] for name in NEW} == NEW
    again = pickle.loads(pickle.dumps(classifier))
    assert {name: again.get_params()[name] for name in NEW} == NEW
    assert_array_equal(again.decision_function(X), classifier.decision_function(X))
    refitted = clone(classifier).fit(X, y)
    assert_array_equal(refitted.decision_function(X), classifier.decision_function(X))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_instances", 0), ("max_instances", 2.5), ("chunk_size", 0), ("chunk_size", None),
        ("gradient_checkpointing", "yes"), ("mixed_precision", "fp16"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        DPMINNClassifier(**SMALL).set_params(**{name: value}).fit(*make_data())


def test_what_may_change_when_training_goes_on_takes_effect(monkeypatch):
    X, y = make_data()
    classifier = DPMINNClassifier(
        **SMALL, **ONE_NET, warm_start=True, gradient_checkpointing=True, instance_dropout=0.0
    ).fit(X, y)
    calls = Calls(monkeypatch)
    classifier.set_params(chunk_size=3, max_instances=4).fit(X, y)
    assert max(calls.training) == 3
    drawn = sum(min(len(bag), 4) for bag in X)
    assert sum(calls.training) == 2 * 3 * drawn
    calls.training.clear()
    classifier.set_params(instance_dropout=0.99).fit(X, y)
    assert 2 * 3 * len(X) <= sum(calls.training) < 2 * 3 * 1.2 * len(X)
    classifier.set_params(instance_dropout=0.0)
    calls.training.clear()
    classifier.set_params(gradient_checkpointing=False, mixed_precision="bf16").fit(X, y)
    assert sum(calls.training) == 3 * drawn  # nothing is computed twice
    assert classifier.net_.mixed_precision == "bf16"


@pytest.mark.parametrize("chunk_size", [0, -1, 2.5, "many"])
def test_a_chunk_size_that_is_none_is_refused_also_after_fit(chunk_size):
    X, y = make_data()
    classifier = DPMINNClassifier(**SMALL).fit(X, y).set_params(chunk_size=chunk_size)
    with pytest.raises(ValueError, match="chunk_size must be"):
        classifier.predict(X)


# --- Some instances of large bags ----------------------------------------------------------------


@every_network
def test_a_limit_no_bag_reaches_changes_nothing(Estimator):
    X, y = make_data()
    plain = Estimator(**SMALL).fit(X, y)
    limited = Estimator(**SMALL, max_instances=8).fit(X, y)
    assert_array_equal(limited.decision_function(X), plain.decision_function(X))


@every_network
def test_left_out_instances_change_training_the_same_way_each_time(Estimator):
    X, y = make_data()
    whole, first, second, other = (
        Estimator(**{**SMALL, "random_state": seed}, instance_dropout=share).fit(X, y)
        for share, seed in ((0.0, 0), (0.5, 0), (0.5, 0), (0.5, 1))
    )
    assert_array_equal(first.decision_function(X), second.decision_function(X))
    assert first.loss_curve_ == second.loss_curve_
    assert first.loss_curve_ not in (whole.loss_curve_, other.loss_curve_)
    alone = [bag[:1] for bag in X]  # the last instance of a bag is never left out
    params = {**SMALL, "instance_dropout": 0.5, "max_epochs": 1, "scale": False}
    assert np.isfinite(Estimator(**params).fit(alone, y).loss_curve_).all()


@pytest.mark.parametrize("probability", [0.3, 0.99])
def test_training_leaves_instances_out_and_everything_else_sees_all(monkeypatch, probability):
    X, y = make_data(n_bags=60)
    bags = Bags(np.concatenate(X), np.cumsum([0, *map(len, X)]))
    calls = Calls(monkeypatch)
    params = {"early_stopping": True, "validation_fraction": 0.4, "scale": "standard"}
    params |= ONE_NET
    classifier = DPMINNClassifier(**SMALL, **params, instance_dropout=probability).fit(bags, y)
    kept = int(classifier.scaler_.n_samples_seen_.max())
    n_bags = 36
    assert 3 * n_bags <= sum(calls.training)
    expected = 3 * (kept * (1 - probability) + n_bags * probability)  # but for bags of one
    assert 0.8 * expected < sum(calls.training) < 1.2 * expected
    assert sum(calls.predicting) == kept + 3 * (bags.bag_sizes.sum() - kept)
    calls.predicting.clear()
    classifier.predict(bags)
    assert sum(calls.predicting) == bags.bag_sizes.sum()


def test_training_sees_the_drawn_instances_and_everything_else_sees_all(monkeypatch):
    X, y = make_data()
    bags = Bags(np.concatenate(X), np.cumsum([0, *map(len, X)]))
    calls = Calls(monkeypatch)
    params = {"early_stopping": True, "validation_fraction": 0.4, "scale": "standard"}
    params |= ONE_NET
    classifier = DPMINNClassifier(**SMALL, **params, max_instances=2).fit(bags, y)
    kept = int(classifier.scaler_.n_samples_seen_.max())  # the scaler has all of them
    sizes = bags.bag_sizes
    assert sum(calls.training) < 3 * np.minimum(sizes, 2).sum()
    # where training starts is found with all instances of the bags to train on; then in each
    # epoch all of those held out
    assert sum(calls.predicting) == kept + 3 * (sizes.sum() - kept)
    calls.predicting.clear()
    classifier.predict(bags)
    assert sum(calls.predicting) == sizes.sum()
