"""Weighted SVMs on choices of rows: merging of equal rows, kept kernels, and scores."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.svm import SVC

from skmil.svm._solver import Solver, score_rows

PARAMS = {"kernel": "rbf", "gamma": 0.5, "degree": 3, "coef0": 0.0, "tol": 1e-9}


def merge_equal_rows(rows, labels, weight):
    solver = Solver(rows)
    ids, labels, weight = solver._merge(np.arange(len(labels)), labels, weight)
    return solver.rows[ids], labels, weight


def fit_all(rows, labels, weight, *, keep_gram=False, cache_size=200.0, **params):
    solver = Solver(rows)
    solver.configure(cache_size=cache_size, keep_gram=keep_gram, **{**PARAMS, **params})
    return solver, solver.fit(np.arange(len(labels)), labels, weight)


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


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    rows = rng.integers(-2, 3, size=(60, 2)).astype(float)
    labels = np.where(rows.sum(axis=1) + rng.normal(size=60) > 0, 1, -1)
    return rows, labels, rng.uniform(0.5, 2.0, size=60)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_svc_on_merged_rows_is_the_svc_on_all(container, problem):
    rows, labels, weight = problem
    plain = SVC(**PARAMS).fit(rows, labels, sample_weight=weight)
    _, merged = fit_all(container(rows), labels, weight)
    assert merged.shape_fit_[0] < len(rows)
    np.testing.assert_allclose(
        merged.decision_function(container(rows)), plain.decision_function(rows), atol=1e-6
    )


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_kept_kernels_give_the_same_model(kernel, container, problem, monkeypatch):
    monkeypatch.setattr("skmil.svm._solver._BLOCK_ROWS", 7)
    monkeypatch.setattr("skmil.svm._solver._BLOCK_VECTORS", 5)
    rows, labels, weight = problem
    rows = container(rows + np.random.default_rng(1).normal(size=rows.shape))  # none is equal
    everything = np.arange(len(labels))
    solver, anew = fit_all(rows, labels, weight, kernel=kernel)
    keeping, kept = fit_all(rows, labels, weight, kernel=kernel, keep_gram=True)
    assert (anew.kernel, kept.kernel) == (kernel, "precomputed")
    expected = anew.decision_function(rows)
    np.testing.assert_allclose(solver.score(anew, everything), expected, rtol=1e-8)
    np.testing.assert_allclose(keeping.score(kept, everything), expected, rtol=1e-5)
    assert solver.fit_to_features(everything, labels, weight, anew) is anew
    of_rows = keeping.fit_to_features(everything, labels, weight, kept)
    np.testing.assert_array_equal(of_rows.decision_function(rows), expected)


def test_kernels_that_do_not_fit_are_not_kept(problem):
    rows, labels, weight = problem
    rows = rows + 10.0 * np.arange(60)[:, np.newaxis]  # none is equal
    for cache_size, kernel in [(0.0289, "precomputed"), (0.0287, "rbf")]:
        _, svc = fit_all(rows, labels, weight, keep_gram=True, cache_size=cache_size)
        assert svc.kernel == kernel


def test_rows_of_both_labels_are_fitted_without_kept_kernels(problem):
    rows, labels, weight = problem
    rows, labels = np.vstack([rows, rows[:1]]), np.append(labels, -labels[0])
    _, svc = fit_all(rows, labels, np.append(weight, 1.0), keep_gram=True)
    assert svc.kernel == "rbf"


def test_equal_rows_have_equal_scores(problem):
    rows, labels, weight = problem
    rows = np.vstack([rows + np.random.default_rng(0).normal(size=rows.shape)] * 2)
    for keep_gram in (False, True):
        solver, svc = fit_all(rows, np.tile(labels, 2), np.tile(weight, 2), keep_gram=keep_gram)
        scores = solver.score(svc, np.arange(120))
        np.testing.assert_array_equal(scores[:60], scores[60:])
        some = solver.score(svc, np.array([3, 70, 3]))
        np.testing.assert_allclose(some, scores[[3, 10, 3]], rtol=1e-12)
        assert some[0] == some[2]


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", lambda a, b: np.asarray(a @ b.T)])
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_scores_are_those_of_the_classifier(kernel, block, problem, monkeypatch):
    monkeypatch.setattr("skmil.svm._solver._BLOCK_ROWS", block)
    monkeypatch.setattr("skmil.svm._solver._BLOCK_VECTORS", block)
    rows, labels, weight = problem
    for gamma in ("auto", 0.3):
        _, svc = fit_all(rows, labels, weight, kernel=kernel, gamma=gamma)
        expected = svc.decision_function(rows)
        np.testing.assert_allclose(score_rows(svc, rows), expected, rtol=1e-9)
        if not callable(kernel):
            np.testing.assert_allclose(score_rows(svc, sp.csr_array(rows)), expected, rtol=1e-9)


def test_a_callable_kernel_scores_some_rows_at_a_time(problem):
    shapes = []

    def kernel(a, b):
        shapes.append((len(a), len(b)))
        return a @ b.T

    rows, labels, weight = problem
    _, svc = fit_all(rows, labels, weight, kernel=kernel)
    score_rows(svc, np.zeros((5000, 2)))
    assert max(n for n, _ in shapes) <= 1024
