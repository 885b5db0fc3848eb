import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler
from strategies import ragged_bags

from skmil import Bags, check_bags
from skmil.neural._data import BagLoader, PackedBags, batches_of_instances, fit_scaler


def sparse(bags):
    return bags.replace_instances(sp.csr_array(bags.instances))


@pytest.mark.parametrize("convert", [lambda bags: bags, sparse], ids=["dense", "sparse"])
@given(bags=ragged_bags(max_bags=8))
def test_a_batch_holds_the_chosen_bags(convert, bags):
    rng = np.random.default_rng(0)
    indices = rng.permutation(len(bags))[: rng.integers(1, len(bags) + 1)]
    codes, weights = np.arange(len(bags)), np.linspace(1, 2, len(bags))
    dataset = PackedBags(convert(bags), None, "float64", codes, weights)
    batch = dataset.batch(indices)
    assert len(batch) == batch.n_bags == len(indices)
    for k, i in enumerate(indices):
        assert_array_equal(batch.instances[batch.bag_index == k], bags[i])
    found_codes, found_weights = dataset.targets(indices)
    assert_array_equal(found_codes, codes[indices])
    assert_allclose(found_weights, weights[indices])


@given(ragged_bags(max_bags=8))
def test_loader_shows_every_bag_once_an_epoch(bags):
    codes = np.arange(len(bags))
    dataset = PackedBags(bags, None, "float32", codes, np.ones(len(bags)))
    loader = BagLoader(dataset, batch_size=3, shuffle=True)
    epochs = [torch.cat([codes for _, (codes, _) in loader]).tolist() for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == codes.tolist()
    assert len(loader) == len(list(loader))
    assert all(len(batch) <= 3 for batch, _ in loader)
    in_order = BagLoader(dataset, batch_size=3)
    assert torch.cat([codes for _, (codes, _) in in_order]).tolist() == codes.tolist()


@given(ragged_bags(max_bags=8))
def test_batches_of_instances_cover_all_bags_in_order(bags):
    dataset = PackedBags(bags, None, "float64")
    batches = list(batches_of_instances(dataset, max_instances=6))
    assert_array_equal(torch.cat([batch.instances for batch in batches]), bags.instances)
    for batch in batches:
        assert len(batch.instances) <= 6 or len(batch) == 1


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


def test_sparse_and_dense_bags_are_standardised_alike_and_constants_become_zero():
    rng = np.random.default_rng(0)
    instances = rng.normal(5, 3, size=(30, 4)) * (rng.random((30, 4)) < 0.5)
    instances[:, 2] = 7.0  # constant
    instances[:, 3] = 0.0
    bags = check_bags([instances[:10], instances[10:]])
    found = []
    for given_bags in (bags, sparse(bags)):
        dataset = PackedBags(given_bags, fit_scaler(given_bags, np.ones(2)), "float64")
        found.append(dataset.batch(np.array([0, 1])).instances.numpy())
    assert_allclose(found[0], found[1], atol=1e-12)
    assert_allclose(found[0].mean(axis=0), 0, atol=1e-12)
    assert_allclose(found[0].std(axis=0), [1, 1, 0, 0], atol=1e-12)


def test_scaling_far_from_zero_does_not_lose_the_digits_float32_lacks():
    instances = 1e8 + np.random.default_rng(0).normal(size=(50, 1))
    bags = check_bags([instances])
    dataset = PackedBags(bags, fit_scaler(bags, np.ones(1)), "float32")
    expected = (instances - instances.mean()) / instances.std()
    assert_allclose(dataset.batch(np.array([0])).instances, expected, rtol=1e-3, atol=1e-5)


def test_memory_mapped_bags_are_read_without_warning(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 3), dtype=np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    dataset = PackedBags(check_bags([mapped]), None, "float32")
    assert dataset.batch(np.array([0])).instances.shape == (4, 3)


@pytest.mark.parametrize("scale", [False, True])
def test_memory_mapped_bags_stay_on_the_disk(tmp_path, scale):
    rows = np.random.default_rng(0).normal(size=(2**13, 2**8)).astype(np.float32)  # 8 MiB
    bags = Bags(rows, np.arange(0, 2**13 + 1, 2**6))
    bags.save(tmp_path / "bags")
    mapped = check_bags(Bags.load(tmp_path / "bags"))
    scaler = fit_scaler(bags, np.ones(bags.n_bags)) if scale else None
    whole = PackedBags(bags, scaler, "float32")
    tracemalloc.start()
    try:
        dataset = PackedBags(mapped, scaler, "float32")
        batches = [dataset.batch(np.array(i)).instances for i in ([0, 1, 2], [127, 5])]
        assert tracemalloc.get_traced_memory()[1] < rows.nbytes / 4
    finally:
        tracemalloc.stop()
    assert_array_equal(batches[0], whole.batch(np.array([0, 1, 2])).instances)
    assert_array_equal(batches[1], whole.batch(np.array([127, 5])).instances)


def test_a_scaler_of_memory_mapped_bags_gets_them_in_blocks(tmp_path):
    rows = 5 + np.random.default_rng(0).normal(size=(2**14, 2**7)).astype(np.float32)  # 8 MiB
    bags = Bags(rows, np.arange(0, 2**14 + 1, 2**6))
    weight = np.random.default_rng(1).uniform(size=bags.n_bags)
    weight[:100] = 0
    bags.save(tmp_path / "bags")
    mapped = Bags.load(tmp_path / "bags")
    whole = fit_scaler(bags, weight)
    tracemalloc.start()
    try:
        scaler = fit_scaler(mapped, weight)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * rows.nbytes
    finally:
        tracemalloc.stop()
    assert_allclose(scaler.mean_, whole.mean_, rtol=1e-6)
    assert_allclose(scaler.scale_, whole.scale_, rtol=1e-6)
