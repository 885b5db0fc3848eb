import os
import pickle
import threading

import h5py
import joblib
import numpy as np
import pytest
from damaged_files import damaged_copies
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from skmil import BagStatistics, MISVMClassifier, check_bags
from skmil.bags import _npy
from skmil.datasets import DataFileError, make_bags, read_bags, read_folder
from skmil.datasets.readers import _feature_files, _stored_files

BAGS, Y = make_bags(n_bags=30, random_state=0, return_X_y=True)
LABELS = {f"b{i:02}": label for i, label in enumerate(Y)}


def write_hdf5(path, rows, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=rows, **options)
        file["coords"] = np.arange(2 * rows.shape[-2]).reshape(-1, 2)


WRITERS = {
    ".npy": np.save,
    ".npz": lambda path, rows: np.savez_compressed(path, features=rows),
    ".h5": write_hdf5,
    "chunks.h5": lambda path, rows: write_hdf5(path, rows, chunks=(1, 20)),
    "gzip.h5": lambda path, rows: write_hdf5(path, rows, chunks=(3, 7), compression="gzip"),
    "axis.h5": lambda path, rows: write_hdf5(path, rows[np.newaxis], chunks=(1, 2, 20)),
    "Fortran.npy": lambda path, rows: np.save(path, np.asfortranarray(rows)),
}


def write(folder, kind, bags=BAGS):
    folder.mkdir()
    for i, bag in enumerate(bags):
        WRITERS[kind](folder / f"b{i:02}.{kind.rpartition('.')[2]}", bag)
    return folder


@pytest.fixture(params=list(WRITERS))
def lazy(request, tmp_path):
    """Return bags in files of each kind."""
    return read_folder(write(tmp_path / "in", request.param), lazy=True, labels=LABELS).bags


def count_reads(monkeypatch):
    """Return a list to which every read of a file adds its path and rows."""
    log = []
    read = _feature_files.read_rows

    def read_rows(declared, first, last):
        log.append((declared.path.name, first, last))
        return read(declared, first, last)

    monkeypatch.setattr(_stored_files, "read_rows", read_rows)
    return log


def test_rows_of_every_kind_of_file(lazy, monkeypatch):
    assert_array_equal(np.asarray(lazy.instances), BAGS.instances)
    chosen = lazy[[5, 2, 2, 9]]
    assert_array_equal(chosen.in_memory().instances, BAGS[[5, 2, 2, 9]].instances)
    rows = np.random.default_rng(0).integers(BAGS.n_instances, size=99)
    assert_array_equal(lazy.instances[rows], BAGS.instances[rows])
    monkeypatch.setattr(_npy, "_BLOCK_BYTES", 480)  # three rows
    assert check_bags(lazy) is lazy


def test_labels_and_positions_are_read_at_once(tmp_path):
    folder = write(tmp_path / "in", ".h5")
    eager, lazy = read_bags(folder, labels=LABELS), read_bags(folder, labels=LABELS, lazy=True)
    assert repr(lazy.bags) == f"{repr(eager.bags)[:-1]}, on disk)"
    assert_array_equal(lazy.target, eager.target)
    assert_array_equal(lazy.bag_ids, eager.bag_ids)
    assert_array_equal(lazy.positions, eager.positions)


def test_no_instance_is_read_before_it_is_needed(tmp_path, monkeypatch):
    log = count_reads(monkeypatch)
    bags = read_folder(write(tmp_path / "in", ".h5"), lazy=True).bags
    chosen = bags[::-1][[3, 4]]
    assert log == []
    chosen[0]
    assert log == [("b26.h5", 0, BAGS.bag_sizes[26])]


@pytest.mark.parametrize("kind", [".npz", "whole.h5"])
def test_what_cannot_be_read_in_parts_is_read_once(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(_feature_files, "_LARGE_CHUNK_BYTES", 100)
    monkeypatch.setattr(_npy, "_BLOCK_BYTES", 480)
    monkeypatch.setitem(WRITERS, "whole.h5", lambda path, x: write_hdf5(path, x, chunks=x.shape))
    bags = read_folder(write(tmp_path / "in", kind), lazy=True).bags
    log = count_reads(monkeypatch)
    assert len(list(_npy.blocks_of(bags.instances))) > 60
    assert len(log) <= 30
    assert all(first == 0 for _, first, _ in log)
    assert not bags.instances[1:2].flags.writeable or bags.instances[1:2].flags.owndata


def test_small_floats_are_converted_when_they_are_read(tmp_path):
    bags = BAGS.replace_instances(BAGS.instances.astype(np.float16))
    folder = write(tmp_path / "in", ".h5", bags)
    lazy = read_folder(folder, lazy=True).bags
    assert lazy.dtype == np.float32
    assert lazy[3].dtype == np.float32
    assert_array_equal(lazy[3], bags[3])
    assert read_folder(folder, lazy=True, dtype=np.float64).bags[0].dtype == np.float64
    assert_array_equal(lazy.in_memory().instances, read_folder(folder).bags.instances)


def test_lazy_bags_are_not_packed(tmp_path):
    with pytest.raises(ValueError, match="choose one"):
        read_folder(write(tmp_path / "in", ".npy"), lazy=True, save_to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_saved_lazy_bags_are_those_of_the_files(lazy, tmp_path):
    lazy[3:].save(tmp_path / "out")
    assert_array_equal(type(lazy).load(tmp_path / "out").instances, BAGS[3:].instances)


@pytest.mark.parametrize("kind", [".h5", ".npz", ".npy"])
def test_a_file_that_is_gone_or_has_changed_is_named(tmp_path, kind):
    folder = write(tmp_path / "in", kind)
    bags = read_folder(folder, lazy=True).bags
    path = folder / f"b07{kind}"
    assert_array_equal(bags.instances[BAGS.offsets[7] + 1 : BAGS.offsets[8]], BAGS[7][1:])
    for first in (0, 1):  # as a whole or in part
        WRITERS[kind](path, BAGS[7] + 1)
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
        with pytest.raises(DataFileError, match=rf"b07\{kind}: it has changed since"):
            bags.instances[BAGS.offsets[7] + first : BAGS.offsets[8]]
    path.unlink()
    with pytest.raises(DataFileError, match=rf"b07\{kind}: it is gone"):
        bags[7]
    with pytest.raises(DataFileError, match="it is gone"):
        check_bags(bags)
    assert_array_equal(bags[6], BAGS[6])


@pytest.mark.parametrize("kind", [".h5", "gzip.h5", ".npz", ".npy"])
def test_damage_under_the_same_date_is_an_error_of_the_file(tmp_path, kind):
    folder = write(tmp_path / "in", kind, BAGS[:1])
    bags = read_folder(folder, lazy=True).bags
    path = next(folder.iterdir())
    status, content = path.stat(), path.read_bytes()
    refused = []
    for copy in damaged_copies(content, 200):
        path.write_bytes(copy[: len(content)].ljust(len(content), b"\0"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        try:
            assert bags[0].shape == BAGS[0].shape
        except DataFileError as error:
            refused.append(error.path)
    assert len(refused) > 10
    assert set(refused) == {str(path)}


@pytest.mark.parametrize("changed", [{"shape": (5, 10**12)}, {"dtype": "S1000000"}])
def test_no_memory_is_asked_for_what_was_not_declared(tmp_path, monkeypatch, changed):
    bags = read_folder(write(tmp_path / "in", ".h5", BAGS[:1]), lazy=True).bags
    monkeypatch.setattr(_feature_files, "refuse_changed", lambda *_: None)  # size and date alike
    with h5py.File(tmp_path / "in" / "b00.h5", "w") as file:
        settings = {"shape": BAGS[0].shape, "dtype": float, **changed}
        file.create_dataset("features", chunks=(1, 20), **settings)
    with pytest.raises(DataFileError, match=r"b00\.h5.*it has changed while"):
        bags[0]


def test_what_is_not_finite_is_found_when_bags_are_checked(tmp_path):
    broken = BAGS.replace_instances(BAGS.instances.copy())
    broken.instances[broken.offsets[4], 3] = np.nan
    bags = read_folder(write(tmp_path / "in", ".h5", broken), lazy=True, labels=LABELS).bags
    with pytest.raises(ValueError, match="Bag 4 contains NaN: instance 0, feature 3"):
        BagStatistics().fit(bags)


def test_relative_paths_outlive_a_change_of_folder(tmp_path, monkeypatch):
    write(tmp_path / "in", ".npy")
    monkeypatch.chdir(tmp_path)
    bags = read_folder("in", lazy=True).bags
    monkeypatch.chdir("/")
    assert_array_equal(bags[3], BAGS[3])


def test_a_pickle_names_the_files(lazy):
    untouched = pickle.dumps(lazy[[3, 1]])
    lazy[0]
    lazy.instances[1:2]
    text = pickle.dumps(lazy[[3, 1]])
    assert len(text) == len(untouched) < 500 * 30
    assert_array_equal(pickle.loads(text).in_memory().instances, BAGS[[3, 1]].instances)


def test_workers_and_threads_read_the_files(lazy):
    expected = [bag.sum() for bag in BAGS]
    parallel = joblib.Parallel(n_jobs=2)
    assert parallel(joblib.delayed(_sum_of_bag)(lazy, i) for i in range(30)) == expected
    results = {}

    def read(k):
        results[k] = [_sum_of_bag(lazy, i) for i in range(k, 30, 3)]

    threads = [threading.Thread(target=read, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[i % 3][i // 3] for i in range(30)] == expected


def _sum_of_bag(bags, i):
    return bags[i].sum()


@pytest.mark.parametrize(
    "model",
    [make_pipeline(BagStatistics(), LogisticRegression(max_iter=1000)), MISVMClassifier()],
    ids=["statistics", "MI-SVM"],
)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validation_gives_the_results_of_bags_in_memory(tmp_path, model, n_jobs):
    data = read_folder(write(tmp_path / "in", ".h5"), lazy=True, labels=LABELS)
    options = {"cv": 3, "method": "decision_function"}
    got = cross_val_predict(model, data.bags, data.target, n_jobs=n_jobs, **options)
    assert_array_equal(got, cross_val_predict(model, BAGS, Y, **options))
