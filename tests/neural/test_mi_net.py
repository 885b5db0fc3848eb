import numpy as np
import pytest
from networks import layers_of, make_data, weights_of
from numpy.testing import assert_allclose, assert_array_equal
from packing import naive_pool
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmil import MINetClassifier

VARIANTS = ["plain", "deep_supervision", "residual"]
SMALL = {"hidden_layer_sizes": (6, 6), "max_epochs": 5, "random_state": 0}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def small(**params):
    return MINetClassifier(**{**SMALL, **params})


def logits_of_layers(classifier, bag, variant, pooling, r):
    """Return the logits of each linear layer for one bag, by the definition of the variant."""
    network = classifier.net_.module_
    scaled = classifier.scaler_.transform(bag)
    vectors = [naive_pool(h, pooling, r) for h in layers_of(network.encoder, scaled)]
    if variant == "plain":
        vectors = vectors[-1:]
    elif variant == "residual":
        vectors = [np.sum(vectors, axis=0)]
    pairs = zip(map(weights_of, network.heads), vectors, strict=True)
    return np.array([matrix @ vector + bias for (matrix, bias), vector in pairs])


@every_variant
@pytest.mark.parametrize(("pooling", "r"), [("max", 1.0), ("mean", 1.0), ("lse", 3.0)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_and_loss_are_those_of_the_definition(variant, pooling, r, n_classes):
    X, y = make_data(n_classes)
    classifier = small(
        variant=variant, pooling=pooling, sharpness=r, dtype="float64", learning_rate=1e-12
    ).fit(X, y)
    logits = np.array([logits_of_layers(classifier, bag, variant, pooling, r) for bag in X])
    if n_classes == 2:
        p = expit(logits)[:, :, 0]
        assert_allclose(classifier.decision_function(X), logit(p.mean(axis=1)), rtol=1e-7)
        assert_allclose(classifier.predict_proba(X)[:, 1], p.mean(axis=1), rtol=1e-7)
        losses = -np.log(np.where(y[:, None] == 1, p, 1 - p))
    else:
        p = softmax(logits, axis=2)
        assert_allclose(classifier.predict_proba(X), p.mean(axis=1), rtol=1e-7)
        losses = -log_softmax(logits, axis=2)[np.arange(len(y)), :, y]
    # The network has hardly moved, so its loss is that of all epochs.
    assert classifier.loss_curve_[-1] == pytest.approx(losses.sum(axis=1).mean(), rel=1e-6)


@every_variant
def test_embeddings_are_what_the_linear_layers_see(variant):
    X, y = make_data()
    classifier = small(variant=variant, dtype="float64").fit(X, y)
    embeddings = classifier.transform(X)
    assert embeddings.shape == (40, 12 if variant == "deep_supervision" else 6)
    assert len(classifier.get_feature_names_out()) == embeddings.shape[1]
    parts = np.split(embeddings, len(classifier.net_.module_.heads), axis=1)
    p = []
    for head, part in zip(classifier.net_.module_.heads, parts, strict=True):
        matrix, bias = weights_of(head)
        p.append(expit(part @ matrix.T + bias))
    assert_allclose(np.mean(p, axis=0)[:, 0], classifier.predict_proba(X)[:, 1], rtol=1e-9)


def test_widths_of_the_paper_are_the_default():
    X, y = make_data()
    for variant, widths in (
        ("plain", [256, 128, 64]),
        ("deep_supervision", [256, 128, 64]),
        ("residual", [128, 128, 128]),
    ):
        classifier = MINetClassifier(variant=variant, max_epochs=1, random_state=0).fit(X, y)
        encoder = classifier.net_.module_.encoder
        assert [h.shape[0] for h in map(np.ravel, layers_of(encoder, np.zeros((1, 5))))] == widths


def test_dropout_and_pooling_change_training():
    X, y = make_data()
    curves = [
        small(**params).fit(X, y).loss_curve_
        for params in (
            {},
            {"dropout": 0.5},
            {"pooling": "mean"},
            {"pooling": "lse"},
            {"pooling": "lse", "sharpness": 9.0},
        )
    ]
    assert len({tuple(curve) for curve in curves}) == 5


def test_training_goes_on_only_with_the_same_network():
    X, y = make_data()
    classifier = small(hidden_layer_sizes=None, max_epochs=1, warm_start=True).fit(X, y)
    assert classifier.fit(X, y).n_iter_ == 2
    with pytest.raises(ValueError, match="cannot go on with pooling='mean'"):
        classifier.set_params(pooling="mean").fit(X, y)


def test_bag_embeddings_feed_another_classifier():
    X, y = make_data()
    model = make_pipeline(small(variant="residual"), LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.8
    assert_array_equal(model[0].get_feature_names_out(), [f"minetclassifier{i}" for i in range(6)])


def test_grid_search_over_variants_and_poolings():
    X, y = make_data()
    grid = {"variant": VARIANTS, "pooling": ["max", "mean", "lse"]}
    search = GridSearchCV(small(max_epochs=1), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 9


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"variant": "residual", "hidden_layer_sizes": (8, 4)}, "need the same width, got"),
        ({"variant": "dense"}, "The 'variant' parameter"),
        ({"pooling": "sum"}, "The 'pooling' parameter"),
        ({"sharpness": 0.0}, "The 'sharpness' parameter"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes needs at least one width"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes needs"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
    ],
)
def test_bad_parameters_are_refused_at_fit(params, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        small(**params).fit(X, y)
