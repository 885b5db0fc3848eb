"""Pairs of bags in blocks, against a plain loop over bags."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import ragged_bags

from skmil import Bags, _pairs

UFUNCS = [np.add, np.minimum, np.maximum]


def loop(left, right, inner, outer):
    """Return the same by the definition, one pair of bags at a time."""
    return np.array(
        [[outer.reduce(inner.reduce(difference(a, b), axis=1)) for b in right] for a in left]
    )


def difference(a, b):
    return a[:, :1] - 2 * b[:, 0]


@given(
    left=ragged_bags(),
    right=ragged_bags(),
    inner=st.sampled_from(UFUNCS),
    outer=st.sampled_from(UFUNCS),
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    n_bags=st.integers(1, 4),
)
def test_blocks_of_any_size_give_what_the_definition_says(
    left, right, inner, outer, rows, columns, n_bags
):
    def compare(i, j):
        assert i.stop - i.start <= rows  # never the whole matrix
        assert j.stop - j.start <= columns
        return difference(left.instances[i], right.instances[j])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pairs, "_BLOCK_ROWS", rows)
        patch.setattr(_pairs, "_BLOCK_COLUMNS", columns)
        patch.setattr(_pairs, "_BLOCK_BAGS", n_bags)
        found = _pairs.reduce_pairs(left, right, compare, inner, outer)
    assert_allclose(found, loop(left, right, inner, outer), rtol=1e-12, atol=1e-12)


def test_a_bag_may_span_many_blocks():
    rng = np.random.default_rng(0)
    left = Bags(rng.normal(size=(3000, 1)), [0, 10, 2990, 3000])
    right = Bags(rng.normal(size=(5000, 1)), [0, 4999, 5000])

    def compare(i, j):
        return difference(left.instances[i], right.instances[j])

    found = _pairs.reduce_pairs(left, right, compare, np.minimum, np.maximum)
    assert_allclose(found, loop(left, right, np.minimum, np.maximum))
