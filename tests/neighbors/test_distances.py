"""Distances between bags against their formulas, one pair of bags at a time."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist, directed_hausdorff
from strategies import ragged_bags

from skmil import _distances as of_instances
from skmil import _pairs, check_bags
from skmil.neighbors import bag_distances
from skmil.neighbors._distances import METRICS

every_metric = pytest.mark.parametrize("metric", METRICS)


def of_two_bags(a, b, metric):
    """Return the distance of two bags by its formula."""
    pairs = cdist(a, b)
    nearest = [*pairs.min(axis=1), *pairs.min(axis=0)]
    return {
        "hausdorff": max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0]),
        "minimum": pairs.min(),
        "average": sum(nearest) / (len(a) + len(b)),
        "all_pairs": pairs.mean(),
    }[metric]


@st.composite
def two_collections(draw):
    """Two collections of bags with the same features."""
    left = draw(ragged_bags(max_bags=8, min_bags=2))
    stop = draw(st.integers(1, left.n_bags - 1))
    return left[:stop], left[stop:]


@given(two_collections(), st.sampled_from(list(METRICS)))
def test_two_collections_by_the_formulas(data, metric):
    left, right = data
    expected = [[of_two_bags(a, b, metric) for b in right] for a in left]
    assert_allclose(bag_distances(left, right, metric=metric), expected, rtol=1e-9)


@given(ragged_bags(), st.sampled_from(list(METRICS)))
def test_one_collection_by_the_formulas(bags, metric):
    found = bag_distances(bags, metric=metric)
    expected = [[of_two_bags(a, b, metric) for b in bags] for a in bags]
    assert_allclose(found, expected, rtol=1e-9)
    assert_array_equal(found, found.T)
    if metric != "all_pairs":
        assert_array_equal(found.diagonal(), 0)


def test_worked_example():
    # From 0 to the nearest of {1, 5} it is 1, from 2 it is 1; from 1 it is 1, from 5 it is 3.
    a, b = np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]])
    expected = {"hausdorff": 3.0, "minimum": 1.0, "average": 6 / 4, "all_pairs": 10 / 4}
    for metric, value in expected.items():
        assert bag_distances([a], [b], metric=metric) == pytest.approx(value)
        assert bag_distances([b], [a], metric=metric) == pytest.approx(value)
    assert bag_distances([a], [b]) == 3.0  # the default


@every_metric
def test_bags_are_compared_in_blocks(metric, monkeypatch):
    rng = np.random.default_rng(0)
    sizes = [1, 30, 2, 7, 25]
    bags = check_bags([rng.normal(size=(size, 3)) for size in sizes])
    expected = bag_distances(bags, bags, metric=metric)

    shapes = []
    original = of_instances._expand

    def expand(products, *norms):
        shapes.append(products.shape)
        return original(products, *norms)

    monkeypatch.setattr(of_instances, "_expand", expand)
    monkeypatch.setattr(_pairs, "_BLOCK_ROWS", 6)
    monkeypatch.setattr(_pairs, "_BLOCK_COLUMNS", 10)
    for container in (np.asarray, sp.csr_array):
        shapes.clear()
        packed = bags.replace_instances(container(bags.instances))
        assert_allclose(bag_distances(packed, bags, metric=metric), expected, rtol=1e-11)
        assert max(shapes) == (6, 10)
        assert len(shapes) >= 65 * 65 / 60


@every_metric
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_bags_stay_sparse(metric, container, monkeypatch):
    rng = np.random.default_rng(0)
    dense = [rng.normal(size=(size, 50)) * (rng.random((size, 50)) < 0.1) for size in (3, 1, 6)]
    dense[2][0] = dense[0][1]
    bags = [container(bag) for bag in dense]
    toarray = sp.csr_array.toarray

    def refuse_features(self, *args, **kwargs):
        assert self.shape[1] != 50, "instances made dense"
        return toarray(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        for cls in (sp.csr_array, sp.csr_matrix):
            patch.setattr(cls, "toarray", refuse_features)
            patch.setattr(cls, "todense", None)
        found = bag_distances(bags, metric=metric)
        between = bag_distances(bags, bags[1:], metric=metric)
    assert_allclose(found, bag_distances(dense, metric=metric), rtol=1e-11)
    assert_allclose(between, found[:, 1:], rtol=1e-11)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_shared_instance_makes_the_minimum_exactly_zero(container):
    rng = np.random.default_rng(0)
    bags = [1e4 + 1e3 * rng.normal(size=(4, 30)) for _ in range(3)]
    bags[2][3] = bags[0][1]
    found = bag_distances([container(bag) for bag in bags], metric="minimum")
    assert found[0, 2] == found[2, 0] == 0
    assert found[0, 1] > 1e3


@every_metric
def test_the_distance_of_two_bags_is_theirs_alone(metric):
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(size, 4)) for size in (3, 5, 1)]
    far = 1e6 + rng.normal(size=(500, 4))
    together = bag_distances([*bags, far], [*bags, far], metric=metric)
    for i, a in enumerate(bags):
        for j, b in enumerate(bags):
            alone = bag_distances([a], [b], metric=metric)
            assert_allclose(together[i, j], alone[0, 0], rtol=1e-10)


@pytest.mark.parametrize("metric", ["euclidean", "Hausdorff", None])
def test_unknown_metrics_are_refused(metric):
    message = f"metric is {metric!r}; choose from ['hausdorff', 'minimum', 'average', 'all_pairs']"
    with pytest.raises(ValueError, match=re.escape(message)):
        bag_distances([np.eye(2)], metric=metric)


def test_other_features_are_refused():
    with pytest.raises(ValueError, match="X has 2 features, but Y has 3"):
        bag_distances([np.eye(2)], [np.eye(3)])
