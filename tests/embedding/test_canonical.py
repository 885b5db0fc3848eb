"""The canonical order: the same for the same rows, however they are ordered and stored."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from skmil.embedding._canonical import canonical_order

# Few values, so that many rows are equal.
TABLES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 3)),
    elements=st.sampled_from([0.0, -0.0, 1.0, -2.5, 0.1]),
)


@given(TABLES, st.randoms(use_true_random=False))
def test_sorted_rows_are_the_same_in_every_order_and_storage(table, random):
    expected = table[canonical_order(table)[0]]
    shuffled = table[random.sample(range(len(table)), len(table))]
    for rows in (shuffled, np.asfortranarray(shuffled), sp.csr_matrix(table), sp.csr_array(table)):
        order, _ = canonical_order(rows)
        assert_array_equal(np.sort(order), np.arange(len(table)))
        found = rows[order]
        assert_array_equal(found.toarray() if sp.issparse(found) else found, expected)


@given(TABLES)
def test_groups_are_the_distinct_rows(table):
    distinct = {tuple(row + 0.0) for row in table}
    for rows in (table, sp.csr_matrix(table), sp.csr_array(table)):
        order, starts = canonical_order(rows)
        assert starts[0] == 0
        assert {tuple(row + 0.0) for row in table[order[starts]]} == distinct
        assert len(starts) == len(distinct)
        for group in np.split(order, starts[1:]):
            assert (table[group] == table[group[0]]).all()


def test_stored_zeros_are_zeros():
    stored = sp.csr_array((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 1, 1, 2])))
    order, starts = canonical_order(stored)
    groups = {frozenset(group.tolist()) for group in np.split(order, starts[1:])}
    assert groups == {frozenset({0, 1}), frozenset({2})}


def test_rounding_does_not_change_the_order():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(500, 8))
    noisy = table * (1 + 1e-15 * rng.normal(size=table.shape))
    assert (noisy != table).any()
    assert_array_equal(canonical_order(noisy)[0], canonical_order(table)[0])
