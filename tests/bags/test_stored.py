import mmap
import pickle
import shutil
import threading
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from strategies import ragged_bags

from skmil import Bags, BagStatistics, InstanceTransformer, MISVMClassifier, check_bags
from skmil.bags import StoredRows, _npy, _stored, is_stored, release
from skmil.datasets import DataFileError, make_bags, read_folder
from skmil.neighbors import bag_distances


class Counted:
    """A source that lists what is read of it."""

    is_constant = True

    def __init__(self, rows, log=None):
        self.rows = rows
        self.shape, self.dtype = rows.shape, rows.dtype
        self.log = [] if log is None else log

    def read(self, first, last):
        assert 0 <= first < last <= len(self.rows)
        self.log.append((first, last))
        rows = self.rows[first:last]
        rows.flags.writeable = False
        return rows


def counted_bags(bags):
    """Return the same bags, each from a source of its own, and the list of all reads."""
    log = []
    return Bags(StoredRows([Counted(np.array(bag), log) for bag in bags]), bags.offsets), log


def mapped_bags(bags, folder):
    bags.save(folder, overwrite=True)
    return Bags.load(folder)


def assert_same_bags(got, expected):
    assert got.dtype == expected.dtype
    assert_array_equal(got.offsets, expected.offsets)
    assert_array_equal(got.instances[:], expected.instances)
    assert_array_equal(got.instances[np.arange(got.n_instances)], expected.instances)
    for bag, other in zip(got, expected, strict=True):
        assert isinstance(bag, np.ndarray)
        assert_array_equal(bag, other)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder to save bags in, again and again."""
    return tmp_path_factory.mktemp("stored") / "bags"


@st.composite
def selections(draw, n):
    """An index of `n` bags: integers, with repetitions or none, a mask, or a slice."""
    integers = st.lists(st.integers(-n, n - 1), max_size=8) if n else st.just([])
    masks = st.lists(st.booleans(), min_size=n, max_size=n).map(lambda mask: np.array(mask, bool))
    return draw(st.one_of(integers.map(lambda i: np.array(i, int)), masks, st.slices(n)))


@pytest.mark.parametrize("where", ["sources", "map"])
@given(data=st.data())
def test_any_selection_of_selections_has_the_same_bags(folder, where, data):
    bags = data.draw(ragged_bags())
    stored = counted_bags(bags)[0] if where == "sources" else mapped_bags(bags, folder)
    for _ in range(3):
        key = data.draw(selections(bags.n_bags))
        stored, bags = stored[key], bags[key]
        # A selection of a slice of a map is a copy.
        assert is_stored(stored.instances) or stored.n_instances == 0 or where == "map"
        assert_same_bags(stored, bags)
        assert_same_bags(stored.in_memory(), bags)


@given(data=st.data(), gap=st.sampled_from([0, 16, 2**20]), joined=st.sampled_from([1, 64, 2**24]))
def test_any_rows_are_those_of_the_matrix(data, gap, joined):
    sizes = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))
    rows = np.arange(2.0 * sum(sizes)).reshape(-1, 2)
    stored = StoredRows([Counted(part) for part in np.split(rows, np.cumsum(sizes)[:-1])])
    n_ranges = data.draw(st.integers(0, 4))
    bounds = [sorted(data.draw(st.integers(0, len(rows))) for _ in "ab") for _ in range(n_ranges)]
    starts, stops = np.array(bounds, dtype=int).reshape(-1, 2).T
    stored = stored.select(starts, stops - starts)
    rows = np.concatenate([rows[:0], *(rows[i:j] for i, j in bounds)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stored, "_GAP_BYTES", gap)
        patch.setattr(_stored, "_JOINED_BYTES", joined)
        key = data.draw(selections(len(rows)))
        assert stored.shape == rows.shape
        assert_array_equal(stored[key], rows[key])
    assert_array_equal(np.asarray(stored), rows)
    assert_array_equal(np.array(stored, dtype=np.float32), rows.astype(np.float32))


def test_selecting_reads_nothing():
    bags, log = counted_bags(make_bags(n_bags=30, random_state=0).bags)
    chosen = bags[np.arange(30)[::-2]][3:9][[0, 0, 2]]
    assert (chosen.n_bags, chosen.n_features, chosen.shape) == (3, 20, (3,))
    assert "on disk" in repr(chosen)
    chosen.instances.astype(np.float32)
    for train, _ in KFold(3, shuffle=True, random_state=0).split(bags):
        assert bags[train].n_bags == 20
    assert log == []
    bags[7]
    assert log == [(0, bags.bag_sizes[7])]


def test_a_run_of_rows_is_one_read_and_near_ones_are_joined():
    rows = np.arange(100_000.0).reshape(-1, 1)
    source = Counted(rows)
    stored = StoredRows([source])
    stored[10:90_000]
    stored[np.arange(20, 30)]
    stored[np.array([40, 5, 5, 41, 99])]
    assert source.log == [(10, 90_000), (20, 30), (5, 100)]
    source.log.clear()
    wide = Counted(np.zeros((100, 2**15)))  # 256 KiB each
    StoredRows([wide])[np.array([90, 3, 1, 30])]
    assert wide.log == [(1, 4), (30, 31), (90, 91)]
    wide.log.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stored, "_JOINED_BYTES", 2**30)
        overlapping = StoredRows([wide]).select(np.array([0, 3, 90]), np.array([95, 1, 5]))
        assert overlapping[:].shape == (101, 2**15)
    assert wide.log == [(0, 95)]
    source.log.clear()
    many = np.arange(0, 100_000, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stored, "_JOINED_BYTES", 80_000)
        assert_array_equal(stored[many], rows[many])
    assert len(source.log) == 10
    assert max(last - first for first, last in source.log) <= 10_000


def test_bags_are_read_file_by_file():
    bags, log = counted_bags(make_bags(n_bags=12, random_state=0).bags)
    sizes = bags.bag_sizes
    bags[[4, 2, 4]].in_memory()
    assert sorted(log) == sorted([(0, sizes[2]), (0, sizes[4])])  # the fourth once


def test_reads_of_different_sources_are_never_joined():
    log = []
    stored = StoredRows([Counted(np.zeros((3, 2)), log), Counted(np.ones((3, 2)), log)])
    assert_array_equal(stored[2:4], [[0, 0], [1, 1]])
    assert log == [(2, 3), (0, 1)]


def test_rows_by_integers_are_new_and_those_of_a_slice_may_be_views(folder):
    bags = mapped_bags(Bags(np.eye(4), [0, 2, 4]), folder)
    stored = StoredRows([bags.instances])
    assert not stored[1:3].flags.writeable
    rows = stored[np.array([1, 2])]
    assert rows.flags.owndata
    assert rows.flags.writeable
    assert_array_equal(stored[-1], [0, 0, 0, 1])
    assert bags.in_memory().instances.flags.writeable
    assert bags[[0, 1]].in_memory().instances.flags.writeable


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (4, "from 4 to 4 of 4"),
        ([0, -5], "from -5 to 0 of 4"),
        ([True, False], "A mask of 4 rows is needed, got one of 2"),
        ([0.5], "integers or a mask, got float64"),
        ([[0]], "got 2 axes"),
        ((0, slice(2)), "one axis"),
    ],
)
def test_what_chooses_no_rows_is_refused(key, message):
    stored = StoredRows([Counted(np.eye(4))])
    with pytest.raises(IndexError, match=message):
        stored[key]


def test_sources_must_fit_together():
    with pytest.raises(ValueError, match="at least one source"):
        StoredRows([])
    with pytest.raises(ValueError, match="Source 1 has 3 columns, but source 0 has 2"):
        StoredRows([Counted(np.eye(2)), Counted(np.eye(3))])
    mixed = StoredRows([Counted(np.eye(2, dtype=np.float16)), Counted(np.eye(2))])
    assert mixed.dtype == np.float64
    assert repr(mixed) == "StoredRows(4 rows, 2 columns, float64, 2 sources)"
    assert mixed.nbytes == 64
    with pytest.raises(ValueError, match="without a copy"):
        mixed.__array__(copy=False)


@pytest.mark.parametrize("dtype", [np.float16, np.int16, bool, ">f4"])
def test_other_types_are_converted_when_they_are_read(folder, dtype):
    bags = Bags(np.arange(8).reshape(4, 2).astype(dtype), [0, 1, 4])
    np.save(folder.parent / "rows.npy", bags.instances)
    mapped = Bags(np.load(folder.parent / "rows.npy", mmap_mode="r"), bags.offsets)
    for stored in (mapped, mapped[[0, 1]], counted_bags(bags)[0]):
        checked = check_bags(stored)
        assert_same_bags(checked, check_bags(bags))
    assert isinstance(check_bags(mapped).instances, StoredRows)
    assert stored.dtype == bags.dtype


def test_only_what_stays_in_a_file_is_stored(folder):
    mapped = mapped_bags(Bags(np.eye(3), [0, 3]), folder)
    assert is_stored(mapped.instances)
    assert is_stored(mapped[:1].instances)
    assert is_stored(mapped[[0]].instances)
    assert not is_stored(np.eye(3))
    assert not is_stored(sp.csr_matrix(np.eye(3)))
    assert is_stored(pickle.loads(pickle.dumps(mapped)).instances)
    assert not is_stored(pickle.loads(pickle.dumps(mapped[:1])).instances)
    assert not is_stored(mapped.in_memory().instances)


def test_slices_of_a_map_stay_maps(folder):
    mapped = mapped_bags(Bags(np.eye(3), [0, 1, 3]), folder)
    assert isinstance(mapped[1:].instances, np.memmap)
    assert isinstance(mapped[1], np.memmap)


def test_bags_in_memory_are_returned_as_they_are(folder):
    bags = Bags(np.eye(3), [0, 1, 3], feature_names=["a", "b", "c"])
    assert bags.in_memory() is bags
    assert_array_equal(mapped_bags(bags, folder)[[1]].in_memory().feature_names, ["a", "b", "c"])
    sparse = Bags(sp.csr_matrix(np.eye(3)), [0, 1, 3])
    assert sparse.in_memory() is sparse
    loaded = mapped_bags(sparse, folder)
    assert _stored.is_mapped(loaded.instances.data)
    assert not _stored.is_mapped(loaded.in_memory().instances.data)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_found_block_by_block(monkeypatch, value):
    bags = make_bags(n_bags=20, random_state=0).bags
    bags.instances[bags.offsets[13] + 1, 5] = value
    stored, log = counted_bags(bags)
    monkeypatch.setattr(_npy, "_BLOCK_BYTES", 800)  # five rows
    with pytest.raises(ValueError, match=r"Bag 13 contains .*: instance 1, feature 5"):
        check_bags(stored)
    assert max(last - first for first, last in log) <= 5
    with pytest.raises(ValueError, match=r"Bag 1 contains .*: instance 1, feature 5"):
        check_bags(stored[[2, 13]])
    assert check_bags(stored[[2, 7]]).n_bags == 2


def test_what_was_finite_is_not_read_again_to_be_checked():
    bags, log = counted_bags(make_bags(n_bags=20, random_state=0).bags)
    check_bags(bags[:10])
    n_read = sum(last - first for first, last in log)
    assert n_read == bags.offsets[10]
    check_bags(bags[[3, 1, 1]])
    assert sum(last - first for first, last in log) == n_read
    check_bags(bags)
    assert sum(last - first for first, last in log) == bags.n_instances
    log.clear()
    narrow = Bags(bags.instances.astype(np.float32), bags.offsets)
    check_bags(narrow)
    assert sum(last - first for first, last in log) == bags.n_instances


def test_a_part_of_a_source_does_not_vouch_for_the_rest():
    rows = np.ones((6, 2))
    rows[4] = np.nan
    bags = Bags(StoredRows([Counted(rows)]), [0, 4, 6])
    check_bags(bags[[0]])
    with pytest.raises(ValueError, match="Bag 1 contains NaN"):
        check_bags(bags)


def test_a_narrower_type_may_be_infinite():
    bags = Bags(StoredRows([Counted(np.full((2, 2), 1e300))]), [0, 2])
    check_bags(bags)
    with pytest.raises(ValueError, match="contains infinity"):
        check_bags(Bags(bags.instances.astype(np.float32), [0, 2]))


def test_a_map_is_checked_each_time(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((4, 2)))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="c")
    chosen = Bags(StoredRows([rows]), [0, 1, 4])[[0, 1]]
    check_bags(chosen)
    rows[0, 0] = np.nan
    with pytest.raises(ValueError, match="Bag 0 contains NaN"):
        check_bags(chosen)


def test_a_selection_of_loaded_bags_is_stored_and_any_other_a_copy(tmp_path):
    bags = make_bags(n_bags=20, random_state=0).bags
    mapped = mapped_bags(bags, tmp_path / "bags")
    assert is_stored(mapped[[3, 1]].instances)
    assert is_stored(mapped[[3, 1]][[1]].instances)
    written = Bags.load(tmp_path / "bags", mmap_mode="c")
    written.instances[:] = 7
    own = Bags(np.load(tmp_path / "bags" / "instances.npy", mmap_mode="r"), bags.offsets)
    for others in (written, own, mapped[:15]):
        assert not is_stored(others[[3, 1]].instances)
        assert len(pickle.dumps(others[[3, 1]])) < 0.5 * bags.instances.nbytes
    assert (written[[3, 1]].instances == 7).all()


def test_reading_a_selection_needs_its_memory_once(tmp_path):
    bags = Bags(np.random.default_rng(0).normal(size=(4000, 128)), np.arange(0, 4001, 40))
    chosen = mapped_bags(bags, tmp_path / "bags")[np.arange(99, -1, -1)]
    tracemalloc.start()
    try:
        rows = chosen.in_memory().instances
        assert tracemalloc.get_traced_memory()[1] < 1.2 * rows.nbytes
    finally:
        tracemalloc.stop()


def test_a_pickle_names_the_files_of_the_chosen_rows_only(tmp_path):
    for i in range(200):
        np.save(tmp_path / f"{i:03d}.npy", np.full((2, 3), float(i)))
    bags = read_folder(tmp_path, lazy=True).bags
    chosen = bags[[150, 7, 150]]
    assert len(pickle.dumps(chosen)) < 0.1 * len(pickle.dumps(bags))
    again = pickle.loads(pickle.dumps(chosen))
    assert_same_bags(again, chosen.in_memory())
    assert_same_bags(again[[1, 0]], chosen.in_memory()[[1, 0]])


def test_saving_streams(monkeypatch, folder):
    bags = make_bags(n_bags=20, random_state=0).bags
    stored, log = counted_bags(bags)
    monkeypatch.setattr(_npy, "_BLOCK_BYTES", 1600)
    assert_same_bags(mapped_bags(stored, folder), bags)
    assert max(last - first for first, last in log) <= 10
    assert sum(last - first for first, last in log) == bags.n_instances


def test_a_selection_of_a_saved_folder_is_pickled_by_its_name(tmp_path):
    bags = make_bags(n_bags=50, random_state=0).bags
    mapped = mapped_bags(bags, tmp_path / "bags")
    text = pickle.dumps(mapped[[3, 1]])
    assert len(text) < mapped.instances.nbytes / 50
    assert_same_bags(pickle.loads(text), bags[[3, 1]])
    bags[::-1].save(tmp_path / "bags", overwrite=True)
    with pytest.raises(DataFileError, match=r"instances\.npy: it has changed"):
        pickle.loads(text)
    # The map still shows the file that it was made of.
    assert_same_bags(pickle.loads(pickle.dumps(mapped[[3, 1]])), bags[[3, 1]])
    shutil.rmtree(tmp_path / "bags")
    with pytest.raises(DataFileError, match=r"instances\.npy: it is gone"):
        pickle.loads(text)


@pytest.mark.parametrize("kind", ["private", "slice", "raw"])
def test_any_other_map_is_pickled_by_its_values(tmp_path, kind):
    rows = np.arange(16.0).reshape(4, 4)
    np.save(tmp_path / "rows.npy", rows)
    mapped = _npy.open_npy(tmp_path / "rows.npy", "c" if kind == "private" else "r")
    if kind == "private":
        mapped[0, 0] = 7
    elif kind == "slice":
        mapped = mapped[1:]
    else:
        rows.tofile(tmp_path / "rows.bin")
        mapped = np.memmap(tmp_path / "rows.bin", dtype=float, mode="r", shape=(4, 4))
    expected = np.array(mapped)
    text = pickle.dumps(StoredRows([mapped]))
    for path in tmp_path.iterdir():
        path.unlink()
    assert_array_equal(pickle.loads(text), expected)


def _filename(bags):
    return str(bags.instances._sources[0].array.filename), bags[0].sum()


def test_workers_get_no_copy(tmp_path):
    rows = np.random.default_rng(0).normal(size=(2000, 100))  # 1.6 MB
    rows.tofile(tmp_path / "rows.bin")
    np.save(tmp_path / "rows.npy", rows)
    raw = np.memmap(tmp_path / "rows.bin", dtype=float, mode="r", shape=rows.shape)
    saved = np.load(tmp_path / "rows.npy", mmap_mode="r")
    offsets = np.arange(0, 2001, 100)
    chosen = [Bags(StoredRows([array]), offsets)[[7, 3, 9]] for array in (raw, saved)]
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(_filename)(bags) for bags in chosen)
    assert found == [
        (str(tmp_path / f"rows.{suffix}"), rows[700:800].sum()) for suffix in ("bin", "npy")
    ]


def test_threads_read_at_the_same_time(folder):
    bags = make_bags(n_bags=40, random_state=0).bags
    mapped = mapped_bags(bags, folder)[np.arange(40)[::-1]]
    results = {}

    def read(k):
        results[k] = [np.array(mapped[i]) for i in range(k, 40, 4)]

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        for i, bag in zip(range(k, 40, 4), results[k], strict=True):
            assert_array_equal(bag, bags[39 - i])


MODELS = {
    "statistics": make_pipeline(BagStatistics(), LogisticRegression(max_iter=1000)),
    "instances": make_pipeline(InstanceTransformer(), MISVMClassifier(max_iter=3)),
    "classical": MISVMClassifier(),
}


@pytest.mark.parametrize("where", ["sources", "map"])
@pytest.mark.parametrize("name", MODELS)
def test_cross_validation_gives_the_results_of_bags_in_memory(folder, name, where):
    bags, y = make_bags(n_bags=40, random_state=0, return_X_y=True)
    stored = counted_bags(bags)[0] if where == "sources" else mapped_bags(bags, folder)
    cv = KFold(3, shuffle=True, random_state=0)
    method = "decision_function"
    expected = cross_val_predict(MODELS[name], bags, y, cv=cv, method=method)
    got = cross_val_predict(MODELS[name], stored, y, cv=cv, method=method)
    assert_array_equal(got, expected)
    if where == "map":
        got = cross_val_predict(MODELS[name], stored, y, cv=cv, method=method, n_jobs=2)
        assert_array_equal(got, expected)


def test_distances_of_stored_bags_read_them_once_more_than_the_check():
    bags = make_bags(n_bags=6, random_state=0).bags
    stored, log = counted_bags(bags)
    assert_array_equal(bag_distances(stored), bag_distances(bags))
    assert sum(last - first for first, last in log) == 2 * bags.n_instances


def test_a_transformer_of_instances_gets_an_array():
    bags = make_bags(n_bags=6, random_state=0).bags
    stored = counted_bags(bags)[0]
    double = FunctionTransformer(lambda x: x * 2, lambda x: x / 2, check_inverse=False)
    model = InstanceTransformer(double).fit(stored)
    assert_array_equal(model.transform(stored).instances, bags.instances * 2)
    assert_array_equal(model.inverse_transform(stored).instances, bags.instances / 2)


# --- Letting go of what was read -----------------------------------------------------------


def resident_file_bytes():
    """Return how much of files is in the memory of this process."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssFile:")[1].split()[0])


def mapped_rows(folder, mode="r"):
    rows = np.random.default_rng(0).normal(size=(2**16, 2**5))  # 16 MiB
    np.save(folder / "rows.npy", rows)
    return rows, np.load(folder / "rows.npy", mmap_mode=mode)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists() or not hasattr(mmap, "MADV_DONTNEED"),
    reason="memory is measured through /proc, which this system lacks",
)
@pytest.mark.parametrize(
    "convert",
    [lambda m: m, lambda m: m[100:], lambda m: StoredRows([m, m])],
    ids=["map", "part of a map", "stored rows"],
)
def test_what_was_read_of_a_map_is_let_go_of(tmp_path, convert):
    rows, mapped = mapped_rows(tmp_path)
    instances = convert(mapped)
    before = resident_file_bytes()
    np.asarray(instances[:]).sum()
    assert resident_file_bytes() - before > 0.9 * rows.nbytes
    release(instances)
    assert resident_file_bytes() - before < 0.1 * rows.nbytes
    assert_array_equal(mapped, rows)  # read again


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_was_written_into_a_map_stays(tmp_path, mode):
    _, mapped = mapped_rows(tmp_path, mode)
    mapped[5] = 7
    release(mapped)
    release(StoredRows([mapped]))
    assert (mapped[5] == 7).all()


def test_there_is_nothing_to_let_go_of_in_memory():
    rows = np.ones((3, 2))
    for instances in (rows, sp.csr_array(rows), StoredRows([Counted(rows)])):
        release(instances)
    assert_array_equal(rows, 1)


def test_a_copy_of_a_map_has_no_pages_to_let_go_of(tmp_path):
    rows, mapped = mapped_rows(tmp_path)
    copied = mapped.copy()
    release(copied)
    assert_array_equal(copied, rows)
