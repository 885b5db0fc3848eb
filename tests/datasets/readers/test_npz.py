import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from real_data import path_of

from skmil.datasets import DataFileError, read_npz

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_come_back_as_they_were_saved(save, dtype):
    data = read_npz(save(instances=INSTANCES.astype(dtype), folds=np.zeros((5, 3), dtype=int)))
    bags, y = data.bags, data.target
    assert bags.dtype == dtype
    assert_array_equal(bags.instances, INSTANCES)
    assert_array_equal(bags.offsets, OFFSETS)
    assert_array_equal(y, TARGET)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.bool_, np.float16, ">f8"])
def test_other_numbers_become_float64(save, dtype):
    bags = read_npz(save(instances=INSTANCES.astype(dtype))).bags
    assert bags.dtype == np.float64
    assert_array_equal(bags.instances, INSTANCES.astype(dtype))


def test_sparse_bags_stay_sparse(save):
    matrix = sp.csr_matrix(INSTANCES.astype(np.float32))
    data = read_npz(save(instances=None, **csr_parts(matrix)))
    bags, y = data.bags, data.target
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
    bags = read_npz(save(instances=None, offsets=[0, 1], y=[0], **parts)).bags
    assert_array_equal(bags.instances.toarray(), [[0, 0, 0, 3]])
    assert bags.instances.nnz == 1


@pytest.mark.parametrize("labels", [["a", "b", "a"], [b"a", b"b", b"a"]])
def test_labels_may_be_strings(save, labels):
    y = read_npz(save(y=np.array(labels))).target
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
        ({"y": np.full(3, 2**31, dtype="u4").view("U1")}, "numbers that are no characters"),
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
    with pytest.raises(DataFileError, match=rf"bags\.npz.*: .*{message}"):
        read_npz(save(**arrays))


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
    with pytest.raises(DataFileError, match=rf"bags\.npz.*: .*{message}"):
        read_npz(save(**arrays))


def header_of(shape, version=1, length=None):
    """Return the beginning of an .npy file of float64, of any shape and declared length."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    kind = "<H" if version == 1 else "<I"
    size = struct.pack(kind, len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


def save_with(path, instances):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("instances.npy", instances)
        for name, array in {"offsets": OFFSETS, "y": TARGET}.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)


@pytest.mark.parametrize("shape", [(2**70, 0), (-1, 0), (True, True), (0, 2**63)])
def test_shapes_that_no_array_can_have_are_refused(tmp_path, shape):
    n_bytes = 8 if shape == (True, True) else 0
    save_with(tmp_path / "bags.npz", header_of(shape) + bytes(n_bytes))
    with pytest.raises(DataFileError, match="is no shape of an array"):
        read_npz(tmp_path / "bags.npz")


def test_a_header_longer_than_any_is_not_read(tmp_path):
    content = header_of((1, 1), version=2, length=2**26) + bytes(2**26)
    save_with(tmp_path / "bags.npz", content)
    tracemalloc.start()
    with pytest.raises(DataFileError, match=r"array 'instances': .*header"):
        read_npz(tmp_path / "bags.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


def test_arrays_of_the_other_byte_order_become_native(save):
    other = np.dtype(np.int64).newbyteorder()
    data = read_npz(save(y=TARGET.astype(other), folds=np.array([[0, 1, 1]], dtype=other)))
    assert data.target.tolist() == TARGET.tolist()
    assert data.target.dtype.isnative
    assert data.folds.dtype.isnative


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, writer):
    whole = tmp_path / "whole.npz"
    writer(whole, instances=INSTANCES, offsets=OFFSETS, y=TARGET)
    content = whole.read_bytes()
    path = tmp_path / "cut.npz"
    for n_bytes in range(0, len(content), 7):
        path.write_bytes(content[:n_bytes])
        with pytest.raises(DataFileError, match=r"cut\.npz: not a complete \.npz file"):
            read_npz(path)


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
            read_npz(path)
        except ValueError:
            n_refused += 1
    assert n_refused > 100


@pytest.mark.parametrize("content", [b"", b"bag,label,x\n", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "bags.npz"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match="not a complete"):
        read_npz(path)


def test_one_array_is_no_archive(tmp_path):
    path = tmp_path / "bags.npz"
    with path.open("wb") as file:
        np.save(file, INSTANCES)
    with pytest.raises(DataFileError, match="one array without a name"):
        read_npz(path)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "bags.npz")


@pytest.mark.parametrize("name", sorted(KNOWN_SIZES))
def test_published_data_have_their_published_sizes(name):
    data = read_npz(path_of(name))
    bags, y = data.bags, data.target
    assert (bags.n_bags, y.sum(), bags.n_instances, bags.n_features) == KNOWN_SIZES[name]


def test_folds_are_read_where_there_are_any(save):
    folds = np.array([[0, 1, 1], [1, 0, 1]], dtype=np.int8)
    assert_array_equal(read_npz(save(folds=folds)).folds, folds)
    assert read_npz(save()).folds is None


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
    with pytest.raises(DataFileError, match=message):
        read_npz(save(folds=folds))


def test_labels_may_be_called_target(save):
    assert_array_equal(read_npz(save(y=None, target=TARGET)).target, TARGET)
    assert_array_equal(read_npz(save(target=TARGET + 5)).target, TARGET)
    with pytest.raises(DataFileError, match=r"'y' is missing; there are .*'labels'"):
        read_npz(save(y=None, labels=TARGET))
