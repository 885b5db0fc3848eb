import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.preprocessing import StandardScaler
from strategies import ragged_bags

from skmil import Bags
from skmil.bags import StoredRows
from skmil.neural import _standardize
from skmil.neural._rank_scaler import RankScaler
from skmil.neural._standardize import Standardizer, fit_scaler


def naive_scores(column, weight):
    """Return the normal scores of a feature, one value after the other."""
    scores = []
    for value in column:
        rank = weight[column < value].sum() + weight[column == value].sum() / 2
        scores.append(np.clip(norm.ppf(rank / weight.sum()), -3, 3))
    mean = np.average(scores, weights=weight)
    return (scores - mean) / np.sqrt(np.average((scores - mean) ** 2, weights=weight))


def naive(rows, weight):
    """Return rows scaled by a formula for each value."""
    columns = []
    for column in rows.T:
        if np.ptp(column) == 0:
            columns.append(np.zeros(len(column)))
            continue
        mean = np.average(column, weights=weight)
        deviation = np.sqrt(np.average((column - mean) ** 2, weights=weight))
        standardised = np.clip((column - mean) / deviation, -3, 3)
        columns.append((standardised + naive_scores(column, weight)) / 2)
    return np.column_stack(columns)


def some_rows(n_rows=60, seed=0):
    """Return features that are normal, heavy-tailed, discrete, mostly zero and constant."""
    rng = np.random.default_rng(seed)
    return np.column_stack([
        rng.normal(5, 3, size=n_rows),
        rng.standard_t(1, size=n_rows) * 1e4,
        rng.integers(-2, 3, size=n_rows),
        rng.exponential(size=n_rows) * (rng.random(n_rows) < 0.1),
        np.full(n_rows, -7.0),
    ])  # fmt: skip


def scaled(rows, weight=None):
    weight = np.ones(len(rows)) if weight is None else weight
    return RankScaler().fit(rows, weight).transform(rows)


def as_bags(rows, n_bags=10):
    return Bags(rows, np.linspace(0, rows.shape[0], n_bags + 1).astype(int))


# --- The formula -------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [2, 7, 60, 256])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_values_are_scaled_by_the_formula(n_rows, is_weighted):
    rows = some_rows(n_rows)
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.1, 3, size=n_rows) if is_weighted else np.ones(n_rows)
    assert_allclose(scaled(rows, weight), naive(rows, weight), rtol=1e-9, atol=1e-9)


def test_the_halves_are_those_of_scikit_learn_and_a_normal_distribution():
    column = np.random.default_rng(0).normal(3, 2, size=(200, 1))
    standardised = StandardScaler().fit_transform(column)
    assert_allclose(scaled(column), standardised, atol=0.5)
    assert_allclose(
        scaled(column)[abs(standardised) < 2], standardised[abs(standardised) < 2], atol=0.2
    )
    stretched = scaled(np.exp(2 * column))  # only the ranks stay
    assert_allclose(
        2 * stretched - np.clip(StandardScaler().fit_transform(np.exp(2 * column)), -3, 3),
        naive_scores(column[:, 0], np.ones(200))[:, None],
        atol=1e-9,
    )


@pytest.mark.parametrize("kind", ["normal", "skewed", "tied"])
def test_of_many_values_some_are_kept_and_the_others_lie_between_them(kind):
    rng = np.random.default_rng(0)
    column = {
        "normal": rng.normal(size=5000),
        "skewed": np.exp(3 * rng.normal(size=5000)),
        "tied": np.where(rng.random(5000) < 0.6, 0, rng.normal(size=5000)),
    }[kind]
    scaler = RankScaler().fit(column[:, None], np.ones(5000))
    (knots,), (scores,) = scaler.knots_, scaler.scores_
    assert 50 < len(knots) <= 256
    assert np.isin(knots, column).all()
    assert (knots[0], knots[-1]) == (column.min(), column.max())
    exact = naive_scores(column, np.ones(5000))
    of_knot = dict(zip(column, exact, strict=True))
    assert_allclose(scores, [of_knot[knot] for knot in knots], atol=1e-9)
    # the share of the instances between two kept values, ends counted half
    ranks = np.array([(column < k).mean() + (column == k).mean() / 2 for k in knots])
    largest = np.unique(column, return_counts=True)[1].max() / 5000
    assert np.diff(ranks).max() <= 1 / 255 + largest + 1e-9
    found = np.interp(column, knots, scores)
    place = np.clip(np.searchsorted(knots, column), 1, len(knots) - 1)
    assert (found >= scores[place - 1] - 1e-12).all()
    assert (found <= scores[place] + 1e-12).all()
    assert_allclose(scaler.transform(column[:, None])[:, 0], (
        np.clip((column - scaler.mean_) / scaler.scale_, -3, 3) + found
    ) / 2)  # fmt: skip
    assert abs(found - exact).mean() < 0.01
    if kind != "tied":
        middle = abs(exact) < 1.5
        assert_allclose(found[middle], exact[middle], atol=0.03)


@pytest.mark.parametrize("n_rows", [40, 3000])
def test_a_weight_is_a_number_of_repetitions(n_rows):
    rows = some_rows(n_rows)
    weight = np.random.default_rng(2).integers(1, 4, size=n_rows)
    weighted = RankScaler().fit(rows, weight)
    repeated = RankScaler().fit(np.repeat(rows, weight, axis=0), np.ones(weight.sum()))
    scaled_again = RankScaler().fit(rows, 0.37 * weight)
    for other in (repeated, scaled_again):
        # of many values, others may be kept if ranks are rounded
        assert_allclose(
            weighted.transform(rows), other.transform(rows), atol=1e-9 if n_rows == 40 else 0.02
        )


@given(ragged_bags(max_bags=8), st.integers(0, 2**32 - 1))
def test_each_feature_is_monotone_and_bounded(bags, seed):
    rng = np.random.default_rng(seed)
    rows = np.round(bags.instances, rng.integers(0, 4))
    weight = rng.uniform(0.01, 1, size=len(rows))
    scaler = RankScaler().fit(rows, weight)
    between = rng.normal(scale=20, size=(100, rows.shape[1]))
    seen = np.sort(np.concatenate([rows, between]), axis=0)
    found = scaler.transform(seen)
    assert (np.diff(found, axis=0) >= 0).all()
    for feature, scores in zip(found.T, scaler.scores_, strict=True):
        assert abs(feature).max() <= (3 + abs(scores).max()) / 2
    varies = np.ptp(rows, axis=0) > 0
    means = np.array([np.average(column, weights=weight) for column in rows.T])
    at_mean = scaler.transform(np.stack([means - 1, means + 1]))
    assert (at_mean[0, varies] < at_mean[1, varies]).all()


def test_one_outlier_moves_the_others_little():
    rows = np.random.default_rng(0).normal(size=(200, 1))
    far = rows.copy()
    far[17] = 1e9
    others = np.arange(200) != 17
    found, before = scaled(far)[:, 0], scaled(rows)[:, 0]
    assert found[17] < 3.1
    # standardised alone they would all be the same number
    assert np.ptp(StandardScaler().fit_transform(far)[others]) < 1e-6
    assert found[others].std() > 0.45 * before[others].std()
    assert_array_equal(np.argsort(found[others]), np.argsort(before[others]))


def test_values_beyond_those_seen_are_cut():
    rows = some_rows()
    scaler = RankScaler().fit(rows, np.ones(len(rows)))
    for sign, value in ((1, 1e300), (-1, -1e300)):
        found = scaler.transform(np.full((1, 5), value))[0]
        assert_allclose(found, [(sign * 3 + s[-1 if sign > 0 else 0]) / 2 for s in scaler.scores_])


# --- Where values are all but equal, or all but infinite --------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_features_become_zero(dtype):
    rows = np.tile(np.array([0, 7, -0.1, 1e30], dtype=dtype), (20, 1))
    assert_array_equal(scaled(rows), np.zeros((20, 4)))


@pytest.mark.parametrize("value", [0.1, -1e9, 1e-200, 1e300])
def test_features_that_are_constant_but_for_rounding_become_zero(value):
    column = np.full(50, value)
    column[::3] = np.nextafter(value, np.inf)
    assert_allclose(scaled(column[:, None]), 0, atol=1e-12 * max(1, abs(value)))
    # ten digits are more than rounding
    column[::3] = value * (1 + 1e-10)
    assert abs(scaled(column[:, None])).min() > 0.3


@pytest.mark.parametrize("step", [1e-300, 1e-200, 1e-100, 1e100, 1e200, 1e307])
def test_values_of_any_size_have_finite_results(step):
    column = step * np.array([-2.0, 0, 0, 1, 3])
    found = scaled(column[:, None])[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found)[[0, 2, 3]] > 0.2).all()
    assert found[1] == found[2]


@pytest.mark.parametrize("n_rows", range(2, 60))
def test_a_last_value_of_hardly_any_weight_does_no_harm(n_rows):
    # the shares of the others sum to 1, or, rounded, to more
    weight = np.ones(n_rows)
    weight[-1] = 1e-30
    found = scaled(np.arange(n_rows)[:, None].astype(float), weight)
    assert np.isfinite(found).all()


# --- Bags --------------------------------------------------------------------------------


@given(ragged_bags(max_bags=8))
def test_an_instance_counts_as_often_as_its_bag_weighs(bags):
    weight = np.arange(len(bags)) % 3
    weight[0] = 2
    repeated = np.concatenate([bag for bag, w in zip(bags, weight, strict=True) for _ in range(w)])
    expected = RankScaler().fit(repeated, np.ones(len(repeated)))
    sparse = bags.replace_instances(sp.csr_array(bags.instances))
    for given_bags in (bags, sparse):
        scaler = fit_scaler(given_bags, weight, "rank")
        assert_allclose(
            scaler.transform(bags.instances), expected.transform(bags.instances), atol=1e-9
        )


def test_bags_without_weight_do_not_count():
    bags = as_bags(some_rows())
    bags.instances[12:] += 1e6
    weight = np.array([1.0, 2, *[0] * 8])
    found = fit_scaler(bags, weight, "rank")
    expected = fit_scaler(bags[:2], weight[:2], "rank")
    assert_array_equal(found.transform(bags.instances), expected.transform(bags.instances))


def as_given(rows, kind, tmp_path):
    """Return rows the way bags may hold them."""
    if kind == "sparse":
        return sp.csr_array(rows)
    if kind == "dense":
        return rows
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    return mapped if kind == "mapped" else StoredRows([mapped])


@pytest.mark.parametrize("kind", ["dense", "sparse", "mapped", "stored"])
@pytest.mark.parametrize("given_type", ["float32", "float64", "int64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_where_the_rows_are_and_their_type_do_not_matter(tmp_path, kind, given_type, dtype):
    rows = some_rows().astype(given_type)
    weight = np.random.default_rng(0).uniform(size=10)
    instances = as_given(rows, kind, tmp_path)
    bags = as_bags(rows)
    scaler = fit_scaler(bags.replace_instances(instances), weight, "rank")
    found = Standardizer(scaler, dtype)(instances)
    assert found.dtype == dtype
    expected = naive(rows.astype(np.float64), np.repeat(weight, bags.bag_sizes))
    assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-9, atol=1e-9)
    in_float64 = fit_scaler(bags.replace_instances(rows.astype(np.float64)), weight, "rank")
    assert_array_equal(found, Standardizer(in_float64, dtype)(rows.astype(np.float64)))


@pytest.mark.parametrize("n_rows", [101, 3000])
def test_the_result_does_not_depend_on_the_blocks(monkeypatch, n_rows):
    rows = some_rows(n_rows)
    standardize = Standardizer(fit_scaler(as_bags(rows), np.ones(10), "rank"), "float32")
    whole = standardize(rows)
    for n_values in (1, 5, 1500):  # less than a row, one, more than there are knots
        monkeypatch.setattr(_standardize, "_BLOCK_VALUES", n_values)
        assert_array_equal(standardize(rows), whole)
        assert_array_equal(standardize(rows[:0]), whole[:0])


def test_a_pickle_scales_alike():
    rows = some_rows(500)
    scaler = RankScaler().fit(rows, np.ones(500))
    again = pickle.loads(pickle.dumps(scaler))
    assert_array_equal(again.transform(rows), scaler.transform(rows))
    assert len(pickle.dumps(scaler)) < 5 * 2 * 256 * 8 + 5000


# --- Which scaler ------------------------------------------------------------------------


def test_auto_ranks_what_is_not_too_large(monkeypatch):
    bags = as_bags(some_rows())
    weight = np.ones(10)
    monkeypatch.setattr(_standardize, "_RANKED_VALUES", 60 * 5)
    assert isinstance(fit_scaler(bags, weight, "auto"), RankScaler)
    monkeypatch.setattr(_standardize, "_RANKED_VALUES", 60 * 5 - 1)
    assert isinstance(fit_scaler(bags, weight, "auto"), StandardScaler)
    weight[3] = 0  # a bag that does not count has no say
    assert isinstance(fit_scaler(bags, weight, "auto"), RankScaler)


@pytest.mark.parametrize("kind", ["dense", "sparse", "stored"])
def test_of_large_data_evenly_spread_instances_are_ranked(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(_standardize, "_RANKED_VALUES", 2 * 100)
    rows = np.column_stack([np.arange(4000.0), np.arange(4000) % 7])
    bags = as_bags(as_given(rows, kind, tmp_path), n_bags=40)
    weight = np.ones(40)
    weight[20:] = 0
    weight[30] = 2  # 3000 to 3099, which count twice
    scaler = fit_scaler(bags, weight, "rank")
    (knots, _) = scaler.knots_
    assert len(knots) == 100
    assert ((knots < 2000) | ((knots >= 3000) & (knots < 3100))).all()
    assert knots[0] == 0
    assert np.diff(knots[knots < 2000]).max() <= 21
    assert 3 <= (knots >= 3000).sum() <= 6
    exact = np.average(rows[:, 0], weights=np.repeat(weight, 100))
    assert scaler.mean_[0] == pytest.approx(exact, abs=50)


def test_of_very_many_features_one_instance_is_ranked(monkeypatch):
    monkeypatch.setattr(_standardize, "_RANKED_VALUES", 3)
    assert_array_equal(fit_scaler(as_bags(some_rows()), np.ones(10), "rank").scale_, np.ones(5))


def test_true_is_standard_and_false_is_nothing():
    bags = as_bags(some_rows())
    weight = np.random.default_rng(0).uniform(size=10)
    by_bool, by_name = (fit_scaler(bags, weight, scale) for scale in (True, "standard"))
    assert isinstance(by_bool, StandardScaler)
    assert_array_equal(by_bool.mean_, by_name.mean_)
    assert_array_equal(by_bool.scale_, by_name.scale_)
    assert fit_scaler(bags, weight, False) is None
