"""BagFisherVector against its formula in a loop, and against numerical gradients."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm as normal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from strategies import ragged_bags

from skmil import Bags
from skmil.datasets import make_bags
from skmil.embedding import BagFisherVector
from skmil.embedding._fisher import fisher_vectors

PLAIN = {"power": 1.0, "norm": None, "random_state": 0}


def mixture_and_rows(n_rows=200, n_components=3, n_dimensions=2, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, n_dimensions)) * [1.0, 3.0][:n_dimensions]
    rows[: n_rows // 3] += 4
    rows[n_rows // 2 :] -= 3
    mixture = GaussianMixture(n_components, covariance_type="diag", random_state=0)
    return mixture.fit(rows), rows


def naive(mixture, bag):
    """The vector of one bag, one instance and one Gaussian at a time."""
    means, deviations = mixture.means_, np.sqrt(mixture.covariances_)
    of_means, of_deviations = np.zeros_like(means), np.zeros_like(means)
    for x in bag:
        densities = np.array(
            [
                weight * normal.pdf(x, mean, deviation).prod()
                for weight, mean, deviation in zip(mixture.weights_, means, deviations, strict=True)
            ]
        )
        for k, share in enumerate(densities / densities.sum()):
            z = (x - means[k]) / deviations[k]
            weight = mixture.weights_[k]
            of_means[k] += share * z / (len(bag) * np.sqrt(weight))
            of_deviations[k] += share * (z**2 - 1) / (len(bag) * np.sqrt(2 * weight))
    return np.concatenate([of_means.ravel(), of_deviations.ravel()])


def mean_log_likelihood(mixture, bag, means, deviations):
    moved = copy.deepcopy(mixture)
    moved.means_, moved.covariances_ = means, deviations**2
    moved.precisions_cholesky_ = 1 / deviations
    return moved.score(bag)


def test_vectors_are_what_the_formula_says():
    mixture, rows = mixture_and_rows()
    offsets = np.array([0, 1, 50, 120, 200])
    found = fisher_vectors(mixture, rows, offsets)
    expected = [naive(mixture, bag) for bag in Bags(rows, offsets)]
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_vectors_are_scaled_gradients_of_the_mean_log_likelihood():
    mixture, rows = mixture_and_rows()
    bag = rows[20:60]
    means, deviations = mixture.means_, np.sqrt(mixture.covariances_)
    gradients = np.empty((2, *means.shape))
    step = 1e-6
    for k, j in np.ndindex(means.shape):
        change = np.zeros_like(means)
        change[k, j] = step
        for gradient, moves in zip(
            gradients, [(change, 0 * change), (0 * change, change)], strict=True
        ):
            ahead, behind = (
                mean_log_likelihood(
                    mixture, bag, means + sign * moves[0], deviations + sign * moves[1]
                )
                for sign in (1, -1)
            )
            gradient[k, j] = (ahead - behind) / (2 * step)
    # The diagonal of the Fisher information: weight / variance, twice that for deviations.
    root = np.sqrt(mixture.weights_)[:, np.newaxis] / deviations
    expected = [gradients[0] / root, gradients[1] / (np.sqrt(2) * root)]
    found = fisher_vectors(mixture, bag, np.array([0, len(bag)]))
    assert_allclose(found[0], np.ravel(expected), rtol=1e-5, atol=1e-7)


def test_the_vector_of_all_training_instances_is_zero():
    # The likelihood is at its maximum, up to the tolerance of the fit.
    rows = np.random.default_rng(0).normal(size=(200, 2))
    found = BagFisherVector(n_components=1, reg_covar=1e-12, **PLAIN).fit_transform([rows])
    assert_allclose(found, 0.0, atol=1e-9)


@given(ragged_bags(min_bags=2), st.sampled_from([0.5, 0.8, 1.0]), st.sampled_from(["l2", None]))
def test_rows_are_normalized_vectors_of_shortened_instances(bags, power, norm):
    embedding = BagFisherVector(pca_components=2, power=power, norm=norm, random_state=0)
    rows = embedding.fit_transform(bags)
    short = (bags.instances - embedding.mean_) @ embedding.components_.T
    expected = np.array([naive(embedding.mixture_, bag) for bag in bags.replace_instances(short)])
    expected = np.sign(expected) * np.abs(expected) ** power
    if norm:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # A root makes more of rounding: 1e-5 of 1e-10.
    assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("n_features", "kept", "n_kept"), [(40, 6, 6), (40, 0.8, None), (1100, 6, 6), (1100, 0.8, None)]
)
def test_components_are_those_of_scikit_learn(n_features, kept, n_kept):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, n_features)) * np.arange(1, n_features + 1) ** -0.5
    expected = PCA(kept, svd_solver="full").fit(table)
    embedding = BagFisherVector(pca_components=kept, random_state=0).fit([table[:20], table[20:]])
    assert n_kept is None or len(embedding.components_) == n_kept
    assert embedding.components_.shape == expected.components_.shape
    assert_allclose(np.abs((embedding.components_ * expected.components_).sum(axis=1)), 1.0)
    assert_allclose(embedding.mean_, expected.mean_)


@pytest.mark.parametrize("n_features", [40, 1100])
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_rows_are_those_of_dense_bags(n_features, container):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(80, n_features)) * (rng.random(size=(80, n_features)) < 0.1)
    bags = Bags(table, np.arange(0, 81, 8))
    sparse = bags.replace_instances(container(table))
    from_dense = BagFisherVector(pca_components=5, random_state=0).fit(bags)
    from_sparse = BagFisherVector(pca_components=5, random_state=0).fit(sparse)
    expected = from_dense.transform(bags)
    assert_allclose(from_dense.transform(sparse), expected, atol=1e-7)
    assert_allclose(from_sparse.transform(sparse), expected, atol=1e-5)


def test_digits_survive_a_large_mean():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 4)) * [8.0, 4.0, 2.0, 1.0]
    bags = Bags(table, np.arange(0, 51, 5))
    far = bags.replace_instances(table + 1e8)
    expected = BagFisherVector(random_state=0).fit_transform(bags)
    assert_allclose(BagFisherVector(random_state=0).fit_transform(far), expected, atol=1e-3)


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_unit_of_all_features_has_no_influence(scale):
    bags = make_bags(n_bags=10, n_features=6, random_state=0).bags
    scaled = bags.replace_instances(bags.instances * scale)
    expected = BagFisherVector(random_state=0).fit_transform(bags)
    assert_allclose(BagFisherVector(random_state=0).fit_transform(scaled), expected, atol=1e-6)


def test_components_of_no_variance_are_left_out():
    rng = np.random.default_rng(0)
    table = np.hstack([rng.normal(size=(30, 2)), np.full((30, 3), 0.7)])
    bags = Bags(table, [0, 10, 30])
    for given_bags in (bags, bags.replace_instances(sp.csr_array(table))):
        embedding = BagFisherVector(random_state=0).fit(given_bags)
        assert embedding.components_.shape == (2, 5)
        assert embedding.transform(given_bags).shape == (2, 8)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_rows_do_not_depend_on_the_order_of_bags_or_instances_in_training(container):
    bags = make_bags(n_bags=30, random_state=0).bags  # no clusters, so starts matter
    rng = np.random.default_rng(0)
    shuffled = [container(bag[rng.permutation(len(bag))]) for bag in bags[rng.permutation(30)]]
    original = [container(bag) for bag in bags]
    first, second, other = (
        BagFisherVector(n_components=4, random_state=seed).fit(train).transform(bags)
        for train, seed in ((original, 0), (shuffled, 0), (shuffled, 1))
    )
    assert_allclose(second, first, atol=1e-6)
    assert np.abs(other - first).max() > 0.1  # another seed is another result


def test_order_of_columns_does_not_depend_on_the_seed():
    rng = np.random.default_rng(0)
    table = np.repeat(np.eye(4) * 40, 25, axis=0) + rng.normal(size=(100, 4))
    bags = Bags(table, np.arange(0, 101, 10))
    expected = BagFisherVector(n_components=4, random_state=0).fit(bags)
    for seed in (1, 2, 3):
        found = BagFisherVector(n_components=4, random_state=seed).fit(bags)
        assert_allclose(found.transform(bags), expected.transform(bags), atol=1e-4)
        assert_allclose(found.mixture_.precisions_, expected.mixture_.precisions_, rtol=1e-3)
        assert_allclose(found.mixture_.predict(table), expected.mixture_.predict(table))


def test_fewer_distinct_instances_than_gaussians():
    bags = [np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 5.0]]), np.array([[0.0, 1.0]])]
    embedding = BagFisherVector(n_components=5, random_state=0).fit(bags)
    assert embedding.mixture_.n_components == 2
    assert_allclose(embedding.mixture_.weights_.max(), 0.75)
    assert np.isfinite(embedding.transform(bags)).all()


def test_instances_that_fall_together_when_shortened_count_once():
    # Rounding apart they differ only in the second component, which is dropped.
    table = np.array([[0.0, 0.01], [0.0, -0.01], [9.0, 0.01], [9.0, -0.01]])
    embedding = BagFisherVector(n_components=4, pca_components=1, random_state=0).fit([table])
    assert embedding.mixture_.n_components == 2


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_one_distinct_instance_is_not_enough(container):
    with pytest.raises(ValueError, match=r"two distinct training instances.*all 4 are equal"):
        BagFisherVector().fit([container(np.ones((3, 2))), container(np.ones((1, 2)))])


def test_without_principal_components():
    frames = [
        pd.DataFrame({"energy": [1.0, 2.0], "size": [3.0, 3.5]}),
        pd.DataFrame({"energy": [8.0, 7.0], "size": [3.0, 2.0]}),
    ]
    embedding = BagFisherVector(pca_components=None, **PLAIN).set_output(transform="pandas")
    table = embedding.fit_transform(frames)
    assert table.columns.tolist() == [
        "mean0_energy", "mean0_size", "mean1_energy", "mean1_size",
        "std0_energy", "std0_size", "std1_energy", "std1_size",
    ]  # fmt: skip
    assert embedding.components_ is None
    expected = [naive(embedding.mixture_, frame.to_numpy() - embedding.mean_) for frame in frames]
    assert_allclose(table, expected, atol=1e-9)


def test_without_principal_components_sparse_bags_are_refused():
    table = np.random.default_rng(0).normal(size=(9, 3))
    message = "pca_components=None takes no sparse bags"
    with pytest.raises(ValueError, match=message):
        BagFisherVector(pca_components=None).fit([sp.csr_array(table)])
    embedding = BagFisherVector(pca_components=None).fit([table])
    with pytest.raises(ValueError, match=message):
        embedding.transform([sp.csr_array(table)])


def test_a_share_of_the_variance_of_many_sparse_features_is_refused():
    table = sp.csr_array(np.eye(5, 1001))
    with pytest.raises(ValueError, match=re.escape("pca_components is 0.5, a share")):
        BagFisherVector(pca_components=0.5).fit([table])


@pytest.mark.parametrize("pca_components", [None, 3])
def test_float32_is_computed_in_float64_and_kept(pca_components):
    rng = np.random.default_rng(0)
    table = (100 + rng.normal(size=(300, 3))).astype(np.float32)
    bags = Bags(table, [0, 100, 300])
    double = bags.replace_instances(table.astype(np.float64))
    embedding = BagFisherVector(pca_components=pca_components, random_state=0).fit(bags)
    rows = embedding.transform(bags)
    assert rows.dtype == np.float32
    assert_allclose(rows, embedding.transform(double), atol=1e-6)
    embedding.fit(double)
    assert_allclose(rows, embedding.transform(double), atol=1e-6)


def test_names():
    table = np.random.default_rng(0).normal(size=(9, 3))
    embedding = BagFisherVector(n_components=1, pca_components=2).fit([table])
    names = embedding.get_feature_names_out().tolist()
    assert names == ["mean0_pca0", "mean0_pca1", "std0_pca0", "std0_pca1"]


def test_variances_have_a_floor_relative_to_the_largest():
    table = np.repeat([[0.0, 1.0], [10.0, 3.0]], 20, axis=0)
    embedding = BagFisherVector(reg_covar=1e-3, pca_components=None, random_state=0).fit([table])
    assert_allclose(embedding.mixture_.covariances_, 1e-3 * 25)


def test_parameters_reach_the_mixture():
    bags = make_bags(n_bags=30, random_state=0).bags
    embedding = BagFisherVector(n_components=3, n_init=4, max_iter=77, random_state=5).fit(bags)
    parameters = embedding.mixture_.get_params()
    assert (parameters["n_components"], parameters["n_init"]) == (3, 4)
    assert (parameters["max_iter"], parameters["random_state"]) == (77, 5)
    assert embedding.n_iter_ == embedding.mixture_.n_iter_


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 0},
        {"pca_components": 0},
        {"pca_components": 1.0},
        {"power": 0.0},
        {"norm": "l1"},
        {"reg_covar": 0.0},
        {"n_init": 0},
        {"max_iter": 0},
        {"random_state": "x"},
    ],
    ids=str,
)
def test_refuses_wrong_parameters(parameters):
    message = f"The {next(iter(parameters))!r} parameter of BagFisherVector must be"
    with pytest.raises(ValueError, match=re.escape(message)):
        BagFisherVector(**parameters).fit([np.eye(2)])


def test_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        BagFisherVector().transform([np.zeros((2, 2))])


def test_input_is_not_modified():
    for container in (np.asarray, sp.csr_array):
        bags = Bags(container(np.eye(6, 4)), [0, 2, 6])
        before = bags.instances.copy()
        BagFisherVector(random_state=0).fit_transform(bags)
        difference = abs(bags.instances - before)
        assert_array_equal(difference.sum(), 0)


@pytest.mark.parametrize("pca_components", [None, 2])
def test_fisher_vectors_do_not_depend_on_the_origin(pca_components):
    rng = np.random.default_rng(0)
    bags = [rng.integers(-50, 50, size=(size, 3)) / 16 for size in (20, 5, 40)]

    def vectors(offset):
        embedding = BagFisherVector(pca_components=pca_components, random_state=0)
        return embedding.fit_transform([bag + offset for bag in bags])

    # Gaussians and axes are in an order of their own; values are the same but for signs.
    near, far = vectors(0.0), vectors(2.0**24)
    np.testing.assert_allclose(np.sort(np.abs(far)), np.sort(np.abs(near)), atol=1e-5)
