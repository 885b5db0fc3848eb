import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.svm import SVC

from skmil._instances import as_rows, choose_gamma, number_rows, scale_gamma


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_become_what_solvers_take_and_stay_as_they_were(container, dtype):
    given_rows = container(np.array([[0.0, 1.5], [2.0, 0.0]], dtype=dtype))
    if sp.issparse(given_rows):
        given_rows.indices = given_rows.indices.astype(np.int64)
        given_rows.indptr = given_rows.indptr.astype(np.int64)
    before = given_rows.copy()
    rows = as_rows(given_rows)
    assert rows.dtype == np.float64
    if sp.issparse(rows):
        assert rows.indices.dtype == rows.indptr.dtype == np.int32
        assert given_rows.indices.dtype == np.int64
        assert_allclose(rows.toarray(), before.toarray())
    else:
        assert rows.flags.c_contiguous
        assert_array_equal(rows, before)


@given(
    hnp.arrays(
        np.float64, (6, 3), elements=st.just(0.0) | st.floats(-100, 100, width=32).map(float)
    )
)
def test_gamma_is_that_of_scikit_learn(rows):
    svc = SVC(gamma="scale").fit(rows, [0, 1] * 3)
    assert scale_gamma(rows) == pytest.approx(svc._gamma, rel=1e-9)
    assert scale_gamma(sp.csr_array(rows)) == pytest.approx(svc._gamma, rel=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_gamma_neither_cancels_nor_rounds_to_float32(kind):
    assert scale_gamma(kind(1e8 + np.array([[0.0], [1.0]]))) == pytest.approx(4.0)
    values = np.full((100_000, 1), 0.1, dtype=np.float32)
    values[::2] = 0.3
    assert scale_gamma(kind(values)) == pytest.approx(1 / values.astype(np.float64).var())


@given(
    hnp.arrays(np.float64, (6, 2), elements=st.floats(-100, 100, width=32).map(float)),
    hnp.arrays(np.float64, 6, elements=st.integers(1, 4).map(float)),
)
def test_gamma_is_the_one_of_repeated_rows(rows, weight):
    expected = scale_gamma(np.repeat(rows, weight.astype(int), axis=0))
    assert scale_gamma(rows, weight) == pytest.approx(expected)
    assert scale_gamma(sp.csr_array(rows), weight) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_gamma_of_equal_values_is_one(kind):
    assert scale_gamma(kind(np.full((60, 4), 0.1))) == 1.0
    assert scale_gamma(kind(np.zeros((3, 2)))) == 1.0


def test_gamma_by_name_or_number():
    rows = np.array([[0.0, 1.0], [2.0, 5.0]])
    assert choose_gamma("scale", rows) == scale_gamma(rows)
    assert choose_gamma("auto", rows) == 0.5
    assert choose_gamma(3, rows) == 3.0


@given(
    hnp.arrays(np.float64, (12, 2), elements=st.sampled_from([-1.0, -0.0, 0.0, 2.0])),
    st.permutations(range(12)),
)
def test_equal_rows_have_one_number_whatever_their_order_and_storage(rows, order):
    first, ids = number_rows(rows)
    values = [tuple(row) for row in rows.tolist()]
    assert len(first) == len(set(values))
    assert [values[i] for i in first[ids]] == values
    assert ids[first].tolist() == list(range(len(first)))
    for other in (rows[order], sp.csr_array(rows[order]), sp.csr_matrix(rows[order])):
        assert_array_equal(number_rows(other)[1], ids[order])


def test_stored_zeros_are_zeros_and_stay_as_they_were():
    rows = sp.csr_array((np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1]), np.array([0, 2, 3])))
    assert number_rows(rows)[1].tolist() == [0, 0]
    assert rows.nnz == 3
