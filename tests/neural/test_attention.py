import numpy as np
import pytest
from networks import layers_of, make_data, weights_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.exceptions import NotFittedError

from skmil import AttentionMILClassifier

SMALL = {"hidden_layer_sizes": (8, 4), "attention_size": 3, "max_epochs": 5, "random_state": 0}
either = pytest.mark.parametrize("gated", [False, True])


def small(**params):
    return AttentionMILClassifier(**{**SMALL, **params})


@either
@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_embeddings_and_scores_are_those_of_the_definition(gated, n_classes):
    X, y = make_data(n_classes)
    classifier = small(gated=gated, dtype="float64").fit(X, y)
    network = classifier.net_.module_
    V, w = (layer.weight.detach().numpy() for layer in (network.pooling.V, network.pooling.w))
    matrix, bias = weights_of(network.head)
    scores = classifier.decision_function(X).reshape(len(X), -1)
    embeddings = classifier.transform(X)
    for i, weights in enumerate(classifier.instance_weights(X)):
        h = layers_of(network.encoder, classifier.scaler_.transform(X[i]))[-1]
        hidden = np.tanh(h @ V.T)
        if gated:
            hidden = hidden / (1 + np.exp(-h @ network.pooling.U.weight.detach().numpy().T))
        assert_allclose(weights, softmax(hidden @ w[0]), rtol=1e-7)
        assert_allclose(embeddings[i], weights @ h, rtol=1e-7, atol=1e-12)
        assert_allclose(scores[i], matrix @ embeddings[i] + bias, rtol=1e-7, atol=1e-12)


def test_parameters_reach_the_network():
    X, y = make_data()
    assert small(gated=True).fit(X, y).net_.module_.pooling.U.weight.shape == (3, 4)
    assert small().fit(X, y).net_.module_.pooling.U is None
    curves = [small(**p).fit(X, y).loss_curve_ for p in ({}, {"dropout": 0.5}, {"gated": True})]
    assert len({tuple(curve) for curve in curves}) == 3


def test_the_loss_is_cross_entropy():
    X, y = make_data(3)
    classifier = small(learning_rate=1e-12, dtype="float64").fit(X, y)
    p = classifier.predict_proba(X)[np.arange(len(y)), y]
    assert classifier.loss_curve_[-1] == pytest.approx(-np.log(p).mean(), rel=1e-6)


def test_weight_moves_to_the_witness():
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    X = [rng.normal(size=(6, 5)) for _ in y]
    for bag, label in zip(X, y, strict=True):
        bag[2] += 4 * label
    weights = small(max_epochs=60, learning_rate=0.01).fit(X, y).instance_weights(X)
    assert np.mean([w.argmax() == 2 for w, label in zip(weights, y, strict=True) if label]) > 0.9


def test_names_of_embeddings():
    X, y = make_data()
    names = small().fit(X, y).get_feature_names_out()
    assert_array_equal(names, [f"attentionmilclassifier{i}" for i in range(4)])


def test_nothing_works_before_fit():
    X, _ = make_data()
    for method in ("predict", "transform", "instance_weights"):
        with pytest.raises(NotFittedError):
            getattr(small(), method)(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"attention_size": 0}, "The 'attention_size' parameter"),
        ({"gated": "yes"}, "The 'gated' parameter"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes needs"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
    ],
)
def test_bad_parameters_are_refused_at_fit(params, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        small(**params).fit(X, y)
