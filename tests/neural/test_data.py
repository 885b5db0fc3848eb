import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import ragged_bags

from skmil import Bags, check_bags
from skmil.neural import _data
from skmil.neural._data import PackedBags
from skmil.neural._standardize import Standardizer, fit_scaler


def pack(bags, codes=None, dtype="float64", scaler=None, **options):
    codes = np.zeros(len(bags), dtype=int) if codes is None else codes
    return PackedBags(bags, Standardizer(scaler, dtype), codes, np.ones(len(bags)), **options)


def sparse(bags):
    return bags.replace_instances(sp.csr_array(bags.instances))


@pytest.mark.parametrize("convert", [lambda bags: bags, sparse], ids=["dense", "sparse"])
@given(bags=ragged_bags(max_bags=8))
def test_a_batch_holds_the_chosen_bags(convert, bags):
    rng = np.random.default_rng(0)
    indices = rng.permutation(len(bags))[: rng.integers(1, len(bags) + 1)]
    codes, weights = np.arange(len(bags)), np.linspace(1, 2, len(bags))
    dataset = PackedBags(convert(bags), Standardizer(None, "float64"), codes, weights)
    batch = dataset.batch(indices)
    assert len(batch) == batch.n_bags == len(indices)
    for k, i in enumerate(indices):
        assert_array_equal(batch.instances[batch.bag_index == k], bags[i])
    found_codes, found_weights = dataset.targets(indices)
    assert_array_equal(found_codes, codes[indices])
    assert_allclose(found_weights, weights[indices])


def test_batches_can_be_written_to_and_leave_the_bags_as_they_were():
    instances = np.arange(12.0).reshape(6, 2)
    dataset = pack(Bags(instances, [0, 6]))
    dataset.batch(np.array([0])).instances.fill_(-1)
    assert_array_equal(dataset.batch(np.array([0])).instances, np.arange(12.0).reshape(6, 2))
    assert_array_equal(instances, np.arange(12.0).reshape(6, 2))


# --- Bags on the disk --------------------------------------------------------------------


def test_memory_mapped_bags_are_read_without_warning(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 3), dtype=np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    dataset = pack(check_bags([mapped]), dtype="float32")
    assert dataset.batch(np.array([0])).instances.shape == (4, 3)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize(
    "convert",
    [lambda bags: bags, lambda bags: bags[np.arange(len(bags))]],
    ids=["map", "stored rows"],
)
def test_large_bags_stay_on_the_disk(tmp_path, monkeypatch, scale, convert):
    monkeypatch.setattr(_data, "_SMALL_BYTES", 2**20)
    rows = np.random.default_rng(0).normal(size=(2**13, 2**8)).astype(np.float32)  # 8 MiB
    bags = Bags(rows, np.arange(0, 2**13 + 1, 2**6))
    bags.save(tmp_path / "bags")
    mapped = convert(check_bags(Bags.load(tmp_path / "bags")))
    scaler = fit_scaler(bags, np.ones(bags.n_bags)) if scale else None
    whole = pack(bags, dtype="float32", scaler=scaler)
    tracemalloc.start()
    try:
        dataset = pack(mapped, dtype="float32", scaler=scaler)
        batches = [dataset.batch(np.array(i)).instances for i in ([0, 1, 2], [127, 5])]
        assert tracemalloc.get_traced_memory()[1] < rows.nbytes / 4
    finally:
        tracemalloc.stop()
    assert not dataset.is_resident
    assert_array_equal(batches[0], whole.batch(np.array([0, 1, 2])).instances)
    assert_array_equal(batches[1], whole.batch(np.array([127, 5])).instances)


def test_small_bags_on_the_disk_are_read_once(tmp_path):
    bags = Bags(np.arange(12.0).reshape(6, 2), [0, 1, 4, 6])
    bags.save(tmp_path / "bags")
    dataset = pack(Bags.load(tmp_path / "bags"))
    assert dataset.is_resident
    (tmp_path / "bags" / "instances.npy").unlink()
    assert_array_equal(dataset.batch(np.array([2, 0])).instances, bags[[2, 0]].instances)


# --- Some instances of large bags --------------------------------------------------------


@given(ragged_bags(max_bags=8))
def test_at_most_so_many_instances_are_drawn_of_each_bag(bags):
    dataset = pack(bags, max_instances=3)
    indices = np.arange(len(bags))[::-1]
    rows, offsets = dataset.choose_rows(indices)
    assert_array_equal(np.diff(offsets), np.minimum(bags.bag_sizes[indices], 3))
    for k, i in enumerate(indices):
        own = rows[offsets[k] : offsets[k + 1]]
        assert (np.diff(own) > 0).all()  # without replacement, in the order of the bag
        assert bags.offsets[i] <= own[0]
        assert own[-1] < bags.offsets[i + 1]
    batch = dataset.gather(rows, offsets)
    assert_array_equal(batch.instances, bags.instances[rows])
    assert_array_equal(batch.bag_index, np.repeat(np.arange(len(bags)), np.diff(offsets)))


def test_each_instance_is_drawn_as_often_as_any_other():
    dataset = pack(Bags(np.zeros((11, 1)), [0, 10, 11]), max_instances=4)
    draws = [dataset.choose_rows(np.array([0]))[0] for _ in range(2000)]
    counts = np.bincount(np.concatenate(draws), minlength=10)
    # 2000 draws of 4 in 10: 800 times each, with a standard deviation of 22
    assert_allclose(counts, 800, atol=4 * 22)


# --- Instances that are left out ---------------------------------------------------------


@given(ragged_bags(max_bags=8), st.sampled_from([0.01, 0.5, 0.999]), st.sampled_from([None, 3]))
def test_of_each_bag_some_instances_stay_in_order(bags, probability, most):
    dataset = pack(bags, instance_dropout=probability, max_instances=most)
    indices = np.arange(len(bags))[::-1]
    rows, offsets = dataset.choose_rows(indices)
    assert len(offsets) == len(bags) + 1
    assert offsets[-1] == len(rows)
    assert (np.diff(offsets) >= 1).all()
    assert (np.diff(offsets) <= (most or bags.bag_sizes[indices])).all()
    for k, i in enumerate(indices):
        own = rows[offsets[k] : offsets[k + 1]]
        assert (np.diff(own) > 0).all()
        assert bags.offsets[i] <= own[0]
        assert own[-1] < bags.offsets[i + 1]
    batch = dataset.gather(rows, offsets)
    assert_array_equal(batch.instances, bags.instances[rows])
    assert_array_equal(batch.bag_index, np.repeat(np.arange(len(bags)), np.diff(offsets)))


@pytest.mark.parametrize("size", [1, 2, 5, 40])
@pytest.mark.parametrize("probability", [0.1, 0.3, 0.9])
def test_instances_are_left_out_with_the_probability_that_is_given(size, probability):
    n_bags = 4000
    dataset = pack(
        Bags(np.zeros((n_bags * size, 1)), np.arange(n_bags + 1) * size),
        instance_dropout=probability,
    )
    torch.manual_seed(0)
    rows, offsets = dataset.choose_rows(np.arange(n_bags))
    # where all would be left out, one stays
    share = 1 - probability + probability**size / size
    deviation = 1 / np.sqrt(n_bags * size)
    assert_allclose(len(rows) / (n_bags * size), share, atol=4 * deviation)
    at_place = np.bincount(rows % size, minlength=size) / n_bags
    assert_allclose(at_place, share, atol=5 * np.sqrt(0.25 / n_bags))
    of_bag = np.diff(offsets)
    alone = probability**size + size * (1 - probability) * probability ** (size - 1)
    assert_allclose((of_bag == 1).mean(), alone, atol=4 * np.sqrt(0.25 / n_bags))


def test_of_drawn_instances_some_are_left_out():
    bags = Bags(np.zeros((4000 * 9, 1)), np.arange(4001) * 9)
    torch.manual_seed(0)
    rows, offsets = pack(bags, max_instances=4, instance_dropout=0.5).choose_rows(np.arange(4000))
    assert_allclose(len(rows) / (4000 * 4), 0.5 + 0.5**4 / 4, atol=0.02)
    assert_array_equal(np.unique(np.diff(offsets)), [1, 2, 3, 4])
    assert_allclose(np.bincount(rows % 9) / len(rows), 1 / 9, atol=0.01)


def test_without_it_nothing_is_drawn():
    dataset = pack(Bags(np.zeros((9, 1)), [0, 9]), instance_dropout=0.0)
    assert not dataset.is_drawn
    state = torch.get_rng_state()
    assert_array_equal(dataset.choose_rows(np.array([0]))[0], np.arange(9))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("options", [{"max_instances": 4}, {"instance_dropout": 0.5}])
def test_draws_come_from_the_generator_that_is_given(options):
    dataset = pack(Bags(np.zeros((100, 1)), [0, 50, 100]), **options)

    def draw():
        return dataset.choose_rows(np.array([0, 1]), torch.Generator().manual_seed(1))[0]

    first, state = draw(), torch.get_rng_state()
    assert_array_equal(draw(), first)
    assert torch.equal(torch.get_rng_state(), state)
