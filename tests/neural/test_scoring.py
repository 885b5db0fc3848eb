import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import bag_sizes, ragged_bags

from skmil import Bags
from skmil.neural._scoring import groups_of_bags, run_network
from skmil.neural._standardize import Standardizer
from skmil.nn import DPMINN
from skmil.nn._bag_network import BagNetwork


@given(bag_sizes(max_bags=12), st.integers(1, 12))
def test_groups_hold_all_bags_in_order_and_as_many_as_they_may(sizes, max_instances):
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    groups = list(groups_of_bags(offsets, max_instances))
    assert [first for first, _ in groups] == [0, *(last for _, last in groups[:-1])]
    assert groups[-1][1] == len(sizes)
    for first, last in groups:
        assert last == first + 1 or sum(sizes[first:last]) <= max_instances
        if last < len(sizes):  # the next one has no place any more
            assert sum(sizes[first : last + 1]) > max_instances


class Counting(BagNetwork):
    """Sums of instances, which are counted as they come."""

    def __init__(self):
        super().__init__()
        self.none = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.seen = []

    def embed(self, instances):
        self.seen.append(len(instances))
        return instances * 2

    def pool(self, embedded, bag_index, n_bags):
        sums = torch.zeros(n_bags, embedded.shape[1], dtype=embedded.dtype)
        return sums.index_add(0, bag_index, embedded), embedded


@given(ragged_bags(max_bags=8), st.integers(1, 9))
def test_outputs_are_those_of_all_bags_at_once_whatever_the_chunks(bags, chunk_size):
    network = Counting()
    for given_bags in (bags, bags.replace_instances(sp.csr_array(bags.instances))):
        network.seen.clear()
        sums, instances = run_network(
            network, given_bags, Standardizer(None, "float64"), chunk_size
        )
        expected = np.add.reduceat(bags.instances, bags.offsets[:-1], axis=0)
        np.testing.assert_allclose(sums, 2 * expected, atol=1e-12)
        assert_array_equal(instances, 2 * bags.instances)
        assert max(network.seen) <= chunk_size
        assert sum(network.seen) == bags.n_instances


def test_small_bags_share_a_chunk():
    network = Counting()
    bags = Bags(np.zeros((40, 2)), np.arange(41))
    run_network(network, bags, Standardizer(None, "float64"), 20)
    assert network.seen == [20, 20]


@pytest.mark.parametrize("n_capsules", [1, 3])
def test_no_gradient_is_recorded(n_capsules):
    network = DPMINN(4, (6, 3), n_capsules=n_capsules).eval()
    outputs = run_network(
        network, Bags(np.ones((5, 4)), [0, 2, 5]), Standardizer(None, "float32"), 3
    )
    assert not any(output.requires_grad for output in outputs)
    assert [len(output) for output in outputs] == [2, 2, 5]
