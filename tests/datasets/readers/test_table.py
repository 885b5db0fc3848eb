import gzip
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from real_data import path_of, raw_path_of

from skmil import Bags
from skmil.datasets import DataFileError, read_bags, read_npz, read_table

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a table."""

    def write_text(text, name="bags.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_text


MANY_BAGS = "".join(f"{i},0,2\n" for i in range(200))


def random_frame(seed=0, n_rows=50):
    rng = np.random.default_rng(seed)
    bag = rng.integers(0, 9, n_rows)
    frame = pd.DataFrame(
        {"bag": [f"b{i:02}" for i in bag], "label": np.where(bag % 2, "no", "yes")}
    )
    frame["x"] = rng.normal(size=n_rows) * 10.0 ** rng.integers(-300, 300, n_rows)
    frame["n, of it"] = rng.integers(-(2**53), 2**53, n_rows)
    frame["is it"] = rng.random(n_rows) < 0.5
    frame["patch"] = [f"p{i}" for i in range(n_rows)]
    frame["witness"] = rng.integers(0, 2, n_rows)
    return frame


def assert_same_as_frame(data, frame, features=("x", "n, of it", "is it")):
    bags, y = Bags.from_frame(frame, bag="bag", label="label", features=list(features))
    assert_array_equal(data.bags.instances, bags.instances)
    assert_array_equal(data.bags.offsets, bags.offsets)
    assert data.feature_names == list(features)
    assert_array_equal(data.target, y)
    assert_array_equal(data.bag_ids, frame["bag"].unique())
    groups = [group for _, group in frame.groupby("bag", sort=False)]
    assert_array_equal(data.instance_ids, pd.concat(groups)["patch"])
    assert_array_equal(data.instance_labels, pd.concat(groups)["witness"])
    assert {a.dtype.kind for a in (data.bag_ids, data.target, data.instance_ids)} == {"U"}
    assert data.instance_labels.dtype == np.int64


ROLES = {"instance": "patch", "instance_label": "witness"}


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv", ".csv.gz"])
def test_text_is_read_as_pandas_has_written_it(tmp_path, suffix):
    frame = random_frame()
    path = tmp_path / f"bags{suffix}"
    frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    assert_same_as_frame(read_bags(path, **ROLES), frame)


@pytest.mark.parametrize("options", [{}, {"row_group_size": 7}, {"compression": "gzip"}])
def test_a_parquet_file_is_read_as_pandas_has_written_it(tmp_path, options):
    frame = random_frame()
    frame.to_parquet(tmp_path / "bags.parquet", **options)
    assert_same_as_frame(read_bags(tmp_path / "bags.parquet", **ROLES), frame)


def test_a_table_of_several_pieces_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("skmil.datasets.readers._parquet._PIECE", 20)
    frame = random_frame()
    frame.to_parquet(tmp_path / "bags.parquet", row_group_size=11)
    assert_same_as_frame(read_table(tmp_path / "bags.parquet", **ROLES), frame)


def test_birds_as_published_equal_the_checked_copy():
    data = read_bags(raw_path_of("BrownCreeper.csv.gz"), header=False, label=0, bag=1)
    birds = read_npz(path_of("birds"))
    assert_array_equal(data.bags.instances, birds.bags.instances)
    assert_array_equal(data.bags.offsets, birds.bags.offsets)
    assert_array_equal(data.target, birds.target)
    assert data.bag_ids.tolist() == [str(i + 1) for i in range(548)]
    assert data.feature_names is None


def test_birds_survive_parquet(tmp_path):
    raw = pd.read_csv(raw_path_of("BrownCreeper.csv.gz"), header=None)
    raw.columns = [f"c{i}" for i in raw.columns]
    raw.sample(frac=1, random_state=0).to_parquet(tmp_path / "birds.parquet")  # with its index
    data = read_table(tmp_path / "birds.parquet", bag="c1", label="c0")
    birds = read_npz(path_of("birds"))
    assert data.bag_ids.dtype == np.int64
    order = np.argsort(data.bag_ids)
    bags = data.bags[order]
    assert data.feature_names == [f"c{i}" for i in range(2, 40)]
    assert_array_equal(data.target[order], birds.target)
    for bag, expected in zip(bags, birds.bags, strict=True):
        assert_array_equal(np.unique(bag, axis=0), np.unique(expected, axis=0))


def test_a_table_of_instances_becomes_bags(write):
    data = read_table(write("label,x,bag,z\nyes,1,007,0.1\nno,2,08,0.2\nyes,3,007,0.3\n"))
    assert data.bags.dtype == np.float64
    assert_array_equal(data.bags[0], [[1, 0.1], [3, 0.3]])
    assert_array_equal(data.bags[1], [[2, 0.2]])
    assert data.feature_names == ["x", "z"]
    assert data.target.tolist() == ["yes", "no"]
    assert data.bag_ids.tolist() == ["007", "08"]
    assert data.instance_ids is data.instance_labels is data.folds is None


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["0", "1"], np.array([0, 1])),
        (["-1", "+1"], np.array([-1, 1])),
        (["1", "1.5"], np.array([1.0, 1.5])),
        (["1.0", "2e0"], np.array([1.0, 2.0])),
        (["True", "False"], np.array([True, False])),
        (["01", "02"], np.array(["01", "02"])),
        (["01.0", "1.0"], np.array(["01.0", "1.0"])),
        (["1", "b"], np.array(["1", "b"])),
        (["inf", "1"], np.array(["inf", "1"])),
        (["1e999", "1"], np.array(["1e999", "1"])),
        (["9" * 30, "None"], np.array(["9" * 30, "None"])),
    ],
)
def test_labels_are_numbers_if_all_are(write, texts, labels):
    target = read_table(write(f"bag,label,x\na,{texts[0]},1\nb,{texts[1]},2\n")).target
    assert target.dtype.kind == labels.dtype.kind
    assert_array_equal(target, labels)


def test_columns_can_be_named(write):
    path = write("molecule,active,bag,label\n1,0,5,6\n2,1,7,8\n")
    data = read_table(path, bag="molecule", label="active")
    assert_array_equal(data.bags.instances, [[5, 6], [7, 8]])
    assert data.target.tolist() == [0, 1]
    data = read_table(path, bag="molecule", label=None, features=["label", "active"])
    assert_array_equal(data.bags.instances, [[6, 0], [8, 1]])
    assert data.feature_names == ["label", "active"]
    assert data.target is None


def test_text_without_a_header_has_numbered_columns(write):
    path = write("7;0.5;b\n8;1.5;a\n9;2.5;b\n")
    options = {"header": False, "separator": ";", "bag": 2, "label": None}
    assert_array_equal(read_table(path, **options).bags.instances, [[7, 0.5], [9, 2.5], [8, 1.5]])
    data = read_table(path, **options, features=[1], instance=0)
    assert_array_equal(data.bags.instances, [[0.5], [2.5], [1.5]])
    assert data.instance_ids.tolist() == ["7", "9", "8"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffbag,label,x\r\n\r\na,0,1\r\nb,1,2",
        "\n\nbag,label,x\ra,0,1\r\rb,1,2\r",
        '"bag","label","x"\n"a",0,"1"\n"b","1",2\n\n',
    ],
)
def test_line_ends_and_quotation_marks_are_those_of_the_format(write, text):
    data = read_table(write(text))
    assert_array_equal(data.bags.instances, [[1], [2]])
    assert data.bag_ids.tolist() == ["a", "b"]
    assert data.target.tolist() == [0, 1]


def test_an_index_that_counts_the_rows_is_no_feature(tmp_path):
    frame = random_frame().drop(columns=["patch", "witness"])
    path = tmp_path / "bags.csv"
    frame.to_csv(path)
    names = ["x", "n, of it", "is it"]
    assert read_table(path).feature_names == names
    pd.read_csv(path).to_csv(tmp_path / "again.csv", index=False)  # now it is "Unnamed: 0"
    assert read_table(tmp_path / "again.csv").feature_names == names
    assert read_table(path, features=["", "x"]).feature_names == ["", "x"]

    frame.iloc[::-1].to_csv(path)
    with pytest.raises(DataFileError, match=r"column 0 .* has no name.*''.*index=False"):
        read_table(path)
    assert read_table(path, features=["x"]).feature_names == ["x"]
    assert read_table(path, bag="", instance="bag").bags.n_bags == 50


@pytest.mark.parametrize("name", ["", "Unnamed: 2", "Unnamed: 0.1", "__index_level_0__"])
def test_another_column_without_a_name_is_refused(write, name):
    with pytest.raises(DataFileError, match=r"column 2 .* has no name"):
        read_table(write(f"bag,label,{name},x\na,0,0,1\nb,1,1,2\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty"),
        ("\n\r\n", ": the file is empty|, line 2: the file is empty"),
        ("bag,label,x\n", "no rows"),
        ("id,label,x\n1,0,2\n", r"no column 'bag' for the bag; there are 'id', .*--bag-column"),
        ("bag,class,x\n1,0,2\n", r"no column 'label' for the label; .*--label-column.*label=None"),
        ("1,1,0.5\n1,0,2\n", "Is there no header.*header=False"),
        ("bag,label,x,x\n1,0,2,3\n", "two columns have the name 'x'"),
        ("bag,label,x\n1,0,red\n", "line 2: 'red' is no number, but column 'x' is neither"),
        ("bag,label,x\n1,0,1_0\n", "line 2: '1_0' is no number"),
        ("bag,label,x\n1,0,٣\n", "line 2: '٣' is no number"),
        ("bag,label,x\n1,0,1\n1,0,True\n", "line 3: 'True' is no number"),
        ("bag,label,x\n1,0,\n", "line 2: there is no value in column 'x'"),
        ("bag,label,x\n1,0,nan\n", "Bag 0 contains NaN"),
        ("bag,label,x\n1,0,1e999\n", "Bag 0 contains infinity"),
        ("bag,label,x\n,0,2\n", "line 2: this row does not say which bag"),
        ("bag,label,x\n1,NA,2\n", "line 2: this row has no label: only 'NA' in column 'label'"),
        ("bag,label,x\n1,0,2\n1,1,3\n", "Bag '1' has more than one value in the label column"),
        ("bag,label,x\n1,0,2\n1,0,2,3\n", "line 3: there are 4 values for 3 columns"),
        ("bag,label,x\n1,0,2,3\n", "line 2: there are 4 values for 3 columns"),
        ("bag,label,x\n1,0,2\n1,0\n", "line 3: there are 2 values for 3 columns"),
        ("bag,label\n1,0\n", "0 feature columns"),
        ('bag,label,x\n1,0,"2\n1,0,3\n', "line 3: unexpected end of data"),
        ('bag,label,x\n1,0,"2"3\n', "line 2: ',' expected after '\"'"),
        ("bag,label,x\n1,0,2\n1\0,0,2\n", "line 3: there is a zero byte"),
        ("bag,label,x\n1,0,2\n" + "a" * 200_000, "field limit|1 values for 3 columns"),
        ("bag,label,x\n" + MANY_BAGS + "a" * 9_000 + ",0,1\n", "one bag is a text of 9000"),
    ],
)
def test_text_that_is_no_bags_is_refused(write, text, message):
    with pytest.raises(DataFileError, match=rf"bags\.csv(?s:.*)({message})"):
        read_table(write(text))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "bag"}, "the bag and the label are both column 'bag'"),
        ({"features": ["x", "x"]}, "features has column 'x' twice"),
        ({"features": ["y"]}, "no column 'y' for a feature; there are 'bag', 'label', 'x'"),
        ({"features": ["label"]}, "column 'label' is the label, so it is no feature"),
        ({"features": "x"}, "features must be a list .*, got the string 'x'"),
        ({"features": []}, "0 feature columns"),
        ({"instance_label": "w"}, "no column 'w' for the instance label"),
        ({"header": False}, "numbered from 0: bag=0"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_that_cannot_be_chosen_are_refused(tmp_path, suffix, options, message):
    frame = pd.DataFrame({"bag": ["a"], "label": [0], "x": [1.0]})
    path = tmp_path / f"bags{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    if suffix == ".parquet" and "header" in options:
        assert read_table(path, **options).bags.n_bags == 1  # it always names its columns
        return
    with pytest.raises(DataFileError, match=message):
        read_table(path, **options)


def test_a_boolean_column_does_not_turn_into_numbers(write):
    with pytest.raises(DataFileError, match=r"line 3: '2x' is no number"):
        read_table(write("bag,label,x\n1,0,True\n1,0,2x\n"))


def test_bags_have_to_be_asked_for(write):
    with pytest.raises(ValueError, match="bag must name the column"):
        read_table(write("bag,label,x\n1,0,2\n"), bag=None)


def test_a_wide_table_names_only_its_first_columns(write):
    with pytest.raises(DataFileError, match="'x4', 'x5' and 94 more"):
        read_table(write(",".join(f"x{i}" for i in range(100)) + "\n"))
    with pytest.raises(DataFileError) as error:
        read_table(write("x" * 100_000 + ",y\n"))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("content", [b"bag,label,x\n1,\xff\xfe,2\n", b"bag,label,x\n1,0,\xe9\n"])
def test_text_in_another_encoding_is_refused(tmp_path, content):
    path = tmp_path / "bags.csv"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"bags\.csv, line 2: this is not text in UTF-8"):
        read_table(path)


def write_columns(path, **columns):
    pq.write_table(pa.table({"bag": ["a", "b"], "label": [0, 1], "x": [1.0, 2.0]} | columns), path)
    return path


def test_types_of_a_parquet_file_are_kept(tmp_path):
    path = tmp_path / "bags.parquet"
    data = read_table(write_columns(path, bag=[7, 8], x=pa.array([1, 2], pa.float32())))
    assert data.bags.dtype == np.float32
    assert data.bag_ids.tolist() == [7, 8]
    data = read_table(write_columns(path, z=pa.array([1, 2], pa.float32())))
    assert data.bags.dtype == np.float64
    words = pa.array(["no", "yes"]).dictionary_encode()
    data = read_table(write_columns(path, label=words, bag=pa.array(["a", "b"], pa.large_string())))
    assert data.target.tolist() == ["no", "yes"]
    assert (data.target.dtype.kind, data.bag_ids.dtype.kind) == ("U", "U")
    assert read_table(write_columns(path, label=[True, False])).target.dtype == bool


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": ["1", "2"]}, "column 'x' of type string is neither the bag"),
        ({"x": [[1.0], [2.0]]}, "column 'x' of type list"),
        ({"x": [1.0, None]}, "Row 1 has no value in column 'x'"),
        ({"x": [1.0, np.nan]}, "Bag 1 contains NaN"),
        ({"bag": ["a", None]}, "Row 1 has no value in column 'bag'"),
        ({"bag": [b"a", b"b"]}, "column 'bag' of type binary is the bag, which takes"),
        ({"label": [0.0, np.nan]}, "a bag, label or instance is nan"),
        ({"bag": ["a", "a"]}, "Bag 'a' has more than one value"),
        ({"bag": ["a", "a\0"]}, "a zero byte"),
    ],
)
def test_parquet_files_that_are_no_bags_are_refused(tmp_path, columns, message):
    path = write_columns(tmp_path / "bags.parquet", **columns)
    with pytest.raises(DataFileError, match=rf"bags\.parquet: .*{message}"):
        read_table(path)


def test_one_long_text_in_a_parquet_file_is_never_there_many_times(tmp_path):
    path = tmp_path / "bags.parquet"
    n = 2000
    labels = pa.array(["yes" * 100_000] + ["no"] * (n - 1)).dictionary_encode()
    table = pa.table(
        {"bag": np.arange(n), "label": labels, "x": np.random.default_rng(0).random(n)}
    )
    pq.write_table(table, path)
    with pytest.raises(DataFileError, match="one label is a text of 300000 characters"):
        read_table(path)
    labels = pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), ["yes" * 100_000])
    table = table.set_column(1, "label", labels).set_column(0, "bag", pa.array(["a"] * n))
    pq.write_table(table.replace_schema_metadata(None), path, store_schema=False)
    pool = pa.system_memory_pool()
    previous = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        before = pool.max_memory()
        assert read_table(path).target.tolist() == ["yes" * 100_000]
        assert pool.max_memory() < before + 2**26
    finally:
        pa.set_memory_pool(previous)


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    path = tmp_path / "bags.parquet"
    pq.write_table(pa.table({"bag": ["a"], "label": [0], "x": [1.0]})[:0], path)
    with pytest.raises(DataFileError, match="no rows"):
        read_table(path)


def test_rows_that_the_bytes_cannot_hold_are_refused(tmp_path):
    path = tmp_path / "bags.parquet"
    n = 10**6  # each column the same value over and over: a file of a few kilobytes
    pq.write_table(pa.table({"bag": np.zeros(n), "label": np.zeros(n), "x": np.zeros(n)}), path)
    with pytest.raises(DataFileError, match=r"1000000 rows of 3 columns are too many for"):
        read_table(path)


def test_a_parquet_file_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = write_columns(tmp_path / "bags.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install skmil\[data\]"):
        read_table(path)


def test_text_needs_no_optional_package(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read_table(write("bag,label,x\n1,0,2\n")).bags.n_bags == 1


@pytest.mark.parametrize("name", ["bags.csv", "bags.parquet"])
def test_a_file_that_is_not_there_says_so(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError):
        read_table(tmp_path / name)


def damaged_copies(content, n_copies, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(n_copies):
        copy = bytearray(content)
        for position in rng.integers(len(copy), size=rng.integers(1, 4)):
            copy[position] = rng.integers(256)
        yield bytes(copy[: rng.integers(len(copy))] if i % 4 == 0 else copy)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_damaged_table_is_read_or_refused_but_never_crashes(tmp_path, suffix):
    path = tmp_path / f"bags{suffix}"
    frame = random_frame()
    if suffix == ".parquet":
        frame.to_parquet(path, row_group_size=20)
    else:
        frame.to_csv(path, index=False)
    content = path.read_bytes()
    n_refused = 0
    for copy in damaged_copies(content, 300):
        path.write_bytes(copy)
        try:
            read_table(path, **ROLES)
        except DataFileError:
            n_refused += 1
    assert n_refused > 100


@pytest.mark.parametrize("size", [10, 1000])
def test_a_table_cut_short_is_refused_where_that_shows(tmp_path, size):
    content = random_frame().to_csv(index=False).encode()
    path = tmp_path / "bags.csv.gz"
    path.write_bytes(gzip.compress(content)[:size])
    with pytest.raises(DataFileError, match="gzip"):
        read_table(path)


def test_another_separator_is_suspected(write):
    with pytest.raises(DataFileError, match="separator another one"):
        read_table(write("bag;label;x\n1;0;2\n"))
