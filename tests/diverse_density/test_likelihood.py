"""The model against its definition, its gradient against differences."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import check_grad

from skmil.diverse_density._likelihood import (
    expanded_distances,
    label_losses,
    log_odds,
    nearest_instances,
    objective,
    scaled_distances,
)

CONTAINERS = [np.asarray, sp.csr_array]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(9, 4))
    return np.where(np.abs(rows) > 0.3, rows, 0.0)


TARGET, SCALES = np.array([0.3, -1.0, 0.0, 2.0]), np.array([0.5, -0.2, 0.7, 0.0])


@pytest.mark.parametrize("container", CONTAINERS)
def test_distances(rows, container):
    expected = [
        sum((s * (x - t)) ** 2 for x, t, s in zip(row, TARGET, SCALES, strict=True)) for row in rows
    ]
    given = container(rows)
    assert_allclose(scaled_distances(given, TARGET, SCALES), expected, rtol=1e-12)
    assert_allclose(expanded_distances(given, given * given, TARGET, SCALES), expected, rtol=1e-12)


def test_distances_do_not_cancel_far_from_zero():
    rows = 1e8 + np.array([[1.0], [2.0]])
    distances = scaled_distances(rows, np.array([1e8]), np.ones(1))
    assert_array_equal(distances, [1.0, 4.0])


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("unit", [1e-160, 1e160])
def test_distances_do_not_depend_on_the_unit_of_the_features(rows, container, unit):
    expected = scaled_distances(rows, TARGET, SCALES)
    found = scaled_distances(container(unit * rows), unit * TARGET, SCALES / unit)
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
def test_objective_is_the_likelihood_of_the_definition(rows, container):
    y, weight = np.arange(9) % 2 == 0, np.linspace(0.1, 2.0, 9)
    p = np.exp(-np.square(SCALES * (rows - TARGET)).sum(axis=1))
    expected = -(weight * np.log(np.where(y, p, 1 - p))).sum()
    given = container(rows)
    value, _ = objective(np.concatenate([TARGET, SCALES]), given, given * given, y, weight)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("labels", [[0, 1] * 4 + [1], [0] * 9, [1] * 9])
def test_gradient(rows, container, labels):
    given = container(rows)
    args = given, given * given, np.array(labels, dtype=bool), np.linspace(0.1, 2.0, 9)
    point = np.concatenate([TARGET, SCALES])
    _, gradient = objective(point, *args)
    error = check_grad(lambda p: objective(p, *args)[0], lambda p: objective(p, *args)[1], point)
    assert error < 1e-5
    assert np.abs(gradient).max() > 0.1  # or the comparison would mean little


def test_losses_stay_finite_where_a_negative_bag_meets_the_target():
    distances = np.array([1e-30, 0.0, -1e-15, 1e-9, 800.0, 1e6])
    with np.errstate(all="raise", under="ignore"):
        losses, slopes = label_losses(distances, np.zeros(6, dtype=bool))
    assert np.isfinite(losses).all()
    assert np.isfinite(slopes).all()
    assert losses[0] == pytest.approx(losses[1]) == pytest.approx(1 - np.log(1e-10))
    assert losses[2] > losses[1] > losses[3] > losses[4] == losses[5] == 0
    assert (slopes <= 0).all()
    # Either side of where the straight line begins.
    near = np.array([1e-10 * (1 - 1e-6), 1e-10 * (1 + 1e-6)])
    (below, above), slopes = label_losses(near, np.zeros(2, dtype=bool))
    assert below - above == pytest.approx(2e-6, rel=1e-3)
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-5)


def test_losses_keep_their_digits_near_zero_and_one():
    losses, _ = label_losses(np.array([40.0, 1e-8]), np.zeros(2, dtype=bool))
    assert_allclose(losses, [np.exp(-40.0), -np.log(1e-8)], rtol=1e-8)


def test_log_odds():
    p = np.array([0.9, 0.5, 0.1])
    assert_allclose(log_odds(-np.log(p)), np.log(p / (1 - p)), atol=1e-15)
    far_and_near = log_odds(np.array([[0.0, 1e-12], [1e-3, 900.0]]))
    assert np.isfinite(far_and_near).all()
    assert (np.diff(far_and_near.ravel()) < 0).all()
    assert far_and_near[1, 1] == -900.0


def test_the_first_of_the_nearest_instances():
    distances = np.array([3.0, 1.0, 1.0, 5.0, 0.0, 0.0])
    assert nearest_instances(distances, np.array([0, 3, 4, 6])).tolist() == [1, 3, 4]
