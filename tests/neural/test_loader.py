import threading

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import ragged_bags

from skmil import Bags
from skmil.bags import StoredRows
from skmil.neural import _data, _loader
from skmil.neural._data import PackedBags
from skmil.neural._loader import BagLoader, WholeBagLoader, evenly_spread
from skmil.neural._standardize import Standardizer, fit_scaler


def pack(bags, weights=None, *, scale=False, **options):
    weights = np.ones(len(bags)) if weights is None else weights
    scaler = fit_scaler(bags, weights, scale)
    return PackedBags(
        bags, Standardizer(scaler, "float32"), np.arange(len(bags)), weights, **options
    )


def some_bags(n_bags=23, max_size=9, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, max_size, size=n_bags))])
    return Bags(rng.normal(size=(offsets[-1], n_features)).astype(np.float32), offsets)


def epochs_of(dataset, n_epochs=2, seed=0, batch_size=4):
    """Return all batches of some epochs as plain arrays."""
    torch.manual_seed(seed)
    loader = BagLoader(dataset, batch_size, shuffle=True)
    return [
        [
            (batch.instances.numpy(), batch.bag_index.numpy(), batch.n_bags,
             *(values.numpy() for values in targets))
            for batch, targets in loader
        ]
        for _ in range(n_epochs)
    ]  # fmt: skip


def assert_same_epochs(found, expected):
    for epoch, expected_epoch in zip(found, expected, strict=True):
        for batch, expected_batch in zip(epoch, expected_epoch, strict=True):
            for values, expected_values in zip(batch, expected_batch, strict=True):
                assert_array_equal(values, expected_values)


def reading_threads():
    return [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


every_way_to_draw = pytest.mark.parametrize(
    "drawn",
    [
        {},
        {"max_instances": 3},
        {"instance_dropout": 0.4},
        {"max_instances": 3, "instance_dropout": 0.4},
    ],
    ids=lambda drawn: ", ".join(drawn) or "all",
)


@pytest.fixture
def stays_on_disk(monkeypatch):
    """Have bags on the disk stay there, however small."""
    monkeypatch.setattr(_data, "_SMALL_BYTES", 0)


# --- Steps of training -------------------------------------------------------------------


@given(ragged_bags(max_bags=8), st.sampled_from([0, 50, 1 << 20]))
def test_loader_shows_every_bag_once_an_epoch(bags, gathered_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_loader, "_GATHERED_BYTES", gathered_bytes)
        dataset = pack(bags)
        loader = BagLoader(dataset, batch_size=3, shuffle=True)
        codes = np.arange(len(bags))
        epochs = [torch.cat([codes for _, (codes, _) in loader]).tolist() for _ in range(2)]
        assert sorted(epochs[0]) == sorted(epochs[1]) == codes.tolist()
        assert len(loader) == len(list(loader))
        sizes = [len(batch) for batch, _ in loader]
        assert sizes[:-1] == [3] * (len(loader) - 1)
        in_order = BagLoader(dataset, batch_size=3)
        assert torch.cat([codes for _, (codes, _) in in_order]).tolist() == codes.tolist()
        for batch, (codes, _) in loader:
            for k, i in enumerate(codes):
                assert_array_equal(
                    batch.instances[batch.bag_index == k], bags[int(i)].astype(np.float32)
                )


def test_the_order_is_drawn_anew_each_epoch():
    dataset = pack(some_bags())
    first, second = epochs_of(dataset)
    assert [batch[3].tolist() for batch in first] != [batch[3].tolist() for batch in second]
    other = epochs_of(dataset, n_epochs=1, seed=1)
    assert [batch[3].tolist() for batch in first] != [batch[3].tolist() for batch in other[0]]


@every_way_to_draw
@pytest.mark.parametrize("gathered_bytes", [0, 600, 1 << 30])
def test_batches_do_not_depend_on_how_many_are_gathered(monkeypatch, drawn, gathered_bytes):
    dataset = pack(some_bags(), **drawn)
    expected = epochs_of(dataset)
    assert any(len(batch[0]) < 20 for batch in expected[0])
    monkeypatch.setattr(_loader, "_GATHERED_BYTES", gathered_bytes)
    n_gathered = []
    gather = dataset.gather
    dataset.gather = lambda *chosen: n_gathered.append(1) or gather(*chosen)
    assert_same_epochs(epochs_of(dataset), expected)
    assert len(n_gathered) / 2 == {0: 6, 600: 3, 1 << 30: 1}[gathered_bytes]  # an epoch


@every_way_to_draw
@pytest.mark.parametrize("scale", [False, "standard", "rank"])
def test_batches_do_not_depend_on_where_the_bags_are(tmp_path, monkeypatch, drawn, scale):
    bags = some_bags()
    expected = epochs_of(pack(bags, **drawn, scale=scale))
    bags.save(tmp_path / "bags")
    mapped = Bags.load(tmp_path / "bags")
    chosen = mapped[np.arange(len(bags))]
    assert isinstance(chosen.instances, StoredRows)
    monkeypatch.setattr(_data, "_SMALL_BYTES", 0)
    for stored in (mapped, chosen):
        dataset = pack(stored, **drawn, scale=scale)
        assert not dataset.is_resident
        assert_same_epochs(epochs_of(dataset), expected)
    if scale != "standard":  # whose sums are rounded otherwise
        sparse = bags.replace_instances(sp.csr_array(bags.instances))
        dataset = pack(sparse, **drawn, scale=scale)
        assert not dataset.is_resident
        assert_same_epochs(epochs_of(dataset), expected)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_drawn_instances_are_others_each_epoch_and_all_in_the_end(tmp_path, stays_on_disk, place):
    bags = Bags(np.arange(40.0).reshape(40, 1), [0, 20, 21, 40])
    if place == "disk":
        bags.save(tmp_path / "bags")
        bags = Bags.load(tmp_path / "bags")
    dataset = pack(bags, max_instances=5)
    epochs = epochs_of(dataset, n_epochs=40)
    seen = [np.sort(np.concatenate([batch[0] for batch in epoch]).ravel()) for epoch in epochs]
    for values in seen:
        assert len(np.unique(values)) == 11  # 5, 1 and 5, none twice
    assert not np.array_equal(seen[0], seen[1])
    assert len(np.unique(np.concatenate(seen))) == 40
    assert_same_epochs(epochs_of(dataset, n_epochs=3), epochs[:3])


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_instances_are_left_out_anew_each_epoch(tmp_path, stays_on_disk, place):
    bags = Bags(np.arange(40.0).reshape(40, 1), [0, 20, 21, 40])
    if place == "disk":
        bags.save(tmp_path / "bags")
        bags = Bags.load(tmp_path / "bags")
    dataset = pack(bags, instance_dropout=0.5)
    epochs = epochs_of(dataset, n_epochs=200, batch_size=2)
    seen = [np.sort(np.concatenate([batch[0] for batch in epoch]).ravel()) for epoch in epochs]
    assert not np.array_equal(seen[0], seen[1])
    for values in seen:
        assert len(np.unique(values)) == len(values)
    counts = np.bincount(np.concatenate(seen).astype(int), minlength=40)
    assert counts[20] == 200  # alone in its bag
    others = np.delete(counts, 20)
    # 200 times with a probability of a half: a standard deviation of 7
    assert_allclose(others, 100, atol=5 * 7)
    assert_same_epochs(epochs_of(dataset, n_epochs=3, batch_size=2), epochs[:3])


@every_way_to_draw
def test_all_is_drawn_before_the_first_batch(tmp_path, stays_on_disk, drawn):
    bags = some_bags()
    bags.save(tmp_path / "bags")
    dataset = pack(Bags.load(tmp_path / "bags"), **drawn)
    torch.manual_seed(0)
    batches = iter(BagLoader(dataset, 4, shuffle=True))
    next(batches)
    state = torch.get_rng_state()
    list(batches)
    assert torch.equal(torch.get_rng_state(), state)


# --- The thread that reads ---------------------------------------------------------------


class Failing:
    """Rows of which some cannot be read."""

    dtype = np.dtype("float32")
    is_constant = True

    def __init__(self, shape, first_bad):
        self.shape = shape
        self.first_bad = first_bad
        self.readers = set()

    def read(self, first, last):
        self.readers.add(threading.current_thread())
        if last > self.first_bad:
            raise OSError("this row cannot be read")
        return np.zeros((last - first, self.shape[1]), dtype=self.dtype)


@pytest.mark.parametrize("first_bad", [0, 5, 9])
def test_an_error_while_reading_reaches_the_caller_and_ends_the_thread(stays_on_disk, first_bad):
    source = Failing((10, 2), first_bad)
    dataset = pack(Bags(StoredRows([source]), np.arange(11)))
    seen = []
    with pytest.raises(OSError, match="this row cannot be read"):
        seen.extend(codes.tolist() for _, (codes, _) in BagLoader(dataset, batch_size=1))
    assert seen == [[i] for i in range(first_bad)]  # what could be read came before
    assert threading.main_thread() not in source.readers
    assert not reading_threads()


def test_a_loop_that_is_left_ends_the_thread(stays_on_disk):
    dataset = pack(Bags(StoredRows([Failing((10, 2), 10)]), np.arange(11)))
    for _ in BagLoader(dataset, batch_size=1):
        assert len(reading_threads()) == 1
        break
    assert not reading_threads()

    def fail():
        for _ in BagLoader(dataset, batch_size=1):
            raise ValueError("in the loop")

    with pytest.raises(ValueError, match="in the loop") as caught:
        fail()
    del caught  # its traceback holds the loop
    assert not reading_threads()


def test_one_batch_is_read_ahead_and_no_more(stays_on_disk):
    dataset = pack(Bags(StoredRows([Failing((10, 2), 10)]), np.arange(11)))
    n_read = []
    gather = dataset.gather
    dataset.gather = lambda *chosen: n_read.append(1) or gather(*chosen)
    for step, _ in enumerate(BagLoader(dataset, batch_size=1), 1):
        assert len(n_read) <= min(step + 1, 10)
    assert len(n_read) == 10


# --- Validation --------------------------------------------------------------------------


@given(ragged_bags(max_bags=8), st.integers(1, 9))
def test_held_out_bags_come_whole_in_order_and_few_instances_at_a_time(bags, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_loader, "_VALIDATED_INSTANCES", most)
        loader = WholeBagLoader(pack(bags), batch_size=2)
        items = list(loader)
        assert len(loader) == len(items)
    found = torch.cat([batch.instances for batch, _ in items])
    assert_array_equal(found, bags.instances.astype(np.float32))
    codes = torch.cat([codes for _, (codes, _) in items])
    assert_array_equal(codes, np.arange(len(bags)))
    for batch, _ in items:
        assert len(batch.instances) <= most or len(batch) == 1
        assert_array_equal(np.unique(batch.bag_index), np.arange(len(batch)))


# --- Where training starts ---------------------------------------------------------------


@given(ragged_bags(max_bags=8), st.integers(0, 3))
def test_of_small_data_everything_with_a_weight_is_looked_at(bags, n_without):
    weights = np.linspace(1, 2, len(bags))
    weights[1 : 1 + n_without] = 0
    indices, batches = evenly_spread(pack(bags, weights))
    assert_array_equal(indices, np.flatnonzero(weights))
    batches = list(batches)
    assert sum(batch.n_bags for batch in batches) == len(indices)
    found = torch.cat([batch.instances for batch in batches])
    assert_array_equal(found, bags[indices].instances.astype(np.float32))
    sizes = torch.cat([torch.bincount(batch.bag_index) for batch in batches])
    assert_array_equal(sizes, bags.bag_sizes[indices])


@pytest.mark.parametrize("bag_size", [3, 50, 500])
def test_of_large_data_a_bounded_part_is_looked_at(monkeypatch, bag_size):
    monkeypatch.setattr(_loader, "_SPREAD_INSTANCES", 300)
    monkeypatch.setattr(_loader, "_SPREAD_PER_BAG", 20)
    monkeypatch.setattr(_loader, "_VALIDATED_INSTANCES", 64)
    bags = Bags(np.arange(400.0 * bag_size)[:, None], np.arange(401) * bag_size)
    weights = np.ones(400)
    weights[::2] = 0
    indices, batches = evenly_spread(pack(bags, weights))
    batches = list(batches)
    per_bag = min(bag_size, 20)
    assert len(indices) == len(np.unique(indices)) == 300 // per_bag
    assert (indices % 2 == 1).all()
    assert (np.diff(indices) > 0).all()
    assert indices[0] < 100
    assert indices[-1] > 300
    values = torch.cat([batch.instances for batch in batches]).numpy().ravel()
    assert len(values) == per_bag * len(indices) <= 300
    assert_array_equal(values // bag_size, np.repeat(indices, per_bag))
    within = (values % bag_size).reshape(-1, per_bag)
    assert (np.diff(within) > 0).all()
    if bag_size > per_bag:  # drawn anew in each bag
        assert len(np.unique(within, axis=0)) == len(within)
    assert max(len(batch.instances) for batch in batches) <= 64


def test_looking_at_the_bags_draws_nothing():
    dataset = pack(some_bags(), max_instances=2, instance_dropout=0.5)
    state = torch.get_rng_state()
    _, batches = evenly_spread(dataset)
    assert sum(len(batch.instances) for batch in batches) == some_bags().n_instances
    assert torch.equal(torch.get_rng_state(), state)
