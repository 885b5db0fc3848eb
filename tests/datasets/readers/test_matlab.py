import gzip
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from real_data import raw_path_of
from scipy.io.matlab import MatlabFunction, MatlabObject

from skmil.datasets import DataFileError
from skmil.datasets.readers._mat import _pack
from skmil.datasets.readers._matlab import read_variables

RAW_FILES = [
    "X.mat",
    "Bag2.mat",
    "BagI.mat",
    "alt_atheism.mat.gz",
    "comp_graphics.mat.gz",
    "elephant_100x100_matlab.mat.gz",
    "fox_100x100_matlab.mat.gz",
    "tiger_100x100_matlab.mat.gz",
]


def assert_same(ours, reference):
    """Compare a value with what SciPy made of it; SciPy holds logical values as numbers."""
    if sp.issparse(reference):
        assert ours.format == "csc"
        assert ours.dtype.isnative
        assert ours.shape == reference.shape
        assert_same_type(ours, reference)
        for part in ("data", "indices", "indptr"):
            assert_array_equal(getattr(ours, part), getattr(reference, part))
    elif reference.dtype.names is not None or isinstance(reference, MatlabObject):
        records = reference.ravel(order="F")
        ours = [ours] if isinstance(ours, dict) else ours.ravel(order="F")
        assert len(ours) == len(records)
        for mine, record in zip(ours, records, strict=True):
            assert list(mine) == list(reference.dtype.names)
            for name in mine:
                assert_same(mine[name], record[name])
    elif reference.dtype == object:
        assert ours.shape == reference.shape
        for mine, cell in zip(ours.ravel(), reference.ravel(), strict=True):
            assert_same(mine, cell)
    elif reference.dtype.kind == "U":
        assert ours.dtype.kind == "U"
        assert ours.tolist() == reference.tolist() or ours.size == max(map(len, reference)) == 0
    else:
        assert_same_type(ours, reference)
        assert_array_equal(ours, reference)


def assert_same_type(ours, reference):
    """SciPy has complex values of single precision too, and those of the other byte order."""
    if reference.dtype.kind == "c":
        assert ours.dtype == np.complex128
    elif ours.dtype != bool:
        assert ours.dtype.newbyteorder("=") == reference.dtype.newbyteorder("=")


def assert_read_like_scipy(path):
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    reference = scipy.io.loadmat(io.BytesIO(content))
    reference = {name: value for name, value in reference.items() if not name.startswith("__")}
    ours = read_variables(path)
    assert list(ours) == list(reference)
    for name in ours:
        assert_same(ours[name], reference[name])


NUMBERS = st.one_of(
    hnp.arrays(
        dtype=st.one_of(
            st.sampled_from([bool, np.float32, np.float64, np.complex128]),
            hnp.integer_dtypes(endianness="="),
            hnp.unsigned_integer_dtypes(endianness="="),
        ),
        shape=hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4),
        elements=st.integers(0, 1),
    ),
    hnp.arrays(float, (2, 3), elements=st.floats()),
    hnp.arrays(np.int64, (2, 3), elements=st.integers(-(2**63), 2**63 - 1)),
)
SPARSE = hnp.arrays(float, (3, 4), elements=st.sampled_from([0.0, 0.0, 1.0, -2.5])).flatmap(
    lambda dense: st.sampled_from([dense, dense != 0, dense * 1j]).map(sp.csc_matrix)
)
TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), min_size=1, max_size=5)


def cell_array(values):
    cells = np.empty((1, len(values)), dtype=object)
    cells[0, :] = [*values]
    return cells


def cells_of(values):
    return st.lists(values, max_size=3).map(filled)


def filled(values):
    cells = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        cells[i, 0] = value
    return cells


VALUES = st.recursive(
    NUMBERS | SPARSE | TEXT,
    lambda values: (
        cells_of(values)
        | st.dictionaries(st.sampled_from(["a", "bag", "long_name"]), values, min_size=1)
    ),
    max_leaves=6,
)


@given(value=VALUES, compressed=st.booleans())
def test_what_scipy_writes_is_read_like_scipy_does(tmp_path_factory, value, compressed):
    path = tmp_path_factory.mktemp("scipy") / "some.mat"
    scipy.io.savemat(path, {"value": value, "end": [[1]]}, do_compression=compressed)
    assert_read_like_scipy(path)


@pytest.mark.parametrize("name", RAW_FILES)
def test_published_files_are_read_like_scipy_does(name):
    assert_read_like_scipy(raw_path_of(name))


def test_packed_cells_are_the_dense_ones_bit_for_bit():
    path = raw_path_of("alt_atheism.mat.gz")
    packed, dense = read_variables(path, pack=_pack)["data"], read_variables(path)["data"]
    n_packed = 0
    for mine, reference in zip(packed.ravel(), dense.ravel(), strict=True):
        n_packed += sp.issparse(mine)
        assert_array_equal(mine.toarray() if sp.issparse(mine) else mine, reference)
    assert n_packed == 100


def test_objects_are_read_like_structures(tmp_path):
    path = tmp_path / "object.mat"
    record = np.empty((1, 1), dtype=[("data", object), ("name", object)])
    record[0, 0] = np.arange(3.0), "bags"
    scipy.io.savemat(path, {"x": MatlabObject(record, "prdataset")})
    assert_read_like_scipy(path)
    assert read_variables(path)["x"]["name"] == "bags"


# A writer of its own, in both orders of bytes: SciPy writes only that of the machine.


def element(order, kind, content):
    tag = struct.pack(order + "II", kind, len(content))
    return tag + content + bytes(-len(content) % 8)


def matrix(order, class_, shape, content, name="v", flags=0):
    parts = [
        element(order, 6, struct.pack(order + "II", class_ | flags, 0)),
        element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape)),
        element(order, 1, name.encode()),
        content,
    ]
    return element(order, 14, b"".join(parts))


def numbers(order, kind, code, values):
    return element(order, kind, struct.pack(f"{order}{len(values)}{code}", *values))


def whole_file(order, *variables):
    mark = struct.pack(order + "HH", 0x0100, 0x4D49)
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(variables)


def some_variable(order, what):
    if what == "double":
        return matrix(order, 6, (2, 3), numbers(order, 9, "d", [1, 2, 3, 4, 5, -0.5]))
    if what == "stored small":
        return matrix(order, 6, (1, 3), numbers(order, 3, "h", [1, -2, 300]))
    if what == "small element":
        small = struct.pack(order + "I", 2 << 16 | 3) + struct.pack(order + "hxx", -7)
        return matrix(order, 6, (1, 1), small)
    if what == "complex":
        parts = numbers(order, 7, "f", [1, 2]) + numbers(order, 7, "f", [3, 4])
        return matrix(order, 6, (1, 2), parts, flags=0x0800)
    if what == "text":
        return matrix(order, 4, (2, 2), numbers(order, 4, "H", [ord(c) for c in "acbd"]))
    if what == "text in UTF-8":
        return matrix(order, 4, (1, 3), element(order, 16, "aéz".encode()))
    if what == "sparse":
        parts = [
            numbers(order, 5, "i", [0, 2, 1, 0]),  # one more than there are values
            numbers(order, 5, "i", [0, 2, 2, 3]),
            numbers(order, 9, "d", [1.5, 2.5, 3.5, 0]),
        ]
        return matrix(order, 5, (3, 3), b"".join(parts))
    cell = some_variable(order, "double")
    return matrix(order, 1, (1, 2), cell + some_variable(order, "sparse"))


KINDS = [
    "double",
    "stored small",
    "small element",
    "complex",
    "text",
    "text in UTF-8",
    "sparse",
    "cells",
]


@pytest.fixture
def save(tmp_path):
    """Return a function that writes bytes to a file."""

    def save_bytes(content):
        path = tmp_path / "some.mat"
        path.write_bytes(content)
        return path

    return save_bytes


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_both_byte_orders_are_read_like_scipy_does(save, what, order, compressed):
    variable = some_variable(order, what)
    if compressed:
        packed = zlib.compress(variable)
        variable = struct.pack(order + "II", 15, len(packed)) + packed
    assert_read_like_scipy(save(whole_file(order, variable)))


def refused(path, message):
    with pytest.raises(DataFileError, match=message):
        read_variables(path)


def test_versions_that_are_not_read_say_how_to_save_another(save, tmp_path):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    refused(save(header + bytes(384) + b"\x89HDF"), r"version 7\.3.*save\(name, '-v7'\)")
    refused(save(b"\x89HDF\r\n\x1a\n" + bytes(200)), r"version 7\.3")
    scipy.io.savemat(tmp_path / "four.mat", {"x": np.eye(2)}, format="4")
    refused(tmp_path / "four.mat", r"not a MATLAB file of version 5 to 7.*'-v7'")
    refused(save(b""), "not a MATLAB file")
    refused(save(whole_file("<").replace(b"\x00\x01IM", b"\x07\x01IM")), "not a MATLAB file")


def test_functions_and_new_objects_are_refused(save, tmp_path):
    function = matrix("<", 16, (1, 1), matrix("<", 6, (1, 1), numbers("<", 9, "d", [1])))
    refused(save(whole_file("<", function)), "it holds a function")
    opaque = element("<", 14, element("<", 6, struct.pack("<II", 17, 0)) + bytes(40))
    refused(save(whole_file("<", opaque)), r"an object of a class of its own.*struct\(\)")
    assert MatlabFunction is not None  # SciPy reads them, as bytes


def test_variables_without_a_name_are_left_out(save):
    workspace = matrix("<", 9, (1, 2), numbers("<", 2, "B", [1, 2]), name="")
    assert read_variables(save(whole_file("<", workspace))) == {}


def test_a_variable_of_the_same_name_is_refused(save):
    variable = some_variable("<", "double")
    refused(save(whole_file("<", variable, variable)), r"variable 'v': .*twice")


def test_the_place_of_damage_is_named(save):
    bad = matrix("<", 6, (2, 2), numbers("<", 9, "d", [1, 2, 3]), name="")
    good = some_variable("<", "double")
    cells = matrix("<", 1, (2, 2), good + good + bad + good, name="data")
    refused(save(whole_file("<", cells)), r"some\.mat, variable 'data', cell \{1,2\}: 4 numbers")
    names = numbers("<", 5, "i", [8]) + element("<", 1, b"one\0\0\0\0\0two\0\0\0\0\0")
    structure = matrix("<", 2, (1, 1), names + good + bad, name="x")
    refused(save(whole_file("<", structure)), r"variable 'x', field 'two': 4 numbers are declared")


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    whole = tmp_path / "whole.mat"
    value = {"cells": cell_array(["text", 1.5]), "matrix": np.arange(12.0).reshape(3, 4)}
    for compressed in (False, True):
        scipy.io.savemat(whole, {"value": value}, do_compression=compressed)
        content = whole.read_bytes()
        path = tmp_path / "cut.mat"
        for n_bytes in range(129, len(content), 3):
            path.write_bytes(content[:n_bytes])
            refused(path, "cut short|are left")


def test_the_checksum_of_compressed_data_is_verified(save):
    values = range(20_000)  # too many to inflate in one go
    variable = matrix("<", 6, (20_000, 1), numbers("<", 9, "d", values))
    packed = bytearray(zlib.compress(variable))
    packed[-1] ^= 1
    variable = struct.pack("<II", 15, len(packed)) + packed
    refused(save(whole_file("<", variable)), r"variable 'v': the compressed data are damaged")


def test_the_checksum_may_lie_in_a_piece_of_its_own(save):
    n_checked = 0
    for n_values in range(65_440, 65_480, 8):
        variable = matrix("<", 9, (1, n_values), element("<", 2, bytes(n_values)))
        packed = zlib.compress(variable, 0)
        n_checked += len(packed) - 4 <= 65_536 < len(packed)
        path = save(whole_file("<", struct.pack("<II", 15, len(packed)) + packed))
        assert read_variables(path)["v"].shape == (1, n_values)
    assert n_checked > 0


def test_compressed_data_longer_than_the_variable_are_refused(save):
    packed = zlib.compress(some_variable("<", "double") + bytes(8))
    variable = struct.pack("<II", 15, len(packed)) + packed
    refused(save(whole_file("<", variable)), "longer than the variable says")


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (matrix("<", 6, (2**31 - 1, 2**31 - 1), numbers("<", 9, "d", [1])), "numbers are declared"),
        (matrix("<", 6, (0, 2**31 - 1, 2**31 - 1, 2**31 - 1), numbers("<", 9, "d", [])), "v"),
        (matrix("<", 1, (2**20, 2**20), b""), "cells are more than the bytes"),
        (matrix("<", 4, (2**20, 0), element("<", 4, b"")), None),
        (matrix("<", 4, (2, 2**20), element("<", 4, b"a")), "text of .* characters has 1"),
        (matrix("<", 6, (1, 1), numbers("<", 9, "d", [1, 2])), "1 numbers are declared"),
        (matrix("<", 6, (-1, 1), numbers("<", 9, "d", [1])), "dimensions"),
        (matrix("<", 6, (1,), numbers("<", 9, "d", [1])), "dimensions"),
        (matrix("<", 6, (1,) * 33, numbers("<", 9, "d", [1])), "dimensions"),
        (matrix("<", 20, (1, 1), numbers("<", 9, "d", [1])), "class has the number 20"),
        (matrix("<", 6, (1, 1), numbers("<", 8, "d", [1])), "type 8, which is unknown"),
        (matrix("<", 6, (1, 1), element("<", 9, b"abcd")), "4 bytes are no numbers"),
        (matrix("<", 6, (1, 1), numbers("<", 9, "d", [1]) + bytes(16)), "16 bytes are left over"),
        (matrix("<", 6, (1, 1), struct.pack("<II", 5 << 16 | 2, 0)), "5 bytes where 4 fit"),
        (matrix("<", 6, (1, 1), struct.pack("<II", 9, 2**32 - 1)), "where 0 are left"),
        (element("<", 13, bytes(8)), "its type is 13"),
        (element("<", 14, b""), "where 0 are left"),
        (struct.pack("<II", 15, 2**32 - 1) + b"x", "cut short"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_and_nothing_is_allocated(save, variable, message):
    path = save(whole_file("<", variable))
    tracemalloc.start()
    try:
        if message is None:
            assert read_variables(path)["v"].size == 0
        else:
            refused(path, message)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def sparse_matrix(rows, starts, values, shape=(3, 3)):
    parts = [
        numbers("<", 5, "i", rows),
        numbers("<", 5, "i", starts),
        numbers("<", 9, "d", values),
    ]
    return whole_file("<", matrix("<", 5, shape, b"".join(parts)))


@pytest.mark.parametrize(
    ("rows", "starts", "message"),
    [
        ([0, 1, 3], [0, 1, 2, 3], "rows of a sparse column"),
        ([0, 1, -1], [0, 1, 2, 3], "rows of a sparse column"),
        ([1, 0, 0], [0, 2, 2, 3], "rows of a sparse column"),
        ([1, 1, 0], [0, 2, 2, 3], "rows of a sparse column"),
        ([0, 1, 2], [1, 1, 2, 3], "starts of the sparse columns"),
        ([0, 1, 2], [0, 2, 1, 3], "starts of the sparse columns"),
        ([0, 1, 2], [0, 2**31 - 1, -5, 3], "starts of the sparse columns"),
        ([0, 1, 2], [0, 1, 2, 4], "starts of the sparse columns"),
        ([0, 1, 2], [0, 1, 3], "need one start more"),
    ],
)
def test_sparse_matrices_with_damaged_indices_are_refused(save, rows, starts, message):
    assert read_variables(save(sparse_matrix([0, 1, 2], [0, 1, 2, 3], [1, 2, 3])))["v"].nnz == 3
    refused(save(sparse_matrix(rows, starts, [1, 2, 3])), message)


def test_cells_within_cells_have_an_end(save):
    value = matrix("<", 6, (1, 1), numbers("<", 9, "d", [1]))
    for _ in range(16):
        value = matrix("<", 1, (1, 1), value)
    assert "v" in read_variables(save(whole_file("<", value)))
    refused(save(whole_file("<", matrix("<", 1, (1, 1), value))), "nested more than 16 deep")


def test_many_cells_in_a_few_bytes_are_refused(save):
    n_cells = 100_000
    cells = matrix("<", 1, (n_cells, 1), struct.pack("<II", 14, 0) * n_cells)
    assert read_variables(save(whole_file("<", cells)))["v"].shape == (n_cells, 1)
    packed = zlib.compress(cells, 9)
    small = save(whole_file("<", struct.pack("<II", 15, len(packed)) + packed))
    refused(small, "more cells than a file of this size")


def test_a_file_compressed_twice_cannot_grow_without_end(save):
    n_values = 20_000_000
    variable = matrix("<", 9, (n_values, 1), element("<", 2, bytes(n_values)))
    packed = zlib.compress(variable, 9)
    content = gzip.compress(whole_file("<", struct.pack("<II", 15, len(packed)) + packed))
    assert len(content) * 2000 < n_values
    refused(save(content), "more than 1100 bytes come out of one")


def test_mostly_empty_cells_are_never_held_as_they_are():
    path = raw_path_of("web1.mat.gz")  # 160 MB once inflated
    tracemalloc.start()
    cells = read_variables(path, pack=_pack)["data"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cells.shape == (113, 2)
    assert peak < 30_000_000
