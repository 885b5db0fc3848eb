"""Instance weights of miGraph: a hand-worked bag, and the definition in plain loops."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import laplacian_kernel
from strategies import ragged_bags

from skmil import Bags, _pairs, check_bags
from skmil._instance_kernel import InstanceKernel
from skmil.kernels import _graph, _sums
from skmil.kernels._graph import graph_weights

LINEAR = InstanceKernel("linear")
KERNELS = [
    InstanceKernel("rbf", gamma=0.3),
    InstanceKernel("rbf", gamma=0.1, power=2),
    LINEAR,
    InstanceKernel("poly", gamma=0.5, degree=2, coef0=1.0),
    InstanceKernel(laplacian_kernel),
]


def name_of(kernel):
    name = getattr(kernel.kernel, "__name__", kernel.kernel)
    return f"{name}-{kernel.gamma}-{kernel.degree}-{kernel.power}"


def by_definition(kernel, bag, threshold):
    """Return the weights in one bag, one pair of instances at a time."""
    k = kernel.blocks(bag, bag)(slice(None), slice(None))
    n = len(bag)
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    distance = {(a, b): (k[a, a] + k[b, b]) / 2 - k[a, b] for a, b in pairs}
    if threshold == "average":
        threshold = np.mean(list(distance.values())) if pairs else 0.0
    # A rounding below, as equal distances are no smaller than their average.
    threshold -= 1e-12 * np.mean(np.abs(k.diagonal()))
    neighbours = [sum(a == c and d < threshold for (c, _), d in distance.items()) for a in range(n)]
    return [1 / (1 + count) for count in neighbours]


def test_hand_worked_bag():
    # Half squared distances: 0.5, 8 and 4.5, on average 13/3; so an edge between the first two.
    bags = check_bags([[[0.0], [1.0], [4.0]]])
    np.testing.assert_allclose(graph_weights(LINEAR, bags, "average"), [1 / 2, 1 / 2, 1])
    # Edges below 5: between the last two as well.
    np.testing.assert_allclose(graph_weights(LINEAR, bags, 5.0), [1 / 2, 1 / 3, 1 / 2])
    np.testing.assert_allclose(graph_weights(LINEAR, bags, 4.5), [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(graph_weights(LINEAR, bags, 0.5), [1, 1, 1])
    np.testing.assert_allclose(graph_weights(LINEAR, bags, 0.0), [1, 1, 1])
    np.testing.assert_allclose(graph_weights(LINEAR, bags, 9.0), [1 / 3, 1 / 3, 1 / 3])


def test_the_distance_of_rbf_is_gaussian():
    # 1 - exp(-d^2): 0.632, 0.9817 and 1.0000, on average 0.8712.
    bags = check_bags([[[0.0], [1.0], [3.0]]])
    rbf = InstanceKernel("rbf", gamma=1.0)
    np.testing.assert_allclose(graph_weights(rbf, bags, "average"), [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(graph_weights(rbf, bags, 0.631), [1, 1, 1])
    np.testing.assert_allclose(graph_weights(rbf, bags, 0.633), [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(graph_weights(rbf, bags, 0.98), [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(graph_weights(rbf, bags, 0.983), [1 / 2, 1 / 3, 1 / 2])
    # exp(-d^2)^2 = exp(-2 d^2)
    squared = InstanceKernel("rbf", gamma=1.0, power=2)
    np.testing.assert_allclose(graph_weights(squared, bags, 0.86), [1, 1, 1])
    np.testing.assert_allclose(graph_weights(squared, bags, 0.87), [1 / 2, 1 / 2, 1])


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
@settings(max_examples=25)
@given(bags=ragged_bags(), threshold=st.just("average") | st.floats(0.0, 2.0))
def test_weights_are_those_of_the_definition(kernel, bags, threshold):
    expected = np.concatenate([by_definition(kernel, bag, threshold) for bag in bags])
    np.testing.assert_allclose(graph_weights(kernel, bags, threshold), expected)
    sparse = bags.replace_instances(sp.csr_array(bags.instances))
    np.testing.assert_allclose(graph_weights(kernel, sparse, threshold), expected)


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
@settings(max_examples=25)
@given(
    bags=ragged_bags(),
    part=st.integers(1, 10),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
)
def test_parts_and_blocks_of_any_size_give_the_same_weights(kernel, bags, part, rows, columns):
    expected = graph_weights(kernel, bags, "average")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_graph, "_SMALL_PART", part)
        patch.setattr(_sums, "_SMALL_PART", part)
        patch.setattr(_pairs, "_BLOCK_ROWS", rows)
        patch.setattr(_pairs, "_BLOCK_COLUMNS", columns)
        np.testing.assert_allclose(graph_weights(kernel, bags, "average"), expected)


def test_a_large_bag_is_compared_in_blocks(monkeypatch):
    blocks = []

    def product(left, right):
        blocks.append((len(left), len(right)))
        return left @ right.T

    monkeypatch.setattr(_pairs, "_BLOCK_ROWS", 40)
    monkeypatch.setattr(_pairs, "_BLOCK_COLUMNS", 50)
    rows = np.random.default_rng(0).normal(size=(333, 3))
    bags = Bags(rows, [0, 3, 303, 333])
    found = graph_weights(InstanceKernel(product), bags, "average")
    assert max(blocks) == (40, 50)
    np.testing.assert_allclose(found, graph_weights(LINEAR, bags, "average"))


# --- Ties --------------------------------------------------------------------------------

TIES = {
    "two": np.array([[0.1, 0.7], [0.3, 0.9]]),
    "equal": np.full((5, 3), 0.1),
    "equilateral": 0.1 + 0.7 * np.eye(6),
    "simplex and centre": np.vstack([np.eye(4), np.full(4, 0.25)]) / 3,
    "grid": np.stack(np.meshgrid(*[np.arange(4) / 10] * 2), axis=-1).reshape(-1, 2),
    "far away": 1e4 + 0.1 * np.eye(5),
    "pairs of equals": np.repeat(0.1 + np.eye(3) / 3, 2, axis=0),
}


@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
@pytest.mark.parametrize("threshold", ["average", "a distance"])
def test_ties_are_resolved_alike_in_any_order(name, kernel, threshold):
    rows = TIES[name]
    if threshold == "a distance":
        k = kernel.blocks(rows, rows)(slice(None), slice(None))
        threshold = max((k[0, 0] + k[1, 1]) / 2 - k[0, 1], 0.0)
    expected = graph_weights(kernel, check_bags([rows]), threshold)
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(len(rows))
        company = rows.mean(axis=0) + rng.normal(size=(rng.integers(1, 9), rows.shape[1]))
        given = [[rows[order]], [company, rows[order]]]
        if name != "far away":  # only dense rows are moved to the origin
            given.append([sp.csr_array(rows[order])])
        for bags in given:
            found = graph_weights(kernel, check_bags(bags), threshold)[-len(rows) :]
            np.testing.assert_array_equal(found, expected[order])


@pytest.mark.parametrize("name", ["two", "equal", "equilateral", "far away"])
@pytest.mark.parametrize("kernel", [KERNELS[0], LINEAR], ids=name_of)
def test_distances_that_are_all_equal_make_no_edge(name, kernel):
    bags = check_bags([TIES[name]])
    np.testing.assert_array_equal(graph_weights(kernel, bags, "average"), 1.0)


def test_copies_of_an_instance_share_its_weight():
    bag = np.array([[0.0, 1.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = graph_weights(KERNELS[0], check_bags([bag]), "average")
    np.testing.assert_allclose(found, [1 / 3, 1.0, 1 / 3, 1 / 3])
