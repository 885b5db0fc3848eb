"""Norms of bags, and what has none."""

import numpy as np
import pytest

from skmil import check_bags
from skmil._instance_kernel import InstanceKernel
from skmil.kernels._norms import divide, norms
from skmil.kernels._sums import WeightedBags, self_sums


def norms_of(kernel, bags, weight=None):
    bags = check_bags(bags)
    weight = np.ones(bags.n_instances) if weight is None else np.asarray(weight)
    bags = WeightedBags(bags, weight)
    return norms(kernel, bags, self_sums(kernel, bags))


def test_norm_of_a_linear_kernel_is_the_length_of_the_sum():
    found = norms_of(InstanceKernel("linear"), [[[1.0, 2.0], [2.0, 2.0]], [[0.0, 0.5]]])
    np.testing.assert_allclose(found, [5.0, 0.5])
    found = norms_of(InstanceKernel("linear"), [[[1.0, 2.0], [4.0, 4.0]]], weight=[1.0, 0.5])
    np.testing.assert_allclose(found, [5.0])


def test_vanished_sums_have_an_infinite_norm():
    bags = [
        [[0.0, 0.0]],
        [[0.1, 0.0], [0.2, 0.0], [-0.3, 0.0]],  # the sum in float64 is not zero
        [[1e-200, 0.0]],  # its square is
        [[1e-30, 0.0]],
        [[1.0, 0.0], [-1.0, 1e-5]],
        [[1.0, 0.0], [-1.0, 1e-7]],
    ]
    found = norms_of(InstanceKernel("linear"), bags)
    np.testing.assert_allclose(found, [np.inf, np.inf, np.inf, 1e-30, 1e-5, np.inf], rtol=1e-6)


@pytest.mark.parametrize("power", [1, 3])
def test_a_polynomial_kernel_may_cancel_too(power):
    kernel = InstanceKernel("poly", gamma=1.0, degree=1, coef0=0.0, power=power)
    bags = [[[0.1, 0.2], [-0.1, -0.2]], [[0.1, 0.2], [0.1, 0.2]]]
    np.testing.assert_allclose(norms_of(kernel, bags), [np.inf, 2 * 0.05 ** (power / 2)])


def test_a_kernel_that_is_not_positive_is_refused():
    kernel = InstanceKernel("poly", gamma=1.0, degree=1, coef0=-2.0)
    with pytest.raises(ValueError, match=r"bag 1 with itself is -1, .* coef0 >= 0"):
        norms_of(kernel, [[[2.0]], [[1.0]]])


def test_division_by_an_infinite_norm_gives_zero():
    gram = np.array([[4.0, 1.0], [1.0, 9.0]])
    found = divide(gram, np.array([2.0, np.inf]), np.array([2.0, 3.0]))
    assert found is gram
    np.testing.assert_allclose(found, [[1.0, 1 / 6], [0.0, 0.0]])


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=r"too large for float64\. Scale the features"):
        divide(np.array([[value]]), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match=r"too large for float64\. Scale the features"):
        norms(InstanceKernel("linear"), None, np.array([value]))
