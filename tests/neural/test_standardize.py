import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler
from strategies import ragged_bags

from skmil import Bags
from skmil.bags import StoredRows
from skmil.neural import _standardize
from skmil.neural._standardize import Standardizer, fit_scaler


def sparse(bags):
    return bags.replace_instances(sp.csr_array(bags.instances))


def scaled_in_float64(rows, scaler):
    return (np.asarray(rows, dtype=np.float64) - scaler.mean_) / scaler.scale_


# --- The scaler --------------------------------------------------------------------------


@given(ragged_bags(max_bags=8))
def test_scaler_counts_an_instance_as_often_as_its_bag_weighs(bags):
    weight = np.arange(len(bags)) % 3
    weight[0] = 2
    repeated = np.concatenate([bag for bag, w in zip(bags, weight, strict=True) for _ in range(w)])
    expected = StandardScaler().fit(repeated)
    for given_bags in (bags, sparse(bags)):
        scaler = fit_scaler(given_bags, weight)
        assert_allclose(scaler.mean_, expected.mean_, atol=1e-12)
        assert_allclose(scaler.scale_, expected.scale_, rtol=1e-9)


@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_scaler_gets_many_instances_in_blocks(tmp_path, monkeypatch, is_mapped):
    monkeypatch.setattr(_standardize, "_FITTED_VALUES", 2**18)
    rows = 5 + np.random.default_rng(0).normal(size=(2**14, 2**7)).astype(np.float32)  # 8 MiB
    bags = Bags(rows, np.arange(0, 2**14 + 1, 2**6))
    weight = np.random.default_rng(1).uniform(size=bags.n_bags)
    weight[:100] = 0  # whole blocks count for nothing
    expected = StandardScaler().fit(rows, sample_weight=np.repeat(weight, bags.bag_sizes))
    if is_mapped:
        bags.save(tmp_path / "bags")
        bags = Bags.load(tmp_path / "bags")
    tracemalloc.start()
    try:
        scaler = fit_scaler(bags, weight)
        assert tracemalloc.get_traced_memory()[1] < rows.nbytes
    finally:
        tracemalloc.stop()
    assert_allclose(scaler.mean_, expected.mean_, rtol=1e-8)
    assert_allclose(scaler.scale_, expected.scale_, rtol=1e-8)
    assert_allclose(scaler.n_samples_seen_, expected.n_samples_seen_)


# --- Instances ---------------------------------------------------------------------------


def as_given(rows, kind, tmp_path):
    """Return rows the way bags may hold them."""
    if kind == "sparse":
        return sp.csr_array(rows)
    if kind != "stored":
        return rows
    np.save(tmp_path / "rows.npy", rows)
    return StoredRows([np.load(tmp_path / "rows.npy", mmap_mode="r")])


@pytest.mark.parametrize("kind", ["dense", "sparse", "stored"])
@pytest.mark.parametrize("given_type", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_scaled_to_the_precision_of_the_result(tmp_path, kind, given_type, dtype):
    rng = np.random.default_rng(0)
    # Features near and far from zero: wide, narrow, and far with a narrow spread.
    centre, spread = [0, 5, -1e4, 1e6, 3e-6], [1, 1e-2, 30, 2, 1e-6]
    rows = rng.normal(centre, spread, size=(999, 5)).astype(given_type)
    rows[::7, 0] = 0
    scaler = fit_scaler(Bags(rows, [0, 400, 999]), np.ones(2))
    found = Standardizer(scaler, dtype)(as_given(rows, kind, tmp_path))
    assert found.dtype == dtype
    precision = np.finfo(dtype).eps
    # The scaler's own mean has the digits that float64 has at that distance from zero.
    assert_allclose(
        found, scaled_in_float64(rows, scaler), rtol=4 * precision, atol=precision**2 * 1e6
    )


def test_float32_far_from_zero_keeps_the_digits_of_the_difference():
    rows = (1e6 + np.random.default_rng(0).normal(size=(5000, 3))).astype(np.float32)
    scaler = fit_scaler(Bags(rows, [0, 5000]), np.ones(1))
    found = Standardizer(scaler, "float32")(rows)
    assert_allclose(found, scaled_in_float64(rows, scaler), rtol=1e-6, atol=1e-9)
    assert abs(found.mean(axis=0, dtype=np.float64)).max() < 1e-7
    # what subtracting a mean rounded to float32 would give
    rounded = (rows - scaler.mean_.astype(np.float32)) / scaler.scale_.astype(np.float32)
    assert abs(rounded.mean(axis=0, dtype=np.float64)).max() > 1e-4


def test_scaling_far_from_zero_does_not_lose_the_digits_float32_lacks():
    rows = 1e8 + np.random.default_rng(0).normal(size=(50, 1))
    scaler = fit_scaler(Bags(rows, [0, 50]), np.ones(1))
    expected = (rows - rows.mean()) / rows.std()
    assert_allclose(Standardizer(scaler, "float32")(rows), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-39, 1e-20, 1e20, 3e38])
def test_extreme_float32_values_are_scaled_as_in_float64(factor):
    rows = np.float32(factor) * np.array([[1], [-1], [-1], [0.5]], dtype=np.float32)
    scaler = fit_scaler(Bags(rows, [0, 4]), np.ones(1))
    found = Standardizer(scaler, "float32")(rows)
    assert_allclose(found, scaled_in_float64(rows, scaler), rtol=1e-6)


def test_values_beyond_float32_become_infinite_without_a_warning():
    rows = np.array([[1e300], [1.0], [-1e300]])
    assert_array_equal(Standardizer(None, "float32")(rows).ravel(), [np.inf, 1, -np.inf])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given_type", ["float32", "float64", "int64", "bool"])
def test_without_a_scaler_values_stay(dtype, given_type):
    rows = np.random.default_rng(0).integers(0, 2, size=(30, 4)).astype(given_type)
    for instances in (rows, sp.csr_array(rows)):
        found = Standardizer(None, dtype)(instances)
        assert found.dtype == dtype
        assert_array_equal(found, rows)


@pytest.mark.parametrize("given_type", ["float32", "float64"])
@pytest.mark.parametrize("scales", [False, True])
def test_the_input_is_neither_changed_nor_shared(given_type, scales):
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(given_type)
    before = rows.copy()
    scaler = fit_scaler(Bags(rows, [0, 30]), np.ones(1)) if scales else None
    found = Standardizer(scaler, given_type)(rows)
    assert not np.shares_memory(found, rows)
    found[:] = 7
    assert_array_equal(rows, before)


@pytest.mark.parametrize("shape", [(2**16, 2**5), (2**9, 2**12)])
@pytest.mark.parametrize("kind", ["float32", "float64", "sparse"])
def test_memory_is_that_of_the_result_and_little_more(shape, kind):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=shape).astype("float64" if kind == "float64" else "float32")
    scaler = fit_scaler(Bags(rows, [0, len(rows)]), np.ones(1))
    instances = sp.random(*shape, density=0.01, format="csr", random_state=rng)
    standardize = Standardizer(scaler, "float32")
    tracemalloc.start()
    try:
        found = standardize(instances if kind == "sparse" else rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.nbytes <= peak < 1.75 * found.nbytes  # of 8 MiB; in float64 at once, 3 times


def test_the_result_does_not_depend_on_the_blocks(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(101, 7)).astype(np.float32)
    standardize = Standardizer(fit_scaler(Bags(rows, [0, 101]), np.ones(1)), "float32")
    whole = standardize(rows)
    for n_values in (1, 7, 50):  # less than a row, one, several
        monkeypatch.setattr(_standardize, "_BLOCK_VALUES", n_values)
        assert_array_equal(standardize(rows), whole)
        assert_array_equal(standardize(rows[:0]), whole[:0])


def test_sparse_and_dense_bags_are_standardised_alike_and_constants_become_zero():
    rng = np.random.default_rng(0)
    instances = rng.normal(5, 3, size=(30, 4)) * (rng.random((30, 4)) < 0.5)
    instances[:, 2] = 7.0  # constant
    instances[:, 3] = 0.0
    bags = Bags(instances, [0, 10, 30])
    found = [
        Standardizer(fit_scaler(given_bags, np.ones(2)), "float64")(given_bags.instances)
        for given_bags in (bags, sparse(bags))
    ]
    assert_allclose(found[0], found[1], atol=1e-12)
    assert_allclose(found[0].mean(axis=0), 0, atol=1e-12)
    assert_allclose(found[0].std(axis=0), [1, 1, 0, 0], atol=1e-12)
