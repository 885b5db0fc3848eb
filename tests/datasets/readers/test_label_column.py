import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmil.datasets.readers._label_column import as_labels, judge_column, read_column


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 1.0, 1.0], [0, 1, 1]),
        ([-1.0, 1.0], [0, 1]),
        ([-1, -1], [0, 0]),
        ([1, 2, 3], [1, 2, 3]),
        ([-1, 1, 2], [-1, 1, 2]),
        ([True, False], [1, 0]),
        ([0.5, 1.0], [0.5, 1.0]),
        ([1e300, 1.0], [1e300, 1.0]),
        ([" yes", "no  "], ["yes", "no"]),
    ],
)
def test_labels_are_integers_where_they_can_be(values, labels):
    result = as_labels(np.array(values))
    assert result.tolist() == labels
    assert [type(label) for label in result.tolist()] == [type(label) for label in labels]


def test_long_integers_stay_what_they_are():
    assert as_labels(np.array([2**64 - 1], dtype=np.uint64))[0] == 2**64 - 1


@pytest.mark.parametrize("values", [[0, np.nan], [1, np.inf], [1j], [None]])
def test_what_is_no_label_is_refused(values):
    with pytest.raises(ValueError, match=r"no label|real numbers or text"):
        as_labels(np.array(values))


@st.composite
def labelled_bags(draw, min_bags=1, max_bags=60):
    """Offsets of bags, their labels, and a generator for a column."""
    n_bags = draw(st.integers(min_bags, max_bags))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = rng.integers(1, draw(st.integers(2, 20)), n_bags)
    target = (rng.random(n_bags) < draw(st.floats(0, 1))).astype(np.int64)
    return np.concatenate([[0], np.cumsum(sizes)]), target, rng


def witnesses(offsets, target, rng):
    """Labels of the instances: at least one witness in every positive bag."""
    column = rng.integers(0, 2, offsets[-1]) * np.repeat(target, np.diff(offsets))
    column[offsets[:-1]] = target
    return column


@given(bags=labelled_bags(), rate=st.floats(0, 1), n_values=st.integers(2, 4))
def test_a_column_that_knows_nothing_of_the_labels_is_never_taken_for_them(bags, rate, n_values):
    offsets, target, rng = bags
    column = (rng.random(offsets[-1]) < rate) * rng.integers(1, n_values, offsets[-1])
    assert judge_column(column, offsets, target) != "yes"


@given(bags=labelled_bags())
def test_what_depends_on_the_place_in_the_bag_is_never_taken_for_labels(bags):
    offsets, target, _ = bags
    column = np.zeros(offsets[-1], dtype=int)
    column[offsets[:-1]] = 1
    assert judge_column(column, offsets, target) == "no"
    assert judge_column(np.ones_like(column), offsets, target) == "no"
    assert judge_column(np.zeros_like(column), offsets, target) == "no"


@given(bags=labelled_bags())
def test_labels_are_found_as_soon_as_chance_is_ruled_out(bags):
    offsets, target, rng = bags
    chance = 1 / math.comb(len(target), int(target.sum()))
    verdict = judge_column(witnesses(offsets, target, rng), offsets, target)
    assert verdict == ("yes" if chance < 1e-6 else "maybe" if chance < 0.01 else "no")


def test_few_bags_are_not_enough():
    for n_bags, verdict in [(1, "no"), (4, "no"), (5, "maybe"), (11, "maybe"), (12, "yes")]:
        target = np.repeat([0, 1], n_bags)
        offsets = np.arange(2 * n_bags + 1)
        assert judge_column(target, offsets, target) == verdict


def test_some_positive_bags_may_be_without_a_witness():
    target = np.repeat([1, 0], 50)
    offsets = np.arange(0, 201, 2)
    column = witnesses(offsets, target, np.random.default_rng(0))
    for n_without, verdict in [(0, "yes"), (5, "yes"), (6, "no")]:
        column[: 2 * n_without] = 0
        assert judge_column(column, offsets, target) == verdict
    column[-1] = 1  # a witness in a negative bag
    assert judge_column(column, offsets, target) == "no"


def test_labels_of_three_classes_are_found():
    target = np.tile([0, 1, 2], 8)
    offsets = np.arange(0, 49, 2)
    column = np.repeat(target, 2)
    assert judge_column(column, offsets, target) == "yes"
    assert judge_column(column[:18], offsets[:10], target[:9]) == "maybe"
    column[0:2] = 1
    assert judge_column(column, offsets, target) == "no"


def test_text_and_other_numbers_are_no_labels():
    offsets = np.arange(41)
    target = np.repeat([0, 1], 20)
    assert judge_column(target * 0.5, offsets, target) == "no"
    assert judge_column(target + 1, offsets, target) == "no"
    assert judge_column(target, offsets, target.astype(str)) == "no"


def test_genuine_labels_are_told_from_copies_of_the_bag_labels():
    offsets = np.array([0, 2, 4])
    target = np.array([1, 0])
    labels, largest = read_column(np.array([0, 1, 0, 0]), offsets, target)
    assert_array_equal(labels, [0, 1, 0, 0])
    assert_array_equal(largest, [1, 0])
    labels, largest = read_column(np.array([1, 1, 0, 0]), offsets, target)
    assert labels is None
    assert_array_equal(largest, target)
    labels, largest = read_column(np.array([0, 0, 0, 0]), offsets, target)
    assert_array_equal(labels, [0, 0, 0, 0])
    assert_array_equal(largest, [0, 0])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([0, 2, 0, 0], "2 is the label of no bag"),
        ([0, 0.5, 0, 0], r"0\.5 is the label of no bag"),
        ([0, 1, 0, 1], "bag 1 has the label 0, but an instance of it 1"),
    ],
)
def test_columns_that_cannot_be_labels_are_refused(column, message):
    with pytest.raises(ValueError, match=rf"{message}.*instance_label_column=None"):
        read_column(np.array(column), np.array([0, 2, 4]), np.array([1, 0]))


def test_numbers_are_no_labels_for_text():
    with pytest.raises(ValueError, match="0 is the label of no bag"):
        read_column(np.array([0, 1]), np.array([0, 1, 2]), np.array(["no", "yes"]))
