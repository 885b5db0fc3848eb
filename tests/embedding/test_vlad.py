"""BagVLAD against its definition, one instance at a time."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from strategies import ragged_bags

from skmil import Bags
from skmil.datasets import make_bags
from skmil.embedding import BagVLAD
from skmil.embedding._vlad import nearest_centers


def naive(bag, centers, power, norm):
    """The row of one bag."""
    sums = np.zeros_like(centers)
    for instance in bag:
        k = ((instance - centers) ** 2).sum(axis=1).argmin()
        sums[k] += instance - centers[k]
    sums[np.abs(sums) < 1e-13 * len(bag)] = 0  # as where a bag is all that a centre is the mean of
    row = np.sign(sums.ravel()) * np.abs(sums.ravel()) ** power
    return row / np.linalg.norm(row) if norm and row.any() else row


@given(
    ragged_bags(), ragged_bags(), st.sampled_from([0.3, 0.5, 1.0]), st.sampled_from(["l2", None])
)
def test_rows_are_what_the_definition_says(train, new, power, norm):
    n_features = min(train.n_features, new.n_features)
    train, new = (b.replace_instances(b.instances[:, :n_features]) for b in (train, new))
    vlad = BagVLAD(n_clusters=3, power=power, norm=norm, n_init=1, random_state=0).fit(train)
    expected = [naive(bag, vlad.cluster_centers_, power, norm) for bag in new]
    assert_allclose(vlad.transform(new), expected, rtol=1e-6, atol=1e-9)


@given(ragged_bags(), ragged_bags(), st.sampled_from([sp.csr_matrix, sp.csr_array]))
def test_sparse_rows_are_those_of_dense_bags(train, new, container):
    n_features = min(train.n_features, new.n_features)
    train, new = (b.replace_instances(b.instances[:, :n_features]) for b in (train, new))
    vlad = BagVLAD(n_clusters=3, n_init=1, power=1.0, norm=None, random_state=0).fit(train)
    sparse = new.replace_instances(container(new.instances))
    scale = np.abs(new.instances).max()
    assert_allclose(vlad.transform(sparse), vlad.transform(new), rtol=1e-9, atol=1e-12 * scale)


def test_codebook_is_that_of_k_means_on_all_instances():
    rng = np.random.default_rng(0)
    table = np.repeat(rng.normal(size=(4, 3)) * 10, 25, axis=0) + rng.normal(size=(100, 3))
    found = BagVLAD(n_clusters=4, random_state=0).fit([table[:30], table[30:]]).cluster_centers_
    expected = KMeans(4, n_init=10, random_state=0).fit(table).cluster_centers_
    assert_allclose(found[np.argsort(found[:, 0])], expected[np.argsort(expected[:, 0])])


def test_equal_instances_count_as_often_as_they_occur():
    bags = [np.array([[0.0], [0.0], [0.0], [4.0]]), np.array([[100.0]])]
    vlad = BagVLAD(n_clusters=2, random_state=0).fit(bags)
    assert_allclose(np.sort(vlad.cluster_centers_.ravel()), [1.0, 100.0])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_rows_do_not_depend_on_the_order_of_bags_or_instances_in_training(container):
    bags = make_bags(n_bags=30, random_state=0).bags  # no clusters, so starts matter
    rng = np.random.default_rng(0)
    shuffled = [container(bag[rng.permutation(len(bag))]) for bag in bags[rng.permutation(30)]]
    original = [container(bag) for bag in bags]
    first, second, other = (
        BagVLAD(n_clusters=6, n_init=1, random_state=seed).fit(train).transform(bags)
        for train, seed in ((original, 0), (shuffled, 0), (shuffled, 1))
    )
    assert_allclose(second, first, atol=1e-7)
    assert np.abs(other - first).max() > 0.1  # another seed is another result


def test_order_of_columns_does_not_depend_on_the_seed():
    rng = np.random.default_rng(0)
    table = np.repeat(np.eye(4) * 20, 15, axis=0) + rng.normal(size=(60, 4))
    bags = Bags(table, np.arange(0, 61, 6))
    expected = BagVLAD(n_clusters=4, random_state=0).fit_transform(bags)
    for seed in (1, 2, 3):
        found = BagVLAD(n_clusters=4, random_state=seed).fit_transform(bags)
        assert_allclose(found, expected, atol=1e-6)


def test_columns_by_hand():
    train = [np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[50.0, 8.0], [50.0, 12.0]])]
    vlad = BagVLAD(n_clusters=2, power=1.0, norm=None, random_state=0).fit(train)
    left = int(vlad.cluster_centers_[:, 0].argmin())  # (1, 0); the other one is (50, 10)
    row = vlad.transform([np.array([[1.5, 1.0], [2.0, 0.0], [46.0, 10.0]])])[0]
    by_name = dict(zip(vlad.get_feature_names_out(), row, strict=True))
    expected = {f"cluster{left}_x0": 1.5, f"cluster{left}_x1": 1.0}
    expected |= {f"cluster{1 - left}_x0": -4.0, f"cluster{1 - left}_x1": 0.0}
    assert by_name == pytest.approx(expected)


def test_equally_near_means_the_first_in_any_company_and_storage():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(7, 33))
    middle = (centers[2] + centers[5]) / 2
    centers = np.vstack([centers[[2, 5]], centers + 50])
    for n_rows in range(1, 40):
        rows = np.vstack([middle, rng.normal(size=(n_rows, 33))])
        for given_rows in (rows, sp.csr_array(rows), rows[:1]):
            assert nearest_centers(given_rows, centers)[0] == 0


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_an_instance_that_is_its_own_center_leaves_no_rounding_error(container):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(4, 50)) + 10 * rng.normal(size=50)
    bags = [container(table[[0, 0, 1]]), container(table[2:])]
    vlad = BagVLAD(n_clusters=9, random_state=0).fit(bags)
    assert vlad.cluster_centers_.shape == (4, 50)
    assert_array_equal(vlad.transform(bags), 0.0)


def test_one_distinct_instance_is_enough():
    vlad = BagVLAD(random_state=0).fit([np.full((3, 2), 0.1)])
    assert_allclose(vlad.cluster_centers_, [[0.1, 0.1]])
    assert_allclose(vlad.transform([np.array([[0.1, 1.1]])]), [[0.0, 1.0]], atol=1e-7)


def test_float32_is_summed_in_float64_and_kept():
    rng = np.random.default_rng(0)
    table = (100 + rng.normal(size=(300, 3))).astype(np.float32)
    bags = Bags(table, [0, 100, 300])
    double = bags.replace_instances(table.astype(np.float64))
    rows = BagVLAD(random_state=0).fit_transform(bags)
    assert rows.dtype == np.float32
    assert_allclose(rows, BagVLAD(random_state=0).fit_transform(double), rtol=1e-5, atol=1e-6)


def test_names_and_iterations():
    frames = [pd.DataFrame({"energy": [1.0, 9.0], "size": [0.0, 1.0]})]
    vlad = BagVLAD(n_clusters=2, random_state=0).set_output(transform="pandas")
    assert vlad.fit_transform(frames).columns.tolist() == [
        "cluster0_energy", "cluster0_size", "cluster1_energy", "cluster1_size",
    ]  # fmt: skip
    assert vlad.n_iter_ >= 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_clusters": 0},
        {"power": 0.0},
        {"power": 1.5},
        {"norm": "l1"},
        {"n_init": 0},
        {"max_iter": 0},
        {"random_state": "x"},
    ],
    ids=str,
)
def test_refuses_wrong_parameters(parameters):
    message = f"The {next(iter(parameters))!r} parameter of BagVLAD must be"
    with pytest.raises(ValueError, match=re.escape(message)):
        BagVLAD(**parameters).fit([np.zeros((2, 2))])


def test_parameters_reach_k_means():
    bags = make_bags(n_bags=30, random_state=0).bags
    few = BagVLAD(n_clusters=6, n_init=1, max_iter=1, random_state=0).fit(bags)
    many = BagVLAD(n_clusters=6, n_init=1, random_state=0).fit(bags)
    assert few.n_iter_ == 1 < many.n_iter_
    best = BagVLAD(n_clusters=6, n_init=20, random_state=0).fit(bags)

    def cost(vlad):
        centers = vlad.cluster_centers_
        return ((bags.instances[:, np.newaxis] - centers) ** 2).sum(axis=2).min(axis=1).sum()

    assert cost(best) < cost(many)


def test_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        BagVLAD().transform([np.zeros((2, 2))])


def test_the_nearest_centre_is_found_far_from_the_origin():
    rng = np.random.default_rng(0)
    rows, centers = rng.integers(-50, 50, size=(200, 3)) / 16, rng.integers(-50, 50, (5, 3)) / 16
    far = nearest_centers(rows + 2.0**24, centers + 2.0**24)
    np.testing.assert_array_equal(far, nearest_centers(rows, centers))
