import numpy as np
import pytest
from networks import make_data
from numpy.testing import assert_allclose
from packing import naive_pool
from scipy.special import expit, logit

from skmil import InstanceNetClassifier
from skmil.datasets import load_digit_bags

SMALL = {"hidden_layer_sizes": (8, 4), "max_epochs": 5, "random_state": 0}
POOLINGS = [("max", 1.0), ("mean", 1.0), ("lse", 1.0), ("lse", 6.0)]
every_pooling = pytest.mark.parametrize(("pooling", "r"), POOLINGS)


def small(**params):
    return InstanceNetClassifier(**{**SMALL, **params})


@every_pooling
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_probability_of_a_bag_is_pooled_from_those_of_its_instances(pooling, r, n_classes):
    X, y = make_data(n_classes)
    classifier = small(pooling=pooling, sharpness=r, dtype="float64").fit(X, y)
    # The rows of a bag are bags of one instance, so these are probabilities of instances.
    pooled = np.array([naive_pool(classifier.predict_proba(bag), pooling, r) for bag in X])
    if n_classes == 2:
        assert_allclose(classifier.predict_proba(X)[:, 1], pooled[:, 1], rtol=1e-9)
        assert_allclose(classifier.decision_function(X), logit(pooled[:, 1]), rtol=1e-7)
    else:
        assert_allclose(np.exp(classifier.decision_function(X)), pooled, rtol=1e-9)
        shares = pooled / pooled.sum(axis=1, keepdims=True)
        assert_allclose(classifier.predict_proba(X), shares, rtol=1e-9)


@every_pooling
def test_the_loss_is_cross_entropy_of_the_pooled_probability(pooling, r):
    X, y = make_data()
    settings = {"pooling": pooling, "sharpness": r, "learning_rate": 1e-12, "dtype": "float64"}
    classifier = small(**settings).fit(X, y)
    p = classifier.predict_proba(X)[np.arange(len(y)), y]
    assert classifier.loss_curve_[-1] == pytest.approx(-np.log(p).mean(), rel=1e-6)


@pytest.mark.parametrize("pooling", ["max", "mean", "lse"])
def test_scores_far_outside_of_the_training_data_are_finite(pooling):
    X, y = make_data()
    classifier = small(pooling=pooling, max_epochs=30, learning_rate=0.01).fit(X, y)
    for scale in (1e3, 1e10, 1e30):
        scores = classifier.decision_function([scale * bag for bag in X])
        assert np.isfinite(scores).all()
        assert np.abs(scores).max() > 80  # beyond what a probability could tell from 0 or 1
        assert_allclose(classifier.predict_proba([scale * bag for bag in X])[:, 1], expit(scores))


def test_one_positive_instance_makes_a_bag_positive_by_maximum_only():
    X, y = make_data(n_bags=80)
    for pooling, positive in (("max", True), ("mean", False)):
        classifier = small(pooling=pooling, max_epochs=40, learning_rate=0.01).fit(X, y)
        instances = np.vstack(X)
        p = classifier.predict_proba(instances)[:, 1]
        bag = np.vstack([instances[[p.argmax()]], np.repeat(instances[[p.argmin()]], 9, axis=0)])
        assert classifier.predict([bag]) == positive


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pooling": "sum"}, "The 'pooling' parameter"),
        ({"sharpness": 0.0}, "The 'sharpness' parameter"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes needs"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
    ],
)
def test_bad_parameters_are_refused_at_fit(params, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        small(**params).fit(X, y)


def test_dropout_changes_training():
    X, y = make_data()
    assert small().fit(X, y).loss_curve_ != small(dropout=0.5).fit(X, y).loss_curve_


@pytest.mark.parametrize(
    ("params", "strength"),
    [
        ({}, 0.05),
        ({"pooling": "mean"}, 0.005),
        ({"pooling": "lse"}, 0.005),
        ({"pooling": "lse", "weight_decay": 0.3}, 0.3),
    ],
)
def test_weight_decay_suits_the_pooling_unless_it_is_given(params, strength):
    net = small(**params).fit(*make_data()).net_
    assert net.optimizer_.param_groups[0]["weight_decay"] == strength


@pytest.mark.parametrize("pooling", ["mean", "lse"])
def test_a_mean_of_probabilities_is_learnt_with_the_defaults(pooling):
    X, y = load_digit_bags(random_state=0, return_X_y=True)
    classifier = InstanceNetClassifier(pooling=pooling, random_state=0).fit(X[:100], y[:100])
    assert classifier.loss_curve_[-1] < 0.4  # guessing costs 0.69
