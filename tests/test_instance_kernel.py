"""Kernels of instances against one pair at a time."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics.pairwise import laplacian_kernel

from skmil._distances import squared_norms
from skmil._instance_kernel import InstanceKernel


def name_of(kernel):
    name = getattr(kernel.kernel, "__name__", kernel.kernel)
    return f"{name}-{kernel.gamma}-{kernel.degree}-{kernel.power}"


def by_definition(kernel, a, b):
    """Return the kernel of two instances."""
    if kernel.kernel == "rbf":
        value = np.exp(-kernel.gamma * ((a - b) ** 2).sum())
    elif kernel.kernel == "linear":
        value = a @ b
    elif kernel.kernel == "poly":
        value = (kernel.gamma * (a @ b) + kernel.coef0) ** kernel.degree
    else:
        value = kernel.kernel(a.reshape(1, -1), b.reshape(1, -1))[0, 0]
    return value**kernel.power


def whole(kernel, left, right):
    everything = slice(None)
    return kernel.blocks(left, right)(everything, everything)


KERNELS = [
    InstanceKernel("rbf", gamma=0.3),
    InstanceKernel("rbf", gamma=0.3, power=3),
    InstanceKernel("linear"),
    InstanceKernel("linear", power=2),
    InstanceKernel("poly", gamma=0.5, degree=3, coef0=1.5),
    InstanceKernel("poly", gamma=0.5, degree=0, coef0=1.5),
    InstanceKernel("poly", gamma=2.0, degree=1, coef0=0.5, power=2),
    InstanceKernel(laplacian_kernel),
    InstanceKernel(laplacian_kernel, power=2),
]
BUILT_IN = [kernel for kernel in KERNELS if not callable(kernel.kernel)]


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))
    left[np.abs(left) < 0.5] = 0.0
    return left, right


@pytest.mark.parametrize("kernel", KERNELS, ids=name_of)
def test_blocks_are_the_kernels_of_the_rows_that_were_asked_for(kernel, tables):
    left, right = tables
    expected = [[by_definition(kernel, a, b) for b in right] for a in left]
    np.testing.assert_allclose(whole(kernel, left, right), expected, rtol=1e-12)
    part = kernel.blocks(left, right)(slice(2, 6), slice(1, 3))
    np.testing.assert_allclose(part, np.array(expected)[2:6, 1:3], rtol=1e-12)


@pytest.mark.parametrize("kernel", BUILT_IN, ids=name_of)
def test_kernel_of_an_instance_with_itself(kernel, tables):
    left, _ = tables
    expected = [by_definition(kernel, a, a) for a in left]
    np.testing.assert_allclose(kernel.of_same(left), expected, rtol=1e-12)
    np.testing.assert_allclose(kernel.of_same(sp.csr_array(left)), expected, rtol=1e-12)


KINDS = [np.asarray, sp.csr_array, sp.csr_matrix]


@pytest.mark.parametrize("kernel", BUILT_IN, ids=name_of)
@pytest.mark.parametrize("left_kind", KINDS)
@pytest.mark.parametrize("right_kind", KINDS)
def test_dense_and_sparse_may_meet(kernel, left_kind, right_kind, tables):
    left, right = tables
    found = whole(kernel, left_kind(left), right_kind(right))
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, whole(kernel, left, right), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_callable_gets_rows_of_the_kind_that_was_given(kind):
    def product(left, right):
        assert type(left) is type(right) is type(kind(np.eye(2)))
        return left @ right.T

    rows = np.array([[1.0, 2.0], [0.0, 3.0]])
    found = whole(InstanceKernel(product), kind(rows), kind(rows))
    np.testing.assert_array_equal(found, [[5.0, 6.0], [6.0, 9.0]])


@pytest.mark.parametrize("kernel", BUILT_IN, ids=name_of)
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_float32_is_computed_in_float64(kernel, kind):
    rng = np.random.default_rng(0)
    rows = (1000 + rng.normal(size=(6, 3))).astype(np.float32)
    found = whole(kernel, kind(rows), kind(rows))
    assert found.dtype == np.float64
    exact = whole(kernel, rows.astype(np.float64), rows.astype(np.float64))
    np.testing.assert_allclose(found, exact, rtol=1e-14)
    assert squared_norms(kind(rows)).dtype == np.float64
    assert kernel.of_same(kind(rows)).dtype == np.float64


@pytest.mark.parametrize("kernel", BUILT_IN, ids=name_of)
def test_the_caller_may_change_a_block(kernel, tables):
    left, right = tables
    before = left.copy()
    whole(kernel, left, right)[:] = 0
    kernel.of_same(left)[:] = 0
    np.testing.assert_array_equal(left, before)


def test_what_a_callable_returns_is_left_alone():
    own = np.full((2, 2), 3.0)
    own.setflags(write=False)
    block = whole(InstanceKernel(lambda a, b: own, power=2), np.eye(2), np.eye(2))
    np.testing.assert_array_equal(block, 9.0)
    block += 1


def test_a_callable_may_return_lists_or_sparse_blocks():
    for kind in (sp.csr_matrix, sp.csr_array, np.ndarray.tolist):
        kernel = InstanceKernel(lambda a, b, kind=kind: kind(a @ b.T))
        np.testing.assert_array_equal(whole(kernel, np.eye(3), np.eye(3)), np.eye(3))


def test_a_callable_must_return_a_row_and_a_column_for_each_instance():
    kernel = InstanceKernel(lambda a, b: np.ones((len(b), len(a))))
    with pytest.raises(ValueError, match=r"shape \(3, 2\) .* 2 and 3 rows.* shape \(2, 3\)"):
        whole(kernel, np.ones((2, 1)), np.ones((3, 1)))
    kernel = InstanceKernel(lambda a, b: np.full((len(a), len(b)), np.nan))
    with pytest.raises(ValueError, match="values that are not finite"):
        whole(kernel, np.ones((2, 1)), np.ones((3, 1)))


def test_rbf_is_as_exact_far_from_the_origin_as_near_it():
    rows = np.arange(12.0).reshape(4, 3) ** 2 / 64
    kernel = InstanceKernel("rbf", gamma=0.1)
    near, far = whole(kernel, rows, rows), whole(kernel, rows + 2.0**30, rows + 2.0**30)
    np.testing.assert_allclose(far, near, rtol=1e-13)
    np.testing.assert_array_equal(near.diagonal(), 1.0)
    assert (near <= 1).all()


def test_entries_stored_twice_are_one_value():
    twice = sp.csr_array((np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), np.array([0, 2, 3])))
    dense = np.array([[3.0, 0.0], [0.0, 5.0]])
    np.testing.assert_allclose(squared_norms(twice), [9.0, 25.0])
    assert twice.nnz == 3  # not modified
    kernel = InstanceKernel("rbf", gamma=0.1)
    np.testing.assert_allclose(whole(kernel, twice, twice), whole(kernel, dense, dense))
