import sys

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from real_data import path_of

from skmil.datasets._files import read_bags, read_folds

INSTANCES = np.arange(12.0).reshape(6, 2)
OFFSETS = np.array([0, 1, 4, 6])
TARGET = np.array([0, 1, 1])

#: Bags, positive bags, instances, features of published data sets.
KNOWN_SIZES = {
    "musk1": (92, 47, 476, 166),
    "musk2": (102, 39, 6598, 166),
    "fox": (200, 100, 1320, 230),
    "tiger": (200, 100, 1220, 230),
    "elephant": (200, 100, 1391, 230),
    "web1": (113, 21, 3423, 5863),
    "birds": (548, 197, 10232, 38),
}


def csr_parts(matrix):
    return {
        "csr_data": matrix.data,
        "csr_indices": matrix.indices,
        "csr_indptr": matrix.indptr,
        "csr_shape": np.array(matrix.shape),
    }


@pytest.fixture
def save(tmp_path):
    """Return a function that writes an archive, three good bags if not told otherwise."""

    def save_arrays(**arrays):
        path = tmp_path / "bags.npz"
        arrays = {"instances": INSTANCES, "offsets": OFFSETS, "y": TARGET} | arrays
        np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
        return path

    return save_arrays


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a table."""

    def write_text(text):
        path = tmp_path / "bags.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_come_back_as_they_were_saved(save, dtype):
    bags, y = read_bags(save(instances=INSTANCES.astype(dtype), folds=np.zeros((5, 3))))
    assert bags.dtype == dtype
    assert_array_equal(bags.instances, INSTANCES)
    assert_array_equal(bags.offsets, OFFSETS)
    assert_array_equal(y, TARGET)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.bool_, np.float16, ">f8"])
def test_other_numbers_become_float64(save, dtype):
    bags, _ = read_bags(save(instances=INSTANCES.astype(dtype)))
    assert bags.dtype == np.float64
    assert_array_equal(bags.instances, INSTANCES.astype(dtype))


def test_sparse_bags_stay_sparse(save):
    matrix = sp.csr_matrix(INSTANCES.astype(np.float32))
    bags, y = read_bags(save(instances=None, **csr_parts(matrix)))
    assert sp.issparse(bags.instances)
    assert bags.instances.format == "csr"
    assert bags.dtype == np.float32
    assert_array_equal(bags.instances.toarray(), INSTANCES)
    assert_array_equal(y, TARGET)


def test_sparse_entries_given_twice_are_added(save):
    parts = {
        "csr_data": np.array([1.0, 2.0]),
        "csr_indices": np.array([3, 3]),
        "csr_indptr": np.array([0, 2]),
        "csr_shape": np.array([1, 4]),
    }
    bags, _ = read_bags(save(instances=None, offsets=[0, 1], y=[0], **parts))
    assert_array_equal(bags.instances.toarray(), [[0, 0, 0, 3]])
    assert bags.instances.nnz == 1


@pytest.mark.parametrize("labels", [["a", "b", "a"], [b"a", b"b", b"a"]])
def test_labels_may_be_strings(save, labels):
    _, y = read_bags(save(y=np.array(labels)))
    assert y.dtype.kind == "U"
    assert y.tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": None}, "the array 'y' is missing"),
        ({"offsets": None}, "the array 'offsets' is missing"),
        ({"instances": None}, "neither 'instances' nor .* 'csr_data' is missing"),
        ({"y": [0, 1]}, r"'y' needs one label per bag, shape \(3,\), got \(2,\)"),
        ({"y": [[0], [1], [1]]}, r"'y' needs one label per bag, .* got \(3, 1\)"),
        ({"y": [0, np.nan, 1]}, "'y' has no label for bag 1: nan"),
        ({"y": np.array([0, 1, 1j])}, "'y' must hold numbers or strings, got complex128"),
        ({"y": np.array([0, 1, None])}, "not a complete .npz file of plain arrays"),
        ({"instances": INSTANCES.astype(object)}, "not a complete .npz .* without objects"),
        ({"instances": INSTANCES[:, 0]}, "instances must be 2-D"),
        ({"instances": INSTANCES.astype(str)}, "not numeric"),
        ({"instances": INSTANCES + 1j}, "Complex data not supported"),
        ({"instances": np.full((6, 2), np.inf)}, "Bag 0 contains infinity"),
        ({"instances": INSTANCES[:0], "offsets": [0], "y": []}, "no bags"),
        ({"offsets": [0, 1, 4, 5]}, "offsets must rise from 0 to the number of instances, 6"),
        ({"offsets": [0, 4, 1, 6]}, "fall in between"),
        ({"offsets": [0, 1, 1, 6]}, "Bag 1 is empty"),
        ({"offsets": [0.0, 1.0, 4.0, 6.0]}, "offsets must be a 1-D array"),
    ],
)
def test_arrays_that_are_no_bags_are_refused(save, arrays, message):
    with pytest.raises(ValueError, match=rf"bags\.npz: .*{message}"):
        read_bags(save(**arrays))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"csr_shape": None}, "'csr_shape' is missing"),
        ({"csr_shape": [6, 2, 1]}, "'csr_shape' must hold two integers"),
        ({"csr_shape": [5, 2]}, "index pointer"),
        ({"csr_shape": [6, 1]}, "indices|column ind"),
        ({"csr_indices": np.zeros(11)}, "'csr_indices' must hold integers, got float64"),
        ({"csr_data": np.ones(3)}, "indices and data should have the same size"),
        ({"csr_data": np.array(["x"] * 11)}, ""),
    ],
)
def test_parts_that_are_no_sparse_matrix_are_refused(save, parts, message):
    arrays = {"instances": None} | csr_parts(sp.csr_matrix(INSTANCES)) | parts
    with pytest.raises(ValueError, match=rf"bags\.npz: .*{message}"):
        read_bags(save(**arrays))


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, writer):
    whole = tmp_path / "whole.npz"
    writer(whole, instances=INSTANCES, offsets=OFFSETS, y=TARGET)
    content = whole.read_bytes()
    path = tmp_path / "cut.npz"
    for n_bytes in range(0, len(content), 7):
        path.write_bytes(content[:n_bytes])
        with pytest.raises(ValueError, match=r"cut\.npz: not a complete \.npz file"):
            read_bags(path)


def test_a_damaged_file_is_read_or_refused_but_never_crashes(save):
    path = save()
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_bags(path)
        except ValueError:
            n_refused += 1
    assert n_refused > 100


@pytest.mark.parametrize("content", [b"", b"bag,label,x\n", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "bags.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a complete"):
        read_bags(path)


def test_one_array_is_no_archive(tmp_path):
    path = tmp_path / "bags.npz"
    with path.open("wb") as file:
        np.save(file, INSTANCES)
    with pytest.raises(ValueError, match="one array without a name"):
        read_bags(path)


def test_other_kinds_of_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"bags\.mat: bags are read from .npz or .csv files"):
        read_bags(tmp_path / "bags.mat")


@pytest.mark.parametrize("name", ["bags.npz", "bags.csv"])
def test_a_file_that_is_not_there_says_so(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        read_bags(tmp_path / name)


@pytest.mark.parametrize("name", sorted(KNOWN_SIZES))
def test_published_data_have_their_published_sizes(name):
    bags, y = read_bags(path_of(name))
    assert (bags.n_bags, y.sum(), bags.n_instances, bags.n_features) == KNOWN_SIZES[name]


def test_a_table_of_instances_becomes_bags(write):
    pytest.importorskip("pandas")
    path = write("label,x,bag,z\nyes,1,007,0.1\nno,2,08,0.2\nyes,3,007,0.3\n")
    bags, y = read_bags(path)
    assert bags.dtype == np.float64
    assert_array_equal(bags[0], [[1, 0.1], [3, 0.3]])
    assert_array_equal(bags[1], [[2, 0.2]])
    assert bags.feature_names.tolist() == ["x", "z"]
    assert y.dtype.kind == "U"
    assert y.tolist() == ["yes", "no"]


def test_the_columns_of_bag_and_label_can_be_named(write):
    pytest.importorskip("pandas")
    path = write("molecule,active,bag,label\n1,0,5,6\n2,1,7,8\n")
    bags, y = read_bags(path, bag_column="molecule", label_column="active")
    assert_array_equal(bags.instances, [[5, 6], [7, 8]])
    assert y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No columns"),
        ("bag,label,x\n", "no rows"),
        ("id,label,x\n1,0,2\n", r"no column 'bag' for the bag; there are 'id', .*--bag-column"),
        ("bag,class,x\n1,0,2\n", "no column 'label' for the label; .*--label-column"),
        ("bag,label,x\n1,0,red\n", "column 'x' is neither the bag, nor the label, nor numeric"),
        ("bag,label,x\n1,0,\n", "Bag 0 contains NaN"),
        ("bag,label,x\n,0,2\n", "Row 0 does not say which bag"),
        ("bag,label,x\n1,,2\n", "Row 0 has no label"),
        ("bag,label,x\n1,0,2\n1,1,3\n", "Bag '1' has more than one value"),
        ("bag,label,x\n1,0,2\n1,0,2,3\n", "line 3"),
        ("bag,label,x\n1,0,2,3\n", "more values than the header"),
        ("bag,label\n1,0\n", "0 feature columns"),
    ],
)
def test_tables_that_are_no_bags_are_refused(write, text, message):
    pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=rf"bags\.csv: (?s:.*){message}"):
        read_bags(write(text))


def test_a_wide_table_names_only_its_first_columns(write):
    pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="'x4', 'x5' and 94 more"):
        read_bags(write(",".join(f"x{i}" for i in range(100)) + "\n"))


def test_bag_and_label_are_two_columns(write):
    pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="both column 'bag'"):
        read_bags(write("bag,label,x\n1,0,2\n"), label_column="bag")


def test_a_table_that_is_no_text_is_refused(tmp_path):
    pytest.importorskip("pandas")
    path = tmp_path / "bags.csv"
    path.write_bytes(b"bag,label,x\n1,\xff\xfe,2\n")
    with pytest.raises(ValueError, match=r"bags\.csv: .*utf-8"):
        read_bags(path)


def test_a_table_without_pandas_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install skmil\[data\]"):
        read_bags(write("bag,label,x\n1,0,2\n"))


def test_folds_are_read_where_there_are_any(save):
    folds = np.array([[0, 1, 1], [1, 0, 1]], dtype=np.int8)
    assert_array_equal(read_folds(save(y=TARGET, folds=folds), 3), folds)
    assert read_folds(save(y=TARGET), 3) is None
    assert read_folds("table.csv", 3) is None


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.array([0, 1, 1]), r"a row for each repeat .* 3 bags, got shape \(3,\)"),
        (np.zeros((2, 4), dtype=int), r"got shape \(2, 4\)"),
        (np.zeros((0, 3), dtype=int), r"got shape \(0, 3\)"),
        (np.array([[0, 1, -1]]), "must number the folds from 0"),
        (np.array([[0.0, 1.0, 1.0]]), "in integers"),
    ],
)
def test_folds_of_another_form_are_refused(save, folds, message):
    with pytest.raises(ValueError, match=message):
        read_folds(save(y=TARGET, folds=folds), 3)
