"""MILES against its definition, one bag and one concept at a time."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from strategies import ragged_bags

from skmil import Bags, _pairs, check_bags
from skmil.datasets import make_bags
from skmil.embedding import MILESEmbedding


def naive(bag, concepts, gamma):
    """The row of one bag."""
    return [
        max(np.exp(-gamma * ((instance - concept) ** 2).sum()) for instance in bag)
        for concept in concepts
    ]


def to_sparse(bags, container=sp.csr_array):
    return bags.replace_instances(container(bags.instances))


@given(ragged_bags(), st.sampled_from(["scale", "auto", 0.3]), st.integers(1, 5))
def test_rows_are_what_the_definition_says(bags, gamma, block):
    embedding = MILESEmbedding(gamma=gamma).fit(bags)
    values = {"scale": embedding.gamma_, "auto": 1 / bags.n_features, 0.3: 0.3}
    expected = [naive(bag, embedding.concepts_, values[gamma]) for bag in bags]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pairs, "_BLOCK_ROWS", block)
        patch.setattr(_pairs, "_BLOCK_COLUMNS", block)
        assert_allclose(embedding.transform(bags), expected, rtol=1e-9, atol=1e-12)


def test_the_whole_matrix_of_instances_is_never_computed(monkeypatch):
    sizes = []

    def watched(left, right, compare, *ufuncs):
        def watching(i, j):
            block = compare(i, j)
            sizes.append(block.size)
            return block

        return _pairs.reduce_pairs(left, right, watching, *ufuncs)

    monkeypatch.setattr("skmil.embedding._miles.reduce_pairs", watched)
    monkeypatch.setattr(_pairs, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(_pairs, "_BLOCK_COLUMNS", 5)
    MILESEmbedding().fit_transform([np.random.default_rng(0).normal(size=(40, 2))])
    assert max(sizes) == 35
    assert sum(sizes) == 1600


@given(ragged_bags())
def test_a_bag_is_similar_to_its_own_instances(bags):
    embedding = MILESEmbedding(gamma=1.0).fit(bags)
    rows = embedding.transform(bags)
    own = rows[embedding.concept_bags_, np.arange(rows.shape[1])]
    assert_allclose(own, 1.0, atol=1e-9)
    assert (rows <= 1.0).all()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_concepts_are_the_distinct_training_instances_and_say_which(container):
    table = np.array([[1.0, 2.0], [0.0, 0.5], [1.0, 2.0], [3.0, 3.0], [0.0, 0.5], [0.0, 0.0]])
    bags = Bags(container(table), [0, 1, 4, 6])
    embedding = MILESEmbedding().fit(bags)
    pointers = zip(embedding.concept_bags_, embedding.concept_instances_, strict=True)
    # Of equal instances the first: [1, 2] is in bags 0 and 1, [0, 0.5] in bags 1 and 2.
    assert sorted(pointers) == [(0, 0), (1, 0), (1, 2), (2, 1)]
    positions = bags.offsets[embedding.concept_bags_] + embedding.concept_instances_
    concepts = embedding.concepts_
    assert_array_equal(concepts.toarray() if sp.issparse(concepts) else concepts, table[positions])
    assert embedding.transform(bags).shape == (3, 4)
    assert embedding.get_feature_names_out().tolist() == [f"concept{k}" for k in range(4)]


def test_rows_do_not_depend_on_the_order_of_bags_or_instances_in_training():
    data = make_bags(n_bags=20, random_state=0)
    rng = np.random.default_rng(0)
    shuffled = [bag[rng.permutation(len(bag))] for bag in data.bags[rng.permutation(20)]]
    expected = MILESEmbedding().fit(data.bags).transform(data.bags)
    assert_allclose(MILESEmbedding().fit(shuffled).transform(data.bags), expected, rtol=1e-9)


@given(ragged_bags(), st.sampled_from([sp.csr_matrix, sp.csr_array]))
def test_sparse_and_dense_mix(bags, container):
    sparse = to_sparse(bags, container)
    from_dense, from_sparse = MILESEmbedding().fit(bags), MILESEmbedding().fit(sparse)
    assert sp.issparse(from_sparse.concepts_)
    assert from_sparse.gamma_ == pytest.approx(from_dense.gamma_)
    expected = from_dense.transform(bags)
    assert isinstance(from_sparse.transform(sparse), np.ndarray)
    for found in (from_sparse.transform(sparse), from_sparse.transform(bags)):
        assert_allclose(found, expected, rtol=1e-7, atol=1e-10)
    assert_allclose(from_dense.transform(sparse), expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_gamma_scale_is_that_of_scikit_learns_kernels(container):
    table = np.where(np.random.default_rng(0).random((60, 4)) < 0.4, 0.0, 3.0) + np.eye(60, 4)
    bags = Bags(container(table), [0, 10, 60])
    assert MILESEmbedding().fit(bags).gamma_ == pytest.approx(1 / (4 * table.var()))
    constant = Bags(container(np.full((60, 4), 0.1)), [0, 10, 60])
    assert MILESEmbedding().fit(constant).gamma_ == 1.0


def test_float32_is_compared_in_float64_and_kept():
    rng = np.random.default_rng(0)
    bags = Bags((100 + rng.normal(size=(30, 5))).astype(np.float32), [0, 7, 30])
    rows = MILESEmbedding(gamma=1.0).fit_transform(bags)
    assert rows.dtype == np.float32
    exact = MILESEmbedding(gamma=1.0).fit_transform(
        bags.replace_instances(bags.instances.astype(np.float64))
    )
    assert_allclose(rows, exact, rtol=1e-6)


def test_coefficients_of_the_1_norm_lead_back_to_witnesses():
    data = make_bags(n_bags=60, witness_rate=0.3, class_sep=3.0, random_state=0)
    svm = LinearSVC(penalty="l1", dual=False, random_state=0)
    model = make_pipeline(MILESEmbedding(), svm).fit(data.bags, data.target)
    embedding = model[0]
    chosen = np.flatnonzero(svm.coef_[0] > 0)
    assert 0 < len(chosen) < 60
    positions = data.bags.offsets[embedding.concept_bags_] + embedding.concept_instances_
    assert data.instance_labels[positions[chosen]].mean() > 0.9
    assert data.instance_labels.mean() < 0.2


def test_names_reach_a_frame():
    frames = [pd.DataFrame({"energy": [1.0, 2.0]}), pd.DataFrame({"energy": [5.0]})]
    table = MILESEmbedding().set_output(transform="pandas").fit_transform(frames)
    assert table.columns.tolist() == ["concept0", "concept1", "concept2"]


@pytest.mark.parametrize("gamma", [0.0, -1.0, "wide", None])
def test_refuses_wrong_gamma(gamma):
    with pytest.raises(ValueError, match=re.escape("The 'gamma' parameter of MILESEmbedding")):
        MILESEmbedding(gamma=gamma).fit([np.zeros((2, 2))])


def test_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        MILESEmbedding().transform([np.zeros((2, 2))])
    with pytest.raises(NotFittedError):
        MILESEmbedding().get_feature_names_out()


def test_input_is_not_modified():
    for container in (np.asarray, sp.csr_array):
        bags = check_bags([container(np.eye(3)), container(np.ones((2, 3)))])
        before = bags.instances.copy()
        MILESEmbedding().fit_transform(bags)
        assert abs(bags.instances - before).sum() == 0


def test_a_large_offset_costs_no_digits():
    rng = np.random.default_rng(0)
    bags = [np.round(rng.normal(size=(size, 3)), 3) for size in (4, 1, 6)]
    near = MILESEmbedding(gamma=0.5).fit_transform(bags)
    far = MILESEmbedding(gamma=0.5).fit_transform([bag + 2.0**27 for bag in bags])
    # The concepts are in an order of their own, and the offset rounds the values themselves.
    assert_allclose(np.sort(far), np.sort(near), atol=1e-6)
    assert far.max() == 1.0
