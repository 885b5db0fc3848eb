import json
import os
import pickle
import sys
import tracemalloc

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_array_equal
from sklearn.model_selection import cross_val_predict
from strategies import ragged_bags

from skmil import Bags, BagStatistics, MISVMClassifier, check_bags
from skmil.bags import _npy, _storage, is_stored
from skmil.datasets import DataFileError, make_bags, read_bags, read_saved

DENSE = Bags(np.arange(12.0).reshape(6, 2), [0, 1, 4, 6], feature_names=["area", "shape"])
SPARSE = Bags(sp.csr_matrix(DENSE.instances), DENSE.offsets)
EXTRA = {
    "target": np.array([0, 1, 1]),
    "bag_ids": np.array(["a", "b", "é"]),
    "instance_labels": np.array([0, 1, 0, 0, 1, 0]),
    "positions": np.arange(12).reshape(6, 2),
    "folds": np.array([[0, 1, 0], [1, 0, 0]]),
}


def assert_same_bags(got, expected):
    assert type(got.instances) in (type(expected.instances), np.memmap)
    assert got.dtype == expected.dtype
    assert_array_equal(got.offsets, expected.offsets)
    assert (got.feature_names is None) == (expected.feature_names is None)
    if expected.feature_names is not None:
        assert_array_equal(got.feature_names, expected.feature_names)
    if sp.issparse(expected.instances):
        assert got.instances.shape == expected.instances.shape
        for name in ("data", "indices", "indptr"):
            assert_array_equal(getattr(got.instances, name), getattr(expected.instances, name))
    else:
        assert_array_equal(got.instances, expected.instances)


def mapped_file(array):
    """Return the name of the file that is mapped where an array lies, or None."""
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return getattr(array, "filename", None)


def traced_peak(function):
    """Return the result of a function and how many bytes it allocated at most."""
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def saved(tmp_path):
    """Return a folder of saved bags."""
    DENSE.save(tmp_path / "bags", **EXTRA)
    return tmp_path / "bags"


@pytest.fixture
def saved_sparse(tmp_path):
    SPARSE.save(tmp_path / "sparse")
    return tmp_path / "sparse"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a folder of 64 MiB of bags in float32."""
    folder = tmp_path_factory.mktemp("large") / "bags"
    rows = np.random.default_rng(0).normal(size=(2**14, 2**10)).astype(np.float32)
    Bags(rows, np.arange(0, 2**14 + 1, 2**7)).save(folder)
    return folder


@pytest.mark.parametrize("mmap_mode", ["r", "c", None])
@pytest.mark.parametrize("bags", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_bags_come_back_as_they_were_saved(tmp_path, bags, mmap_mode):
    bags.save(tmp_path / "bags")
    assert_same_bags(Bags.load(tmp_path / "bags", mmap_mode=mmap_mode), bags)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.uint16, np.bool_]
)
def test_every_type_of_number_comes_back(tmp_path, dtype):
    bags = Bags(DENSE.instances.astype(dtype), DENSE.offsets)
    bags.save(tmp_path / "bags")
    assert_same_bags(Bags.load(tmp_path / "bags"), bags)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(bags=ragged_bags())
def test_any_bags_come_back(tmp_path, bags):
    for variant in (bags, Bags(sp.csr_array(bags.instances), bags.offsets), bags[::-1]):
        variant.save(tmp_path / "bags", overwrite=True)
        assert_same_bags(Bags.load(tmp_path / "bags"), variant)


@pytest.mark.parametrize(
    "instances",
    [
        np.asfortranarray(DENSE.instances),
        np.repeat(DENSE.instances, 2, axis=0)[::2],
        DENSE.instances.astype(">f8"),
    ],
    ids=["Fortran", "strided", "big-endian"],
)
def test_the_order_of_bytes_in_memory_does_not_matter(tmp_path, instances):
    Bags(instances, DENSE.offsets, feature_names=DENSE.feature_names).save(tmp_path / "bags")
    assert_same_bags(Bags.load(tmp_path / "bags"), DENSE)


@pytest.mark.parametrize(
    "bags",
    [
        Bags(np.empty((0, 3)), [0]),
        Bags(np.empty((0, 3)), [0, 0]),
        Bags(sp.csr_matrix((2, 3)), [0, 2]),
        Bags(sp.csr_array((0, 3)), [0]),
    ],
)
def test_empty_arrays_come_back(tmp_path, bags):
    bags.save(tmp_path / "bags")
    assert_same_bags(Bags.load(tmp_path / "bags"), bags)


def test_the_kind_of_sparse_matrix_is_kept(tmp_path):
    for kind in (sp.csr_matrix, sp.csr_array):
        bags = Bags(kind(DENSE.instances), DENSE.offsets)
        bags.save(tmp_path / kind.__name__)
        assert type(Bags.load(tmp_path / kind.__name__).instances) is kind


def test_sparse_bags_are_saved_with_narrow_indices(tmp_path):
    matrix = sp.csr_array(DENSE.instances)
    matrix.indices, matrix.indptr = (a.astype(np.int64) for a in (matrix.indices, matrix.indptr))
    Bags(matrix, DENSE.offsets).save(tmp_path / "bags")
    bags = Bags.load(tmp_path / "bags")
    assert bags.instances.indices.dtype == np.int32
    assert check_bags(bags).instances is bags.instances


def test_room_beyond_the_entries_of_a_sparse_matrix_is_not_saved(tmp_path):
    matrix = sp.csr_matrix(DENSE.instances)
    roomy = sp.csr_matrix(matrix.shape)
    roomy.indptr = matrix.indptr
    roomy.data = np.append(matrix.data, [np.nan, np.nan])
    roomy.indices = np.append(matrix.indices, [0, 0])
    Bags(roomy, DENSE.offsets).save(tmp_path / "bags")
    assert_same_bags(Bags.load(tmp_path / "bags"), SPARSE)


def test_further_arrays_come_back_by_name(saved):
    data = read_saved(saved)
    assert_same_bags(data.bags, DENSE)
    for name, array in EXTRA.items():
        assert_array_equal(data[name], array)
        assert data[name].dtype == array.dtype
    assert data.feature_names == ["area", "shape"]
    assert data.instance_ids is None
    assert_array_equal(read_bags(saved).target, EXTRA["target"])
    assert_array_equal(read_bags(saved, mmap_mode=None).target, EXTRA["target"])


def test_arrays_of_instances_are_mapped_and_those_of_bags_are_read(saved):
    data = read_saved(saved)
    assert mapped_file(data.positions) == saved / "positions.npy"
    assert all(mapped_file(data[name]) is None for name in ("target", "bag_ids", "folds"))
    assert mapped_file(read_saved(saved, mmap_mode=None).positions) is None


def test_labels_may_be_lists_or_columns_of_a_frame_or_none(tmp_path):
    frame = pd.DataFrame({"id": ["x", "y", "z"], "label": [1, 0, 1]})
    DENSE.save(
        tmp_path / "a",
        target=frame["label"],
        bag_ids=frame["id"],
        stage=["i", "ii", ""],
        folds=None,
    )
    data = read_saved(tmp_path / "a")
    assert data.target.tolist() == [1, 0, 1]
    assert data.bag_ids.tolist() == ["x", "y", "z"]
    assert data.stage.tolist() == ["i", "ii", ""]
    assert data.folds is None


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"target": [0, 1]}, ValueError, r"target needs a value for each bag, shape \(3,\)"),
        ({"target": np.zeros(6)}, ValueError, "target needs a value for each bag"),
        ({"instance_labels": [0, 1, 0]}, ValueError, "a value for each instance"),
        ({"weight": np.zeros(5)}, ValueError, "a row for each of the 3 bags or the 6 instances"),
        ({"weight": 1.0}, ValueError, r"got shape \(\)"),
        ({"folds": np.zeros((2, 4), dtype=int)}, ValueError, r"shape \(n_repeats, 3\)"),
        ({"folds": np.zeros((2, 3))}, ValueError, "folds needs integers"),
        ({"offsets": [0, 1, 2]}, ValueError, "under the name 'offsets'"),
        ({"feature_names": [0, 1, 2]}, ValueError, "under the name 'feature_names'"),
        ({"../out": [0, 1, 2]}, ValueError, "under the name '../out'"),
        ({"target": np.array([0, None, 1])}, TypeError, "must hold numbers or strings"),
        ({"target": np.array([0, 1, 1j])}, TypeError, "must hold numbers or strings"),
    ],
)
def test_arrays_that_do_not_fit_are_not_saved(tmp_path, arrays, error, message):
    with pytest.raises(error, match=message):
        DENSE.save(tmp_path / "bags", **arrays)
    assert not list(tmp_path.iterdir())


def test_what_is_no_number_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match="not of dtype object"):
        Bags(DENSE.instances.astype(object), DENSE.offsets).save(tmp_path / "bags")
    with pytest.raises(TypeError, match="Names of features must be strings"):
        Bags(DENSE.instances, DENSE.offsets, feature_names=[1, 2]).save(tmp_path / "bags")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_replaced_only_if_told(saved):
    with pytest.raises(FileExistsError, match="set overwrite=True"):
        SPARSE.save(saved)
    assert_same_bags(Bags.load(saved), DENSE)
    SPARSE.save(saved, overwrite=True)
    assert_same_bags(Bags.load(saved), SPARSE)
    assert [path.name for path in saved.parent.iterdir()] == ["bags"]
    assert not (saved / "target.npy").exists()


def test_mapped_bags_may_replace_their_own_files(saved):
    bags = Bags.load(saved)
    bags[::-1].save(saved, overwrite=True)
    assert_same_bags(Bags.load(saved), DENSE[::-1])
    assert_array_equal(bags.instances, DENSE.instances)


@pytest.mark.parametrize("name", ["notes.txt", "src"])
def test_a_folder_with_anything_else_is_never_replaced(saved, name):
    (saved / name).mkdir()
    with pytest.raises(FileExistsError, match="not, or not only, a folder of saved bags"):
        DENSE.save(saved, overwrite=True)
    assert (saved / name).exists()
    (saved.parent / "file").write_text("text")
    (saved.parent / "link").symlink_to(saved)
    for other in ("file", "link"):
        with pytest.raises(FileExistsError, match="not, or not only"):
            DENSE.save(saved.parent / other, overwrite=True)


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_stays_of_an_interrupted_save(tmp_path, monkeypatch, error, overwrite):
    folder = tmp_path / "bags"
    if overwrite:
        DENSE.save(folder)

    def blocks_of(array):
        yield array[:1]
        raise error

    monkeypatch.setattr(_storage, "blocks_of", blocks_of)
    with pytest.raises(type(error)):
        SPARSE.save(folder, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["bags"] * overwrite
    if overwrite:
        assert_same_bags(Bags.load(folder), DENSE)


def test_a_folder_that_cannot_be_replaced_stays(saved, monkeypatch):
    rename = os.rename

    def refuse(self, target):
        if self.suffix == ".part":
            raise PermissionError("busy")
        rename(self, target)

    monkeypatch.setattr(type(saved), "rename", refuse)
    with pytest.raises(PermissionError):
        SPARSE.save(saved, overwrite=True)
    assert_same_bags(Bags.load(saved), DENSE)
    assert [path.name for path in saved.parent.iterdir()] == ["bags"]


def test_the_folder_has_no_name_before_it_is_complete(tmp_path, monkeypatch):
    seen = []
    write = _npy.write_npy

    def watch(path, *args):
        seen.append((path.name, path.parent != tmp_path / "bags", (tmp_path / "bags").exists()))
        write(path, *args)

    monkeypatch.setattr(_storage, "write_npy", watch)
    DENSE.save(tmp_path / "bags", target=[0, 1, 1])
    assert seen == [(f"{name}.npy", True, False) for name in ("instances", "offsets", "target")]
    assert Bags.load(tmp_path / "bags").n_bags == 3


def test_a_place_that_cannot_be_written_is_an_error_of_the_system(tmp_path, saved):
    with pytest.raises(FileNotFoundError):
        DENSE.save(tmp_path / "missing" / "bags")
    (tmp_path / "file").write_text("text")
    with pytest.raises(NotADirectoryError):
        DENSE.save(tmp_path / "file" / "bags")
    with pytest.raises(FileNotFoundError):
        Bags.load(tmp_path / "missing")


def test_a_read_only_folder_is_not_written_to(own_folder):
    own_folder.chmod(0o500)
    with pytest.raises(PermissionError):
        DENSE.save(own_folder / "bags")
    assert not list(own_folder.iterdir())


def test_mapped_bags_cannot_be_changed_by_accident(saved):
    bags = Bags.load(saved)
    with pytest.raises(ValueError, match="read-only"):
        bags.instances[0, 0] = 1
    private = Bags.load(saved, mmap_mode="c")
    private.instances[0, 0] = 1
    assert_same_bags(Bags.load(saved), DENSE)
    with pytest.raises(ValueError, match="mmap_mode must be 'r'"):
        Bags.load(saved, mmap_mode="r+")
    with pytest.raises(ValueError, match="mmap_mode must be 'r'"):
        read_saved(saved, mmap_mode="w+")


def test_selections_of_mapped_bags(saved):
    bags = Bags.load(saved)
    file = saved / "instances.npy"
    assert mapped_file(bags[1]) == file
    assert mapped_file(bags[1:].instances) == file
    assert all(mapped_file(bag) == file for bag in bags)
    chosen = bags[[2, 0]]
    assert not isinstance(chosen.instances, np.ndarray)
    assert_same_bags(chosen.in_memory(), DENSE[[2, 0]])
    assert_same_bags(bags[np.array([True, False, True])].in_memory(), DENSE[[0, 2]])


def test_saving_and_checking_take_no_copy(large, tmp_path):
    size = (large / "instances.npy").stat().st_size
    bags, peak = traced_peak(lambda: Bags.load(large))
    assert peak < size / 100
    checked, peak = traced_peak(lambda: check_bags(bags))
    assert checked.instances is bags.instances
    assert peak < size / 100
    _, peak = traced_peak(lambda: bags.save(tmp_path / "copy"))
    assert peak < size / 100
    assert (tmp_path / "copy" / "instances.npy").stat().st_size == size
    in_columns = Bags(np.asfortranarray(bags.instances), bags.offsets)
    _, peak = traced_peak(lambda: in_columns.save(tmp_path / "copy", overwrite=True))
    assert peak < size / 4
    _, peak = traced_peak(lambda: Bags.load(large, mmap_mode=None))
    assert peak > size


def test_looking_for_what_is_not_finite_takes_no_mask_of_everything(large):
    bags = Bags.load(large, mmap_mode="c")
    size = bags.instances.nbytes
    bags.instances[-1, 5] = np.inf
    last = bags.n_bags - 1

    def check():
        with pytest.raises(ValueError, match=f"Bag {last} contains infinity.*instance 127.*e 5"):
            check_bags(bags)

    _, peak = traced_peak(check)
    assert peak < size / 20


def test_a_sum_that_overflows_is_no_infinity(tmp_path):
    Bags(np.full((4, 2), 1e308), [0, 4]).save(tmp_path / "bags")
    assert check_bags(Bags.load(tmp_path / "bags")).n_instances == 4


def test_workers_open_the_files_themselves(large):
    bags = Bags.load(large)
    assert bags.instances.nbytes > 2**20
    parallel = joblib.Parallel(n_jobs=2)
    names = parallel(joblib.delayed(_file_of)(part) for part in (bags, bags[3:5]))
    assert [str(name) for name in names] == [str(large / "instances.npy")] * 2


def _file_of(bags):
    return mapped_file(bags.instances)


@pytest.mark.parametrize("bags", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_a_pickle_names_the_file(tmp_path, bags):
    bags.save(tmp_path / "bags")
    mapped = Bags.load(tmp_path / "bags")
    text = pickle.dumps(mapped)
    again = pickle.loads(text)
    assert_same_bags(again, bags)
    if isinstance(bags.instances, np.ndarray):
        assert is_stored(again.instances)
        assert b"instances.npy" in text
        (tmp_path / "bags" / "instances.npy").unlink()
        with pytest.raises(DataFileError, match=r"instances\.npy.*it is gone"):
            pickle.loads(text)


def test_a_pickle_of_a_slice_or_of_a_map_to_write_to_holds_the_values(tmp_path):
    bags = Bags(np.arange(12.0).reshape(6, 2), [0, 1, 4, 6])
    bags.save(tmp_path / "bags")
    for mapped in (Bags.load(tmp_path / "bags")[:2], Bags.load(tmp_path / "bags", mmap_mode="c")):
        expected = mapped.in_memory()
        assert_same_bags(pickle.loads(pickle.dumps(mapped)), expected)
        assert b"instances.npy" not in pickle.dumps(mapped)


def test_the_size_of_mapped_bags_is_that_of_their_pickle(tmp_path):
    bags = Bags(np.zeros((1000, 100)), [0, 400, 1000])
    bags.save(tmp_path / "bags")
    mapped = Bags.load(tmp_path / "bags")
    assert sys.getsizeof(bags) > 800_000
    assert sys.getsizeof(mapped) < 10_000
    assert sys.getsizeof(mapped[[1, 0]]) < 10_000


@pytest.mark.parametrize("sparse", [False, True])
def test_estimators_give_the_same_results(tmp_path, sparse):
    bags, y = make_bags(n_bags=40, random_state=0, return_X_y=True)
    if sparse:
        bags = Bags(sp.csr_matrix(np.maximum(bags.instances, 0)), bags.offsets)
    bags.save(tmp_path / "bags", target=y)
    mapped = read_saved(tmp_path / "bags")
    if not sparse:
        statistics = BagStatistics().fit_transform(bags)
        assert_array_equal(BagStatistics().fit_transform(mapped.bags), statistics)
    model = MISVMClassifier()
    expected = model.fit(bags, y).decision_function(bags)
    got = model.fit(mapped.bags, mapped.target).decision_function(mapped.bags)
    assert_array_equal(got, expected)
    expected = cross_val_predict(model, bags, y, cv=2)
    assert_array_equal(cross_val_predict(model, mapped.bags, y, cv=2, n_jobs=2), expected)


def change_header(folder, **changes):
    path = folder / "bags.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "does not say that its format is 'skmil bags'"),
        ({"version": 2}, "version 2 of the format is unknown"),
        ({"offsets": ..., "n_bags": ...}, "it does not say 'n_bags'"),
        ({"n_bags": -1}, "'n_bags' must be a number from 0, got -1"),
        ({"n_bags": 2**64}, "'n_bags' must be a number"),
        ({"n_bags": True}, "'n_bags' must be a number"),
        ({"n_bags": 2}, r"offsets\.npy: the shape must be \(3,\) by bags\.json, but is \(4,\)"),
        ({"n_instances": 7}, r"the shape must be \(7, 2\) by bags\.json, but is \(6, 2\)"),
        ({"n_features": 3}, "2 names for 3 features"),
        ({"dtype": "<f4"}, "instances.npy: the type must be '<f4' by bags.json, but is '<f8'"),
        ({"dtype": 8}, "the type must be 8"),
        ({"kind": "coo"}, "'kind' must be one of dense, csr_matrix, csr_array, got 'coo'"),
        ({"kind": []}, "'kind' must be one of"),
        ({"kind": "csr_matrix"}, "csr_data.npy: there is no such file"),
        ({"feature_names": "ab"}, "'feature_names' must be null or a list"),
        ({"feature_names": [1, 2]}, "'feature_names' must be null or a list of strings"),
        ({"arrays": None}, "'arrays' must be a list of different names"),
        ({"arrays": ["target", "target"]}, "'arrays' must be a list of different names"),
        ({"arrays": ["../target"]}, "'../target' is no name of a further array"),
        ({"arrays": ["bags"]}, "'bags' is no name of a further array"),
        ({"arrays": ["stage"]}, "stage.npy: there is no such file"),
        ({"arrays": ["folds", "instances"]}, "'instances' is no name"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(saved, changes, message):
    change_header(saved, **changes)
    with pytest.raises(DataFileError, match=f"bags/.*{message}"):
        read_saved(saved)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "1" * 5000, "\xff", "null"])
def test_a_header_that_is_none_is_refused(saved, text):
    (saved / "bags.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataFileError, match=r"bags\.json: "):
        Bags.load(saved)


def test_a_header_of_absurd_size_is_not_read(saved):
    with (saved / "bags.json").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(DataFileError, match=r"bags\.json: it is larger than"):
        Bags.load(saved)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("instances", DENSE.instances[:5], r"shape must be \(6, 2\)"),
        ("instances", DENSE.instances.astype(np.float32), "type must be '<f8'"),
        ("offsets", [0, 1, 4, 5], "must rise from 0 to 6, got 0 to 5"),
        ("offsets", [0, 4, 1, 6], "fall after position 1"),
        ("offsets", [0.0, 1.0, 4.0, 6.0], "must hold integers, but holds float64"),
        ("target", [0, 1], "target needs a value for each bag"),
        ("target", np.zeros(3, dtype="V8"), "must hold numbers or strings"),
        ("target", np.array([1j, 0, 0]), "must hold numbers or strings"),
        ("target", np.array(1), "a single value"),
        ("bag_ids", np.full(3, 0x110000, dtype="u4").view("U1"), "numbers that are no characters"),
        ("folds", np.zeros((2, 4), dtype=int), "folds needs integers of shape"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(saved, name, array, message):
    np.save(saved / f"{name}.npy", array)
    with pytest.raises(DataFileError, match=rf"bags/{name}\.npy: .*{message}"):
        read_saved(saved)


def test_objects_are_refused(saved):
    np.save(saved / "target.npy", np.array([0, None, "x"], dtype=object), allow_pickle=True)
    with pytest.raises(DataFileError, match="holds objects"):
        read_saved(saved)
    assert Bags.load(saved).n_bags == 3


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("csr_indices", np.full(11, 2), r"csr_indices\.npy: columns must be from 0 to 1"),
        ("csr_indices", np.full(11, -1), r"csr_indices\.npy: columns must be from 0 to 1"),
        ("csr_indices", np.zeros(10, dtype=int), "10 values|10 columns|row pointers"),
        ("csr_indices", np.zeros(11), "must hold integers"),
        ("csr_indices", np.zeros((11, 1), dtype=int), "must be 1-D"),
        ("csr_indptr", np.array([0, 9, 3, 5, 7, 9, 11]), "row pointers must rise, but fall"),
        ("csr_indptr", np.array([0, 1, 3, 5, 7, 9, 12]), "row pointers must rise from 0 to 11"),
        ("csr_indptr", np.array([0, 1, 3, 5, 7, 11]), r"shape must be \(7,\)"),
        ("csr_data", np.ones(10), "11 columns for 10 values"),
        ("csr_data", np.ones(11, dtype=np.float32), "type must be '<f8'"),
    ],
)
def test_parts_that_are_no_sparse_matrix_are_refused(saved_sparse, name, array, message):
    np.save(saved_sparse / f"{name}.npy", array)
    with pytest.raises(DataFileError, match=message):
        Bags.load(saved_sparse)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(saved):
    (saved / "target.npy").unlink()
    os.mkfifo(saved / "target.npy")
    with pytest.raises(DataFileError, match="there is no such file"):
        read_saved(saved)
    (saved / "bags.json").unlink()
    os.mkfifo(saved / "bags.json")
    with pytest.raises(DataFileError, match="no ordinary file"):
        Bags.load(saved)


@pytest.mark.parametrize("bags", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_files_cut_short_anywhere_are_refused(tmp_path, bags):
    bags.save(tmp_path / "bags", target=EXTRA["target"], bag_ids=EXTRA["bag_ids"])
    for path in (tmp_path / "bags").iterdir():
        content = path.read_bytes()
        for n_bytes in range(0, len(content), 11):
            path.write_bytes(content[:n_bytes])
            with pytest.raises(DataFileError, match=path.name):
                read_saved(tmp_path / "bags")
        path.write_bytes(content)


@pytest.mark.parametrize("bags", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_damaged_files_are_read_or_refused_but_never_crash(tmp_path, bags):
    bags.save(tmp_path / "bags", **EXTRA)
    rng = np.random.default_rng(0)
    n_refused = 0
    for path in (tmp_path / "bags").iterdir():
        content = path.read_bytes()
        for _ in range(100):
            damaged = bytearray(content)
            for _ in range(rng.integers(1, 4)):
                damaged[rng.integers(len(damaged))] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                data = read_saved(tmp_path / "bags")
                str(data)
                np.asarray(data.bags.instances.sum())
            except DataFileError:
                n_refused += 1
        path.write_bytes(content)
    assert n_refused > 200


def test_what_is_meant_by_other_names_and_folders(tmp_path):
    with pytest.raises(ValueError, match="under the name target: target=y"):
        DENSE.save(tmp_path / "bags", y=[0, 1, 1])
    with pytest.raises(FileNotFoundError, match=r"no.parent does not exist\. Create it first"):
        DENSE.save(tmp_path / "no" / "parent" / "bags")
    with pytest.raises(DataFileError, match=r"no saved bags, .* bags\.json.*read_bags"):
        Bags.load(tmp_path)
