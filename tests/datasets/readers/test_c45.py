import gzip
import tracemalloc

import numpy as np
import pytest
from damaged_files import damaged_copies
from numpy.testing import assert_array_equal
from real_data import path_of, raw_path_of

from skmil.datasets import DataFileError, read_bags, read_c45

MOLECULES = """\
ethanol,ethanol_1,4.5,10,1.
ethanol,ethanol_2,-4.6e1,.5,1.
phenol,phenol_1,0,11,0.
"""
NAMES = """\
0,1.   | the classes
molecule: ethanol,
          phenol.
conformer: ethanol_1,ethanol_2,phenol_1.

energy: continuous scale=0.1.
radius: continuous.
"""


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file."""

    def write_text(text, name="bags.data"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def test_lines_become_bags(write):
    data = read_c45(write(MOLECULES))
    assert data.bags.dtype == np.float64
    assert_array_equal(data.bags[0], [[4.5, 10], [-46, 0.5]])
    assert_array_equal(data.bags[1], [[0, 11]])
    assert data.target.dtype == np.int64
    assert data.target.tolist() == [1, 0]
    assert data.bag_ids.tolist() == ["ethanol", "phenol"]
    assert data.instance_ids.tolist() == ["ethanol_1", "ethanol_2", "phenol_1"]
    assert data.feature_names is None
    assert data.instance_labels is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(".\n", "\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " | measured twice, not once\n"),
        lambda text: "| a comment\n\n" + text.replace("\n", "\n  \n"),
        lambda text: text.replace(",", " , ").replace(".\n", " .\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip(),
    ],
)
def test_ends_comments_and_blanks_change_nothing(write, change):
    expected = read_c45(write(MOLECULES))
    data = read_c45(write(change(MOLECULES), "changed.data"))
    assert_array_equal(data.bags.instances, expected.bags.instances)
    assert_array_equal(data.bags.offsets, expected.bags.offsets)
    for key in ("target", "bag_ids", "instance_ids"):
        assert data[key].tolist() == expected[key].tolist()


def test_lines_of_a_bag_need_not_be_adjacent(write):
    data = read_c45(write("b,b0,1,2,3,1\na,a0,4,5,6,0\nb,b1,7,8,9,1\na,a1,0,1,2,0\n"))
    assert data.bag_ids.tolist() == ["b", "a"]
    assert data.instance_ids.tolist() == ["b0", "b1", "a0", "a1"]
    assert_array_equal(data.bags[0], [[1, 2, 3], [7, 8, 9]])
    assert_array_equal(data.bags[1], [[4, 5, 6], [0, 1, 2]])
    assert data.target.tolist() == [1, 0]


def test_scattered_lines_give_the_bags_of_sorted_ones(write):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 21))
    bags = np.sort(rng.integers(9, size=60))
    lines = [
        f"b{bag},i{i},{','.join(map(repr, row.tolist()))},{bag % 2}"
        for i, (bag, row) in enumerate(zip(bags, values, strict=True))
    ]
    expected = read_c45(write("\n".join(lines)))
    assert_array_equal(expected.bags.instances, values)
    # One of each bag first, so that the bags keep their order, then the others at random.
    first = np.flatnonzero(np.diff(bags, prepend=-1))
    order = np.concatenate([first, rng.permutation(np.setdiff1d(np.arange(60), first))])
    data = read_c45(write("\n".join(lines[i] for i in order), "scattered.data"))
    assert data.bag_ids.tolist() == expected.bag_ids.tolist()
    assert data.bags.bag_sizes.tolist() == expected.bags.bag_sizes.tolist()
    rows = [int(name[1:]) for name in data.instance_ids]
    assert sorted(rows) == list(range(60))
    assert_array_equal(data.bags.instances, values[rows])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "-1"], np.array([1, -1])),
        (["1.0", "2."], np.array([1, 2])),
        (["0.5", "2"], np.array([0.5, 2.0])),
        (["musk", "non-musk"], np.array(["musk", "non-musk"])),
        (["1", "musk"], np.array(["1", "musk"])),
        (["nan", "1"], np.array(["nan", "1"])),
        (["1_0", "1"], np.array(["1_0", "1"])),
    ],
)
def test_labels_are_numbers_where_all_are(write, labels, expected):
    target = read_c45(write(f"a,0,1,{labels[0]}.\nb,0,1,{labels[1]}.\n")).target
    assert target.dtype.kind == expected.dtype.kind
    assert_array_equal(target, expected)


def test_features_get_the_names_of_a_names_file(write):
    names = write(NAMES, "bags.names")
    path = write(MOLECULES)
    assert read_c45(path).feature_names is None
    data = read_c45(path, names=names)
    assert data.feature_names == ["energy", "radius"]
    assert data.bags.feature_names.tolist() == ["energy", "radius"]


def test_a_names_file_that_does_not_fit_is_refused(write):
    path = write(MOLECULES)
    names = write(NAMES.replace("radius: continuous.\n", ""), "bags.names")
    with pytest.raises(DataFileError, match=r"bags\.names: it names 3 attributes, .* need 4"):
        read_c45(path, names=names)
    names = write(NAMES.replace("radius", ""), "bags.names")
    with pytest.raises(DataFileError, match=r"bags\.names, line 7: the name .* is empty"):
        read_c45(path, names=names)
    with pytest.raises(FileNotFoundError):
        read_c45(path, names=path.with_suffix(".missing"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": it holds no instances"),
        ("| nothing but this\n", ": it holds no instances"),
        ("a,0,1\n", "line 1: a line needs the names of bag and instance"),
        ("a,0,1,0\na,1,1,2,0\n", "line 2: it has 5 values, but line 1 has 4"),
        ("\na,0,1,0\n\na,1\n", "line 4: it has 2 values, but line 2 has 4"),
        ("a,0,x,0\n", "line 1: value 1 is not a number: 'x'"),
        ("a,0,1,?,0\n", r"line 1: value 2 is missing: '\?'"),
        ("a,0,1,,0\n", "line 1: value 2 is missing: ''"),
        ("a,0,nan,0\n", "line 1: value 1 is not finite: 'nan'"),
        ("a,0,1,-1e999,0\n", "line 1: value 2 is not finite: '-1e999'"),
        ("a,0,1_0,0\n", "line 1: value 1 is not a number: '1_0'"),
        ("a,0,0x10,0\n", "line 1: value 1 is not a number"),
        ("a,0,1 2,0\n", "line 1: value 1 is not a number"),
        ("a,0,1,0\n,1,1,0\n", "line 2: the bag name is empty"),
        ("a,,1,0\n", "line 1: the instance name is empty"),
        ("a,0,1,.\n", "line 1: the label is empty"),
        ("a,0,1,1\na,1,1,0\n", ": Bag 'a' has more than one value in the label: 1 and 0"),
        (b"\xff,0,1,1\n", "line 1: the bag name is not text in UTF-8"),
        ("a\0,0,1,1\n", "line 1: the bag name holds a zero byte"),
        (f"a,0,{'9' * 500},0\n", r"line 1: value 1 is not finite: '9{40}\.\.\.'"),
        (b"\x00" * 100, "line 1: a line needs"),
        (b"\x1f\x8b damaged", "gzip"),
    ],
)
def test_lines_that_are_no_instances_are_refused(write, text, message):
    with pytest.raises(DataFileError, match=rf"bags\.data.*{message}"):
        read_c45(write(text))


def test_large_numbers_whose_sum_overflows_are_fine(write):
    bags = read_c45(write("a,0,1e308,1e308,0\n")).bags
    assert_array_equal(bags.instances, [[1e308, 1e308]])


def test_one_very_long_name_takes_no_memory(write):
    text = "b" * 100_000 + ",0,1,1\n" + "".join(f"{i},0,1,1\n" for i in range(5000))
    with pytest.raises(DataFileError, match="one bag name is a text of 100000 characters"):
        read_c45(write(text))


def test_one_very_long_label_takes_no_memory(write):
    text = "a,0,1," + "y" * 100_000 + "\n" + "b,0,1,no\n" * 5000
    tracemalloc.start()
    assert read_c45(write(text)).target.tolist() == ["y" * 100_000, "no"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23
    text += "".join(f"{i},0,1,no\n" for i in range(5000))
    with pytest.raises(DataFileError, match="one label is a text of 100000 characters"):
        read_c45(write(text))


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_c45(tmp_path / "bags.data")


def test_a_damaged_file_is_read_or_refused_but_never_crashes(write):
    n_refused = 0
    for content in damaged_copies(MOLECULES.encode(), 400):
        try:
            read_c45(write(content))
        except DataFileError:
            n_refused += 1
    assert 100 < n_refused < 400


def test_musk1_is_read_as_its_checked_copy():
    data = read_bags(raw_path_of("musk1.data.gz"))
    expected = np.load(path_of("musk1"))
    assert data.bags.dtype == np.float64
    assert_array_equal(data.bags.instances.astype(np.float32), expected["instances"])
    assert_array_equal(data.bags.offsets, expected["offsets"])
    assert_array_equal(data.target, expected["y"])
    assert_array_equal(data.bag_ids, expected["bag_names"])
    assert_array_equal(data.instance_ids, expected["instance_names"])


def test_compressed_files_are_read_alike(write):
    path = write(gzip.compress(MOLECULES.encode()), "bags.data.gz")
    assert read_bags(path).target.tolist() == [1, 0]
