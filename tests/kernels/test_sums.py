"""Weighted sums over pairs of instances, against loops over them."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import laplacian_kernel
from strategies import bag_sizes, ragged_bags

from skmil import Bags, _pairs
from skmil._instance_kernel import InstanceKernel
from skmil.kernels import _sums
from skmil.kernels._sums import (
    WeightedBags,
    instance_self_kernels,
    parts,
    self_sums,
    sums,
    symmetric_sums,
)

KERNELS = [
    InstanceKernel("rbf", gamma=0.3),
    InstanceKernel("linear"),
    InstanceKernel("linear", power=2),
    InstanceKernel("poly", gamma=0.5, degree=2, coef0=1.0),
    InstanceKernel(laplacian_kernel),
]


def name_of(kernel):
    name = getattr(kernel.kernel, "__name__", kernel.kernel)
    return f"{name}-{kernel.gamma}-{kernel.degree}-{kernel.power}"


@st.composite
def weighted_bags(draw, n_features=2, weighted=True):
    sizes = draw(bag_sizes(max_bags=4, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bags = Bags(rng.normal(size=(sum(sizes), n_features)), np.cumsum([0, *sizes]))
    weight = rng.uniform(0.1, 2.0, size=sum(sizes)) if weighted else np.ones(sum(sizes))
    return WeightedBags(bags, weight)


def loops(kernel, left, right):
    """Return the sums by the definition, one pair of instances at a time."""
    compare = kernel.blocks(left.bags.instances, right.bags.instances)
    values = np.zeros((left.bags.n_bags, right.bags.n_bags))
    for i, bag_i in enumerate(left.bags.bag_index):
        for j, bag_j in enumerate(right.bags.bag_index):
            one = compare(slice(i, i + 1), slice(j, j + 1)).item()
            values[bag_i, bag_j] += left.weight[i] * right.weight[j] * one
    return values


CLOSE = {"rtol": 1e-10, "atol": 1e-10}


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
@settings(max_examples=25)
@given(left=weighted_bags(), right=weighted_bags() | weighted_bags(weighted=False))
def test_sums_are_those_of_the_definition(kernel, left, right):
    np.testing.assert_allclose(sums(kernel, left, right), loops(kernel, left, right), **CLOSE)


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
@settings(max_examples=25)
@given(
    bags=weighted_bags() | weighted_bags(weighted=False),
    small=st.integers(1, 12),
    large=st.integers(1, 12),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
)
def test_parts_and_blocks_of_any_size_give_the_same_sums(kernel, bags, small, large, rows, columns):
    expected = loops(kernel, bags, bags)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sums, "_SMALL_PART", small)
        patch.setattr(_sums, "_LARGE_PART", large)
        patch.setattr(_pairs, "_BLOCK_ROWS", rows)
        patch.setattr(_pairs, "_BLOCK_COLUMNS", columns)
        found = symmetric_sums(kernel, bags)
        np.testing.assert_allclose(found, expected, **CLOSE)
        np.testing.assert_allclose(self_sums(kernel, bags), expected.diagonal(), **CLOSE)
        np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
@pytest.mark.parametrize("weighted", [True, False])
def test_sparse_bags_have_the_same_sums_as_dense_ones(kernel, weighted):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(11, 4))
    rows[np.abs(rows) < 0.7] = 0.0
    weight = rng.uniform(size=11) if weighted else np.ones(11)
    dense = WeightedBags(Bags(rows, [0, 3, 4, 11]), weight)
    expected = sums(kernel, dense, dense)
    for kind in (sp.csr_array, sp.csr_matrix):
        sparse = WeightedBags(dense.bags.replace_instances(kind(rows)), weight)
        np.testing.assert_allclose(sums(kernel, sparse, sparse), expected, **CLOSE)
        np.testing.assert_allclose(symmetric_sums(kernel, sparse), expected, **CLOSE)
        np.testing.assert_allclose(self_sums(kernel, sparse), expected.diagonal(), **CLOSE)
        if not callable(kernel.kernel):
            np.testing.assert_allclose(sums(kernel, dense, sparse), expected, **CLOSE)
            np.testing.assert_allclose(sums(kernel, sparse, dense), expected, **CLOSE)


@given(ragged_bags())
def test_totals_are_the_sums_of_the_weights(bags):
    weight = np.random.default_rng(0).uniform(size=bags.n_instances)
    expected = [part.sum() for part in np.split(weight, bags.offsets[1:-1])]
    np.testing.assert_allclose(WeightedBags(bags, weight).totals(), expected)


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_each_instance_with_itself(kernel):
    rows = np.random.default_rng(0).normal(size=(300, 2))
    compare = kernel.blocks(rows, rows)
    expected = [compare(slice(i, i + 1), slice(i, i + 1)).item() for i in range(300)]
    np.testing.assert_allclose(instance_self_kernels(kernel, rows), expected, rtol=1e-12)


@given(bag_sizes(max_bags=12, max_size=9), st.integers(1, 20))
def test_parts_are_as_long_as_they_may_be(sizes, size):
    offsets = np.cumsum([0, *sizes])
    found = list(parts(offsets, size))
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == len(sizes)
    for start, stop in found:
        assert stop > start
        assert stop == start + 1 or offsets[stop] - offsets[start] <= size
        assert stop == len(sizes) or offsets[stop + 1] - offsets[start] > size


class Recorder:
    """A kernel that remembers how many pairs it compared, and in what blocks."""

    def __init__(self):
        self.blocks = []

    def __call__(self, left, right):
        self.blocks.append((len(left), len(right)))
        return left @ right.T

    @property
    def n_pairs(self):
        return sum(rows * columns for rows, columns in self.blocks)


def many_bags(sizes):
    rows = np.random.default_rng(0).normal(size=(sum(sizes), 2))
    return WeightedBags(Bags(rows, np.cumsum([0, *sizes])), np.ones(sum(sizes)))


def test_no_block_is_larger_than_the_largest(monkeypatch):
    monkeypatch.setattr(_pairs, "_BLOCK_ROWS", 40)
    monkeypatch.setattr(_pairs, "_BLOCK_COLUMNS", 50)
    bags = many_bags([3, 200, 5, 30, 1, 150])
    for function in (sums, symmetric_sums, self_sums):
        recorder = Recorder()
        arguments = (bags, bags) if function is sums else (bags,)
        function(InstanceKernel(recorder), *arguments)
        assert max(rows for rows, _ in recorder.blocks) == 40
        assert max(columns for _, columns in recorder.blocks) == 50


def test_each_pair_of_training_bags_is_compared_once():
    bags = many_bags([5] * 1200)
    recorder = Recorder()
    symmetric_sums(InstanceKernel(recorder), bags)
    all_pairs = bags.bags.n_instances**2
    assert all_pairs / 2 <= recorder.n_pairs < 0.6 * all_pairs


def test_sums_of_bags_with_themselves_cost_little_in_calls_and_in_pairs():
    bags = many_bags([5] * 1200)
    recorder = Recorder()
    self_sums(InstanceKernel(recorder), bags)
    assert len(recorder.blocks) < 1200 / 20
    assert recorder.n_pairs < 0.03 * bags.bags.n_instances**2
