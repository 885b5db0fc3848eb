import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmil.bags._ranges import cut_ranges, join_ranges, rows_in, runs_of


def listed(starts, sizes):
    return [
        row for start, size in zip(starts, sizes, strict=True) for row in range(start, start + size)
    ]


def ranges(most=20):
    pairs = st.tuples(st.integers(0, most), st.integers(0, most)).filter(lambda p: sum(p) <= most)
    return st.lists(pairs, max_size=8).map(
        lambda pairs: (
            tuple(np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
            if pairs
            else (np.empty(0, np.int64), np.empty(0, np.int64))
        )
    )


@given(ranges())
def test_rows_are_those_of_the_ranges_one_by_one(pairs):
    assert rows_in(*pairs).tolist() == listed(*pairs)


@given(ranges())
def test_joining_changes_no_row_and_leaves_nothing_to_join(pairs):
    starts, sizes = join_ranges(*pairs)
    assert listed(starts, sizes) == listed(*pairs)
    assert (starts[1:] != (starts + sizes)[:-1]).all()


@given(st.lists(st.integers(0, 9)))
def test_runs_have_the_rows_in_their_order(rows):
    starts, sizes = runs_of(np.array(rows, dtype=np.int64))
    assert listed(starts, sizes) == rows
    assert len(starts) == sum(np.diff(rows) != 1) + bool(rows)


@given(ranges(), st.lists(st.integers(0, 20)))
def test_pieces_lie_in_one_part_each(pairs, cuts):
    offsets = np.array([0, *sorted(cuts), 20])
    parts, starts, sizes = cut_ranges(*pairs, offsets)
    assert listed(starts, sizes) == listed(*pairs)
    assert (sizes > 0).all()
    assert (offsets[parts] <= starts).all()
    assert (starts + sizes <= offsets[parts + 1]).all()


@pytest.mark.parametrize(("size", "pieces"), [(2, [(0, 0, 2)]), (5, [(0, 0, 3), (2, 3, 2)])])
def test_a_part_without_rows_is_passed_over(size, pieces):
    got = cut_ranges(np.array([0]), np.array([size]), np.array([0, 3, 3, 6]))
    assert_array_equal(np.transpose(got), pieces)
