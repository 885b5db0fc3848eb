"""One weighted SVM: merging of equal rows, and gamma."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.svm import SVC

from skmil.svm._solver import dense_blocks, fit_svc, merge_equal_rows


@st.composite
def weighted_rows(draw):
    """Few distinct rows, so that many are equal, with labels and weights."""
    n_rows = draw(st.integers(1, 12))
    values = st.sampled_from([-1.0, -0.0, 0.0, 2.0])
    rows = draw(hnp.arrays(np.float64, (n_rows, 2), elements=values))
    labels = draw(hnp.arrays(np.int64, n_rows, elements=st.sampled_from([-1, 1])))
    weight = draw(hnp.arrays(np.int64, n_rows, elements=st.integers(1, 5)))
    return rows, labels, weight.astype(float)


@given(weighted_rows(), st.randoms(use_true_random=False))
def test_merging_sums_weights_and_forgets_the_order(data, random):
    rows, labels, weight = data
    expected = {}
    for row, label, w in zip(rows.tolist(), labels.tolist(), weight.tolist(), strict=True):
        expected[(*row, label)] = expected.get((*row, label), 0.0) + w
    merged = merge_equal_rows(rows, labels, weight)
    found = {
        (*row, label): w for row, label, w in zip(*(part.tolist() for part in merged), strict=True)
    }
    assert len(merged[0]) == len(expected)
    assert found == expected

    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = merge_equal_rows(rows[order], labels[order], weight[order])
    for part, other in zip(merged, shuffled, strict=True):
        np.testing.assert_array_equal(part, other)


@given(weighted_rows())
def test_sparse_rows_merge_like_dense_ones(data):
    rows, labels, weight = data
    dense = merge_equal_rows(rows, labels, weight)
    sparse = merge_equal_rows(sp.csr_array(rows), labels, weight)
    assert sp.issparse(sparse[0])
    np.testing.assert_array_equal(sparse[0].toarray(), dense[0])
    np.testing.assert_array_equal(sparse[1], dense[1])
    np.testing.assert_array_equal(sparse[2], dense[2])


def test_stored_zeros_are_zeros():
    stored = sp.csr_array((np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1]), np.array([0, 2, 3])))
    rows, _, weight = merge_equal_rows(stored, np.array([1, 1]), np.array([1.0, 2.0]))
    assert rows.shape == (1, 2)
    assert weight.tolist() == [3.0]
    assert stored.nnz == 3  # not modified


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_svc_on_merged_rows_is_the_svc_on_all(container):
    rng = np.random.default_rng(0)
    rows = rng.integers(-2, 3, size=(60, 2)).astype(float)
    labels = np.where(rows.sum(axis=1) + rng.normal(size=60) > 0, 1, -1)
    weight = rng.uniform(0.5, 2.0, size=60)
    params = {"kernel": "rbf", "gamma": 0.5, "tol": 1e-9}
    plain = SVC(**params).fit(rows, labels, sample_weight=weight)
    merged = fit_svc(container(rows), labels, weight, **params)
    np.testing.assert_allclose(
        merged.decision_function(container(rows)), plain.decision_function(rows), atol=1e-6
    )


@pytest.mark.parametrize("block_size", [1, 4, 6, 100])
def test_blocks_are_the_matrix_in_parts_of_limited_size(block_size, monkeypatch):
    monkeypatch.setattr("skmil.svm._solver._BLOCK_SIZE", block_size)
    rows = np.arange(14.0).reshape(7, 2)
    blocks = list(dense_blocks(sp.csr_array(rows)))
    np.testing.assert_array_equal(np.concatenate(blocks), rows)
    assert all(block.size <= max(block_size, 2) for block in blocks)
