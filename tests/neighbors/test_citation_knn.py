"""CitationKNNClassifier by the definition, one query at a time."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from real_data import path_of
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from strategies import ragged_bags

from skmil import Bags, InstanceTransformer
from skmil.neighbors import BagDistance, CitationKNNClassifier, bag_distances
from skmil.neighbors._distances import METRICS

every_metric = pytest.mark.parametrize("metric", METRICS)


def make_data(n_bags=24, n_classes=2, seed=0, n_features=20):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_bags) % n_classes)
    bags = [rng.normal(size=(rng.integers(1, 6), n_features)) for _ in y]
    for bag, label in zip(bags, y, strict=True):
        bag[0] += 2 * label
    return bags, y


def votes_by_definition(train, labels, query, metric, n_references, n_citers):
    """Return the labels of the references and citers of one query, where there are no ties."""
    to_query = bag_distances(train, [query], metric=metric)[:, 0]
    references = sorted(range(len(train)), key=lambda i: to_query[i])[:n_references]
    citers = []
    for i, bag in enumerate(train):
        others = [other for j, other in enumerate(train) if j != i]
        distances = bag_distances([bag], others, metric=metric)[0]
        nearest = sorted([*distances, to_query[i]])[:n_citers]
        if to_query[i] in nearest:
            citers.append(i)
    return [labels[i] for i in [*references, *citers]]


@pytest.mark.parametrize("params", [{}, {"metric": "all_pairs", "n_citers": 0}])
def test_scikit_learn_checks(params):
    check_estimator(CitationKNNClassifier(**params), on_skip=None)


@given(
    bags=ragged_bags(min_bags=6, max_bags=9),
    codes=st.lists(st.integers(0, 2), min_size=9, max_size=9),
    metric=st.sampled_from(list(METRICS)),
    n_references=st.integers(1, 4),
    n_citers=st.integers(0, 4),
)
def test_votes_by_the_definition(bags, codes, metric, n_references, n_citers):
    train, queries = bags[: bags.n_bags - 2], bags[bags.n_bags - 2 :]
    labels = np.array([0, 1, *codes])[: train.n_bags]
    model = CitationKNNClassifier(n_references=n_references, n_citers=n_citers, metric=metric)
    shares = model.fit(train, labels).predict_proba(queries)
    for query, found in zip(queries, shares, strict=True):
        votes = votes_by_definition(list(train), labels, query, metric, n_references, n_citers)
        counts = np.bincount(votes, minlength=len(model.classes_))
        assert_allclose(found, counts / len(votes), atol=1e-9)


def test_worked_example():
    # Closest instances lie at 0, 1, 3, 7, 12, and at 1.8 in the query. See test_citation for the
    # lists: the references are the bags at 1 and 3, the citers those at 0, 1 and 3.
    bags = [np.array([[near], [1000.0 * i]]) for i, near in enumerate([0.0, 1, 3, 7, 12], start=1)]
    y = ["pos", "pos", "neg", "neg", "neg"]
    model = CitationKNNClassifier(n_references=2, n_citers=2, metric="minimum").fit(bags, y)
    query = [np.array([[-1000.0], [1.8]])]
    assert_allclose(model.predict_proba(query), [[2 / 5, 3 / 5]])
    assert_allclose(model.decision_function(query), [1 / 5])
    assert model.predict(query) == ["pos"]
    # Of three references two are positive, of five citers two: a tie, which is negative.
    model.set_params(n_references=3, n_citers=3).fit(bags, y)
    assert_array_equal(model.predict_proba(query), [[0.5, 0.5]])
    assert model.decision_function(query) == 0
    assert model.predict(query) == ["neg"]


@every_metric
def test_without_citers_it_is_nearest_neighbours(metric):
    bags, y = make_data()
    new, _ = make_data(seed=1)
    found = CitationKNNClassifier(n_references=5, n_citers=0, metric=metric).fit(bags, y)
    nearest = KNeighborsClassifier(5, metric="precomputed")
    expected = make_pipeline(BagDistance(metric=metric), nearest).fit(bags, y)
    assert_allclose(found.predict_proba(new), expected.predict_proba(new), atol=1e-11)


@every_metric
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0}])
def test_weights_are_numbers_of_copies(metric, n_classes, class_weight):
    bags, y = make_data(n_classes=n_classes)
    new, _ = make_data(seed=1)
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, size=len(y))
    order = rng.permutation(np.repeat(np.arange(len(y)), weight))
    model = CitationKNNClassifier(
        n_references=3, n_citers=5, metric=metric, class_weight=class_weight
    )
    for queries in (bags, new):  # the training bags are at equal distances of their copies
        weighted = model.fit(bags, y, sample_weight=weight).predict_proba(queries)
        copied = model.fit([bags[i] for i in order], y[order]).predict_proba(queries)
        assert_allclose(weighted, copied, atol=1e-11)


def test_the_order_of_equally_near_training_bags_does_not_matter():
    rng = np.random.default_rng(0)
    bags = [rng.integers(0, 3, size=(2, 2)).astype(float) for _ in range(30)]
    y = rng.integers(0, 3, size=30)
    order = rng.permutation(30)
    model = CitationKNNClassifier(metric="minimum")
    expected = model.fit(bags, y).predict_proba(bags)
    found = model.fit([bags[i] for i in order], y[order]).predict_proba(bags)
    assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 20  # places were shared


def test_thirds_of_votes_add_up_to_a_tie():
    # Six bags at the same distance share two places: for each class three times a third of one.
    bags = [np.array([[value]]) for value in (1.0, -1.0) * 3]
    y = ["a", "a", "a", "b", "b", "b"]
    model = CitationKNNClassifier(n_references=2, n_citers=0)
    for shift in range(6):
        model.fit(bags, np.roll(y, shift))
        assert model.decision_function([[[0.0]]]) == 0
        assert model.predict([[[0.0]]]) == ["a"]


def test_queries_do_not_cite_each_other():
    bags, y = make_data()
    new, _ = make_data(seed=1)
    model = CitationKNNClassifier().fit(bags, y)
    expected = model.predict_proba(new)
    company = [*new, *new[:1] * 20]
    assert_array_equal(model.predict_proba(company)[: len(new)], expected)


def test_factors_of_classes_multiply_votes():
    bags = [np.array([[value]]) for value in (0.0, 1.0, 5.0, 6.0)]
    y = [0, 1, 1, 0]
    query = [[[0.4]]]
    # References: at 0 and 1. Both cite it, and no other does.
    model = CitationKNNClassifier(n_references=2, n_citers=1)
    assert_allclose(model.fit(bags, y).predict_proba(query), [[0.5, 0.5]])
    # The bag at 0 takes one of two places, the one at 1 as three bags the other. Citers count
    # one and three.
    model.set_params(class_weight={1: 3.0}).fit(bags, y)
    assert_allclose(model.predict_proba(query), [[2 / 6, 4 / 6]])
    # Without a vote there are no references of a class.
    model.set_params(class_weight={0: 0.0}).fit(bags, y)
    assert_array_equal(model.predict_proba(query), [[0, 1]])
    model.set_params(class_weight={0: 0.0, 1: 0.0}).fit(bags, y)
    assert_array_equal(model.predict_proba(query), [[0.5, 0.5]])
    assert model.predict(query) == [0]


def test_a_heavier_class_never_loses_votes():
    bags, y = make_data(n_bags=60, n_features=4)
    new, _ = make_data(n_bags=60, n_features=4, seed=1)
    last = np.full(60, -1.0)
    for factor in (0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 10.0, 100.0):
        model = CitationKNNClassifier(class_weight={0: 1 / factor, 1: factor}).fit(bags, y)
        scores = model.decision_function(new)
        assert (scores >= last).all()
        last = scores
    assert last.mean() > 0.9


@pytest.mark.parametrize(
    ("params", "weight", "message"),
    [
        ({"n_references": 5}, None, "n_references=5 is more than there are training bags, 4."),
        ({"n_citers": 5}, None, "n_citers=5 is more than there are training bags, 4."),
        ({}, [0.25] * 4, "n_references=2 is more than there are training bags, 1."),
        ({}, [1, 1, 1, 0], "n_citers=4 is more than there are training bags, 3."),
        ({"n_references": 0}, None, "The 'n_references' parameter"),
        ({"n_citers": -1}, None, "The 'n_citers' parameter"),
        ({"n_citers": 2.0}, None, "The 'n_citers' parameter"),
        ({"metric": "euclidean"}, None, "The 'metric' parameter"),
        ({"class_weight": "equal"}, None, "The 'class_weight' parameter"),
        ({}, [1, 1, 0, 0], "y has one class only"),
    ],
)
def test_what_is_refused(params, weight, message):
    bags = [np.full((1, 1), value) for value in range(4)]
    with pytest.raises(ValueError, match=re.escape(message)):
        CitationKNNClassifier(**params).fit(bags, [0, 0, 1, 1], sample_weight=weight)


def test_as_many_references_and_citers_as_bags_are_taken():
    bags = [np.full((1, 1), value) for value in range(4)]
    model = CitationKNNClassifier(n_references=4, n_citers=4).fit(bags, [0, 1, 1, 1])
    assert_array_equal(model.predict_proba(bags), [[0.25, 0.75]] * 4)
    thirds = np.full(15, 1 / 3)
    assert thirds.sum() < 5  # by rounding
    model = CitationKNNClassifier(n_references=5, n_citers=0)
    model.fit([*bags * 3, *bags[1:]], [0, 1, 1, 1] * 3 + [1, 1, 1], sample_weight=thirds)
    assert_allclose(model.predict_proba(bags), [[0.2, 0.8]] * 4)


def test_must_be_fitted_first():
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(CitationKNNClassifier(), method)([np.eye(2)])


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_bags_are_classified_without_being_made_dense(container, monkeypatch):
    bags, y = make_data()
    for bag in bags:
        bag[np.abs(bag) < 1] = 0
    expected = CitationKNNClassifier().fit(bags, y).predict_proba(bags)
    sparse = [container(bag) for bag in bags]
    toarray = sp.csr_array.toarray

    def refuse_features(self, *args, **kwargs):
        assert self.shape[1] != 20, "instances made dense"
        return toarray(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        for cls in (sp.csr_array, sp.csr_matrix):
            patch.setattr(cls, "toarray", refuse_features)
        found = CitationKNNClassifier().fit(sparse, y).predict_proba(sparse)
    assert_allclose(found, expected, atol=1e-11)


def test_musk1_on_its_published_folds():
    data = np.load(path_of("musk1"))
    bags, y = Bags(data["instances"], data["offsets"]), data["y"]
    model = make_pipeline(InstanceTransformer(), CitationKNNClassifier(metric="minimum"))
    scores = cross_val_score(model, bags, y, cv=PredefinedSplit(data["folds"][0]))
    assert scores.mean() >= 0.8


def test_sparse_web_pages():
    data = np.load(path_of("web1"))
    parts = (data["csr_data"], data["csr_indices"], data["csr_indptr"])
    bags = Bags(sp.csr_array(parts, shape=data["csr_shape"]), data["offsets"])
    train, test = np.flatnonzero(data["split"] == 0), np.flatnonzero(data["split"] == 1)
    model = CitationKNNClassifier(metric="minimum").fit(bags[train], data["y"][train])
    assert roc_auc_score(data["y"][test], model.decision_function(bags[test])) >= 0.9


def test_predictions_keep_to_the_parameters_of_fit():
    rng = np.random.default_rng(0)
    bags, new = ([rng.normal(size=(3, 2)) for _ in range(30)] for _ in range(2))
    model = CitationKNNClassifier(n_references=3, n_citers=2).fit(bags, np.arange(30) % 2)
    expected = model.predict_proba(new)
    model.set_params(n_references=1, n_citers=6, metric="minimum")
    assert_array_equal(model.predict_proba(new), expected)


@pytest.mark.parametrize("n_queries", [1, 7, 100])
def test_queries_may_be_voted_on_in_parts(n_queries, monkeypatch):
    rng = np.random.default_rng(0)
    bags, new = ([rng.normal(size=(3, 2)) for _ in range(30)] for _ in range(2))
    model = CitationKNNClassifier().fit(bags, np.arange(30) % 2)
    expected = model.predict_proba(new)
    monkeypatch.setattr("skmil.neighbors._citation_knn._QUERIES", n_queries)
    assert_array_equal(model.predict_proba(new), expected)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_training_bags_may_be_compared_in_parts(metric, monkeypatch):
    rng = np.random.default_rng(0)
    bags, new = ([rng.normal(size=(3, 2)) for _ in range(30)] for _ in range(2))
    weight = rng.uniform(0.2, 3.0, size=30)
    model = CitationKNNClassifier(metric=metric)
    expected = model.fit(bags, np.arange(30) % 2, sample_weight=weight).predict_proba(new)
    monkeypatch.setattr("skmil.neighbors._citation_knn._BAGS", 7)
    parts = model.fit(bags, np.arange(30) % 2, sample_weight=weight)
    assert_array_equal(parts.predict_proba(new), expected)
