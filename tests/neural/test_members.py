"""Several networks in one classifier: each trains as if alone, and their probabilities average."""

import copy
import pickle

import numpy as np
import pytest
import torch
from networks import make_data
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmil import DPMINNClassifier
from skmil.nn import DPMINN, Ensemble

SMALL = {
    "hidden_layer_sizes": (8, 4),
    "n_members": 3,
    "calibration_cv": None,
    "max_epochs": 5,
    "random_state": 0,
}
KINDS = [
    {"probability": "relative"},
    {"probability": "length"},
    {"loss": "cross_entropy"},
]


def small(**params):
    return DPMINNClassifier(**{**SMALL, **params})


def alone(classifier):
    """Return a classifier for each member of a fitted one, which predicts with that member."""
    classifiers = []
    for network in classifier.net_.module_.networks:
        single = copy.deepcopy(classifier)
        single.net_.module_ = network
        single.net_.criterion_ = classifier.net_.criterion_.loss
        classifiers.append(single)
    return classifiers


# --- Training ----------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_member_trains_as_a_network_by_itself(kind, optimizer):
    X, y = make_data()
    # One step an epoch, so that the order of bags, which is drawn after the weights, is none.
    params = {"dropout": 0.0, "dtype": "float64", "batch_size": len(X), "optimizer": optimizer}
    members = small(**params, **kind).fit(X, y)
    single = small(n_members=1, **params, **kind).fit(X, y)
    first = members.net_.module_.networks[0].state_dict()
    for name, value in single.net_.module_.state_dict().items():
        assert_allclose(first[name], value, rtol=1e-7, atol=1e-12)


def test_members_start_from_different_weights_each_scaled_to_the_bags():
    X, y = make_data()
    classifier = small(max_epochs=1, learning_rate=1e-12, dtype="float64").fit(X, y)
    for single in alone(classifier):
        lengths = np.linalg.norm(single.transform(X).reshape(len(X), 2, 4), axis=2)
        assert_allclose(lengths.mean(axis=0), 0.5, atol=1e-3)
    scores = [single.decision_function(X) for single in alone(classifier)]
    assert np.abs(np.diff(scores, axis=0)).max(axis=1).min() > 0.1


def test_the_loss_curve_is_the_mean_of_the_members():
    X, y = make_data()
    params = {"dropout": 0.0, "dtype": "float64", "batch_size": len(X), "max_epochs": 1}
    classifier = small(**params, learning_rate=1e-12).fit(X, y)
    losses = []
    for single in alone(classifier):
        p = single.predict_proba(X)[:, 1]
        over, under = np.maximum(p - 0.1, 0) ** 2, np.maximum(0.9 - p, 0) ** 2
        losses.append(np.where(y == 1, under, over).mean())
    assert_allclose(classifier.loss_curve_, [np.mean(losses)], rtol=1e-6)


def test_early_stopping_warm_start_and_steps():
    X, y = make_data()
    stopped = small(early_stopping=True, max_epochs=30, n_iter_no_change=3).fit(X, y)
    assert len(stopped.validation_loss_curve_) == stopped.n_iter_
    continued = small(warm_start=True).fit(X, y).fit(X, y)
    assert continued.n_iter_ == 10
    with pytest.raises(ValueError, match="n_members"):
        continued.set_params(n_members=4).fit(X, y)
    assert small().partial_fit(X, y, classes=[0, 1]).n_iter_ == 1


# --- Predictions -------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_means_over_the_members(kind, n_classes):
    X, y = make_data(n_classes)
    classifier = small(dtype="float64", **kind).fit(X, y)
    expected = np.mean([single.predict_proba(X) for single in alone(classifier)], axis=0)
    assert_allclose(classifier.predict_proba(X), expected, rtol=1e-9)
    assert_array_equal(classifier.predict(X), expected.argmax(axis=1))
    assert classifier.decision_function(X).shape == ((len(X),) if n_classes == 2 else (len(X), 3))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_instance_weights_are_means_over_the_members(kind, n_classes):
    X, y = make_data(n_classes)
    classifier = small(dtype="float64", **kind).fit(X, y)
    # Of the class that all members predict together, which need not be that of each of them.
    labels = classifier.predict(X)
    weights = classifier.instance_weights(X)
    expected = np.zeros((len(X), 7))
    for single in alone(classifier):
        network, scaled = single.net_.module_, [single.scaler_.transform(bag) for bag in X]
        for i, bag in enumerate(scaled):
            bag_index = torch.zeros(len(bag), dtype=torch.int64)
            with torch.no_grad():
                _, _, c = network(torch.from_numpy(bag), bag_index, 1)
            capsule = labels[i] if c.shape[1] > 1 else 0
            expected[i, : len(bag)] += c[:, capsule].numpy() / 3
    for found, row in zip(weights, expected, strict=True):
        assert_allclose(found, row[: len(found)], rtol=1e-7)
        assert_allclose(found.sum(), 1)


def test_embeddings_stand_side_by_side():
    X, y = make_data()
    classifier = small(dtype="float64").fit(X, y)
    expected = np.hstack([single.transform(X) for single in alone(classifier)])
    assert_allclose(classifier.transform(X), expected, rtol=1e-9)
    assert len(classifier.get_feature_names_out()) == expected.shape[1] == 3 * 2 * 4


def test_the_mean_depends_less_on_the_seed():
    X, y = make_data(n_bags=60)

    def spread(n_members):
        fits = [
            small(n_members=n_members, random_state=seed, max_epochs=10).fit(X[:40], y[:40])
            for seed in range(5)
        ]
        return np.std([c.predict_proba(X[40:])[:, 1] for c in fits], axis=0).mean()

    assert spread(5) < 0.75 * spread(1)


def test_a_bag_has_the_same_score_in_any_company_and_order():
    X, y = make_data()
    classifier = small().fit(X, y)
    expected = classifier.decision_function(X)
    by_itself = [classifier.decision_function([bag[::-1]])[0] for bag in X]
    assert_allclose(by_itself, expected, rtol=1e-4, atol=1e-5)


# --- As a classifier ---------------------------------------------------------------------


@parametrize_with_checks(
    [  # in full batches of float64, where weights equal repetitions
        DPMINNClassifier(
            n_members=2,
            calibration_cv=None,
            max_epochs=30,
            batch_size=1000,
            dropout=0.0,
            dtype="float64",
            random_state=0,
        )
    ]
)
def test_sklearn_check(estimator, check):
    check(estimator)


def test_one_member_is_the_network_itself():
    X, y = make_data()
    assert isinstance(small(n_members=1).fit(X, y).net_.module_, DPMINN)
    assert isinstance(small(n_members=2).fit(X, y).net_.module_, Ensemble)


@pytest.mark.parametrize("options", [{"chunk_size": 3}, {"gradient_checkpointing": True}])
def test_memory_is_saved_without_other_results(options):
    X, y = make_data()
    params = {"dtype": "float64", "dropout": 0.0}
    expected = small(**params).fit(X, y).decision_function(X)
    assert_allclose(small(**params, **options).fit(X, y).decision_function(X), expected, rtol=1e-9)


def test_pickles_and_tools():
    X, y = make_data()
    classifier = small().fit(X, y)
    again = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(again.decision_function(X), classifier.decision_function(X))
    assert len(cross_val_score(small(), X, y, cv=3)) == 3
    search = GridSearchCV(small(max_epochs=2), {"n_members": [1, 2]}, cv=2).fit(X, y)
    assert search.best_params_["n_members"] in (1, 2)


@pytest.mark.parametrize("n_members", [0, 1.5])
def test_bad_numbers_are_refused(n_members):
    X, y = make_data()
    with pytest.raises(ValueError, match="n_members"):
        small(n_members=n_members).fit(X, y)
