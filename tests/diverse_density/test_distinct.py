"""Merging equal bags: what is left, and that no order has a part in it."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import ragged_bags

from skmil import Bags, check_bags
from skmil.diverse_density._distinct import merge_equal_bags


def as_sets(bags):
    """Return each bag as the set of its instances."""
    return [frozenset(map(tuple, bag.tolist())) for bag in bags]


def test_equal_bags_of_a_class_become_one_with_the_sum_of_the_weights():
    a, b = [1.0, 2.0], [3.0, 0.0]
    bags = check_bags([np.array(bag) for bag in ([a, b], [b, a, b], [a], [a, b], [b])])
    codes = np.array([1, 1, 0, 0, 0])
    distinct = merge_equal_bags(bags, codes, np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    found = zip(as_sets(distinct.bags), distinct.codes, distinct.weight, strict=True)
    a, b = tuple(a), tuple(b)
    assert set(found) == {
        (frozenset([a, b]), 1, 3.0),
        (frozenset([a]), 0, 4.0),
        (frozenset([a, b]), 0, 8.0),
        (frozenset([b]), 0, 16.0),
    }
    assert distinct.bags.n_instances == 6
    rows = distinct.bags.instances
    assert_array_equal(
        distinct.ids[:, np.newaxis] == distinct.ids,
        (rows[:, np.newaxis] == rows).all(axis=2),
    )


@given(bags=ragged_bags(), seed=st.integers(0, 1000), sparse=st.booleans())
def test_order_and_repetitions_leave_no_trace(bags, seed, sparse):
    rng = np.random.default_rng(seed)
    codes, weight = rng.integers(0, 2, bags.n_bags), rng.integers(1, 4, bags.n_bags)
    repeated = rng.permutation(np.repeat(np.arange(bags.n_bags), weight))
    shuffled = check_bags([bag[rng.integers(len(bag), size=30)] for bag in bags[repeated]])
    whole = check_bags([np.vstack([a, b]) for a, b in zip(shuffled, bags[repeated], strict=True)])
    if sparse:
        whole = whole.replace_instances(sp.csr_array(whole.instances))
    expected = merge_equal_bags(bags, codes, weight)
    found = merge_equal_bags(whole, codes[repeated], np.ones(len(repeated)))
    rows = found.bags.instances
    assert_array_equal(rows.toarray() if sparse else rows, expected.bags.instances)
    assert_array_equal(found.bags.offsets, expected.bags.offsets)
    for name in ("codes", "weight", "ids"):
        assert_array_equal(getattr(found, name), getattr(expected, name))


def test_zeros_are_zeros_however_they_are_written():
    rows = sp.csr_array(([0.0, 1.0, 1.0], [0, 1, 1], [0, 2, 3]), shape=(2, 2))
    for instances in (rows, np.array([[-0.0, 1.0], [0.0, 1.0]])):
        distinct = merge_equal_bags(Bags(instances, [0, 1, 2]), np.zeros(2, int), np.ones(2))
        assert distinct.weight.tolist() == [2.0]
