"""The search for a target: its coordinates, its starts and its steps."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from skmil import Bags, check_bags
from skmil.diverse_density import _search
from skmil.diverse_density._likelihood import label_losses
from skmil.diverse_density._search import choose_starts, measure, prepare, search


def make_bags(n_bags=40, seed=0):
    """Return bags of normal rows of five features; positive ones have a row near a point."""
    rng = np.random.default_rng(seed)
    is_positive = np.arange(n_bags) % 2 == 1
    bags = [rng.normal(size=(rng.integers(2, 6), 5)) for _ in range(n_bags)]
    for bag, positive in zip(bags, is_positive, strict=True):
        if positive:
            bag[0, :2] = [1.5, -1.0] + 0.2 * rng.normal(size=2)
    return check_bags(bags), is_positive


def negative_log_likelihood(bags, is_positive, weight, target, scales):
    """Return it by the definition, a loop over bags."""
    total = 0.0
    for bag, positive, w in zip(bags, is_positive, weight, strict=True):
        p = max(np.exp(-np.sum((scales * (x - target)) ** 2)) for x in bag)
        total -= w * np.log(p if positive else 1 - p)
    return total / np.sum(weight)


def problem_of(bags, is_positive, weight=None):
    weight = np.ones(bags.n_bags) if weight is None else weight
    return prepare(bags, measure(bags.instances), is_positive, weight)


def test_coordinates_have_mean_zero_and_mean_variance_one():
    rows = 7 + 3 * np.random.default_rng(0).normal(size=(20, 4)) * [1.0, 2.0, 3.0, 0.0]
    units = measure(rows)
    scaled = (rows - units.origin) / units.length
    assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    assert scaled.var(axis=0)[:3].mean() == pytest.approx(1)
    assert_allclose(units.spread, scaled.std(axis=0), atol=1e-12)
    assert units.initial_scale == pytest.approx(1 / np.sqrt(rows.var(axis=0).sum()))
    sparse = measure(sp.csr_array(rows))
    assert sparse.origin == 0.0
    assert sparse.length == pytest.approx(units.length)
    assert sparse.initial_scale == pytest.approx(units.initial_scale)
    assert_allclose(sparse.spread, units.spread, atol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_constant_features_have_no_spread(container):
    rows = np.column_stack([np.arange(11.0), np.full(11, 0.1), np.full(11, 1e7 / 3)])
    assert_array_equal(measure(container(rows)).spread, [1.0, 0.0, 0.0])
    assert measure(container(rows[:, 1:]))[1:2] == (1.0,)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("size", [1e160, 1e200, 1e308])
def test_variances_that_leave_float64_are_refused(container, size):
    rows = size * np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1e-9], [1.0, 1.0]])
    with pytest.raises(ValueError, match=r"The features are too large: .* Scale them"):
        measure(container(rows))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("blocks", [None, (3, 5)])
def test_starts_are_the_densest_of_each_bag_then_the_second_densest(container, blocks, monkeypatch):
    if blocks:
        monkeypatch.setattr("skmil._pairs._BLOCK_ROWS", blocks[0])
        monkeypatch.setattr("skmil._pairs._BLOCK_COLUMNS", blocks[1])
    bags, is_positive = make_bags(12)
    weight = np.linspace(1, 3, 12)
    problem = problem_of(bags.replace_instances(container(bags.instances)), is_positive, weight)
    rows = Bags(bags.instances / measure(bags.instances).length, bags.offsets)
    best = []
    for i in np.flatnonzero(is_positive):
        losses = sorted(
            # A target on an instance of a negative bag would be log(0), but these are distinct.
            (negative_log_likelihood(rows, is_positive, weight, rows.instances[j], 0.7), j)
            for j in range(bags.offsets[i], bags.offsets[i + 1])
        )
        best += [(rank, loss, j) for rank, (loss, j) in enumerate(losses)]
    expected = [j for _, _, j in sorted(best)]
    ids = np.arange(bags.n_instances)
    assert choose_starts(problem, ids, 0.7, None).tolist() == expected
    assert choose_starts(problem, ids, 0.7, 4).tolist() == expected[:4]
    ids[expected[5]] = ids[expected[1]]
    assert choose_starts(problem, ids, 0.7, None).tolist() == expected[:5] + expected[6:]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_starts_are_compared_in_blocks(container, monkeypatch):
    bags, is_positive = make_bags(12)
    problem = problem_of(bags.replace_instances(container(bags.instances)), is_positive)
    candidates = np.flatnonzero(is_positive[bags.bag_index])
    expected = _search._losses_at(problem, candidates, 0.7)
    sizes = []

    def spy(distances, labels):
        sizes.append(len(distances))
        return label_losses(distances, labels)

    monkeypatch.setattr(_search, "label_losses", spy)
    for size in (1, 4, len(candidates)):
        sizes.clear()
        monkeypatch.setattr(_search, "_BLOCK_STARTS", size)
        found = _search._losses_at(problem, candidates, 0.7)
        assert_allclose(found, expected, rtol=1e-12)
        assert max(sizes) == size
        assert sum(sizes) == len(candidates)


def test_each_iteration_raises_the_likelihood_of_the_bags():
    bags, is_positive = make_bags()
    weight = np.linspace(1, 3, bags.n_bags)
    problem = problem_of(bags, is_positive, weight)
    scaled = Bags(problem.rows, bags.offsets)
    start = choose_starts(problem, np.arange(bags.n_instances), 0.4, None)[-1]
    losses = [
        negative_log_likelihood(scaled, is_positive, weight, problem.rows[start], np.full(5, 0.4))
    ]
    for max_iter in range(1, 12):
        run = search(problem, start, 0.4, max_iter=max_iter, max_step_iter=5, tol=0.0)
        losses.append(negative_log_likelihood(scaled, is_positive, weight, run.target, run.scales))
        assert run.loss == pytest.approx(losses[-1])
        assert run.n_iter <= max_iter
    assert (np.diff(losses) <= 0).all()
    assert np.count_nonzero(np.diff(losses)) >= 3
    assert losses[-1] < losses[0] - 0.1


def test_the_m_step_ends_where_the_likelihood_of_the_chosen_instances_is_highest():
    bags, is_positive = make_bags()
    problem = problem_of(bags, is_positive)
    chosen = bags.offsets[:-1]
    start = np.concatenate([problem.rows[1], np.full(5, 0.4)])
    found = _search._maximise(problem, chosen, start, 500)
    rows = Bags(problem.rows[chosen], np.arange(41))

    def loss(parameters):
        target, scales = np.split(parameters, 2)
        return negative_log_likelihood(rows, is_positive, problem.weight, target, scales)

    rng = np.random.default_rng(0)
    moves = 1e-2 * rng.normal(size=(50, 10)) * np.tile(found[5:] != 0, 2)
    assert loss(found) < loss(start) - 0.1
    assert all(loss(found + move) > loss(found) for move in moves)


def test_an_m_step_has_no_more_iterations_than_allowed(monkeypatch):
    bags, is_positive = make_bags()
    problem = problem_of(bags, is_positive)
    start = np.concatenate([problem.rows[1], np.full(5, 0.4)])
    results = []

    def spy(*args, **kwargs):
        results.append(minimize(*args, **kwargs))
        return results[-1]

    monkeypatch.setattr(_search, "minimize", spy)
    for max_step_iter in (1, 3, 10):
        _search._maximise(problem, bags.offsets[:-1], start, max_step_iter)
    assert [result.nit for result in results] == [1, 3, 10]
    assert results[0].fun > results[1].fun > results[2].fun


def test_a_rise_of_the_loss_ends_the_search_with_what_it_had(monkeypatch):
    bags, is_positive = make_bags()
    problem = problem_of(bags, is_positive)
    worse = np.concatenate([np.full(5, 50.0), np.ones(5)])
    monkeypatch.setattr(_search, "_maximise", lambda *args: worse)
    run = search(problem, 3, 0.4, max_iter=9, max_step_iter=5, tol=0.0)
    assert run.n_iter == 1
    assert run.converged
    assert_array_equal(run.target, problem.rows[3])
    assert_array_equal(run.scales, np.full(5, 0.4))


def test_negligible_features_are_left_out(monkeypatch):
    class Result:
        x = np.array([0.0, 0.0, 0.0, 2.0, -1e-2, 1e-4])

    monkeypatch.setattr(_search, "minimize", lambda *args, **kwargs: Result)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 3)) * [1.0, 1.0, 1000.0]  # the last matters in spite of its scale
    problem = problem_of(Bags(rows, np.arange(9)), np.arange(8) % 2 == 1)
    chosen = np.arange(8)
    found = _search._maximise(problem, chosen, np.zeros(6), 1)
    assert_array_equal(found[3:] != 0, [True, True, True])
    Result.x[4] = -1e-6
    assert_array_equal(_search._maximise(problem, chosen, np.zeros(6), 1)[3:], [2.0, 0.0, 1e-4])
