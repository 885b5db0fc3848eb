"""Squared distances against exact arithmetic, and what they are computed from."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from skmil import _distances
from skmil._distances import centre_of, squared_distances

ALL = slice(None)


def compute(left, right):
    return squared_distances(left, right, centre_of(right))(ALL, ALL)


def exact(left, right):
    """Return the squared distances, by fractions, so without any rounding but the last."""
    rows = [[[Fraction(float(v)) for v in row] for row in side] for side in (left, right)]
    return np.array(
        [[float(sum((u - v) ** 2 for u, v in zip(a, b, strict=True))) for b in rows[1]]
         for a in rows[0]]
    )  # fmt: skip


@st.composite
def close_and_far(draw):
    """Two matrices whose rows are far from zero, often equal, often close."""
    n_features = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    offset = 10.0 ** draw(st.integers(0, 6)) * rng.normal(size=n_features)
    bases = offset + 10.0 ** draw(st.integers(-3, 3)) * rng.normal(size=(3, n_features))
    shift = 10.0 ** draw(st.integers(-9, 0))

    def draw_rows(n_rows):
        moved = shift * rng.normal(size=(n_rows, n_features)) * rng.integers(0, 2, (n_rows, 1))
        return bases[rng.integers(0, 3, n_rows)] + moved

    return draw_rows(draw(st.integers(1, 6))), draw_rows(draw(st.integers(1, 6)))


@given(close_and_far(), st.sampled_from([np.asarray, sp.csr_array, sp.csr_matrix]))
def test_digits_are_not_lost_wherever_the_instances_are(data, container):
    left, right = data
    found = compute(container(left), container(right))
    expected = exact(left, right)
    assert_array_equal(found[expected == 0], 0)
    assert_allclose(found, expected, rtol=1e-11, atol=0)


@given(
    hnp.arrays(np.float64, (5, 3), elements=st.just(0.0) | st.floats(-10, 10, width=16)),
    hnp.arrays(np.float64, (4, 3), elements=st.just(0.0) | st.floats(-10, 10, width=16)),
    st.sampled_from([(sp.csr_array, sp.csr_array), (sp.csr_array, np.asarray)]),
    st.booleans(),
)
def test_sparse_and_mixed_rows_give_the_same_as_dense_ones(left, right, containers, swap):
    first, second = reversed(containers) if swap else containers
    assert_allclose(compute(first(left), second(right)), compute(left, right), rtol=1e-11)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_slices_choose_the_block(container):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(7, 3)), rng.normal(size=(9, 3))
    whole = compute(left, right)
    compare = squared_distances(container(left), container(right), centre_of(right))
    found = compare(slice(2, 5), slice(3, 9))
    assert type(found) is np.ndarray
    assert_allclose(found, whole[2:5, 3:9], rtol=1e-11)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_differences_are_held_in_chunks(container, monkeypatch):
    rows = 1e6 + np.random.default_rng(0).normal(size=(20, 3))  # sparse ones all cancel
    rows[10:] = rows[0] + 1e-6
    expected = exact(rows, rows)
    assert_allclose(compute(container(rows), container(rows)), expected, rtol=1e-11)

    sizes = []
    original = _distances.squared_norms
    monkeypatch.setattr(
        _distances, "squared_norms", lambda a: sizes.append(a.shape[0]) or original(a)
    )
    monkeypatch.setattr(_distances, "_CHUNK", 21)
    assert_allclose(compute(container(rows), container(rows)), expected, rtol=1e-11)
    assert max(sizes[2:]) <= 7  # the first two are the norms of both sides
    assert sum(sizes[2:]) >= 100


def test_single_precision_is_compared_in_double():
    left = np.array([[1.0 + 4097 * 2.0**-23], [3.0]], dtype=np.float32)
    right = np.array([[1.0], [5.0]], dtype=np.float32)
    # The square of 4097 has one bit more than single precision holds.
    expected = [[4097.0**2 * 2.0**-46, (4.0 - 4097 * 2.0**-23) ** 2], [4.0, 4.0]]
    for container in (np.asarray, sp.csr_array):
        found = compute(container(left), container(right))
        assert found.dtype == np.float64
        assert_allclose(found, expected, rtol=1e-12)


def test_layout_of_the_rows_changes_no_bit():
    left, right = np.random.default_rng(0).normal(size=(2, 50, 7))
    left[:5] = right[:5] + 1e-9
    found = squared_distances(np.asfortranarray(left), right, centre_of(right))(ALL, ALL)
    assert_array_equal(found, compute(left, right))


def test_inputs_are_left_alone():
    for container in (np.asarray, sp.csr_array):
        left, right = container(np.eye(3)), container(np.ones((2, 3)))
        copies = left.copy(), right.copy()
        compute(left, right)
        assert abs(left - copies[0]).sum() == abs(right - copies[1]).sum() == 0


def test_one_outlier_does_not_move_the_centre():
    rows = np.random.default_rng(0).normal(size=(5000, 3))
    rows[17] = 1e9
    assert np.abs(_distances.centre_of(rows)).max() < 0.2
