import gzip
import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from real_data import path_of, raw_path_of

from skmil.datasets import DataFileError, read_bags, read_miproblems, read_npz
from skmil.datasets.readers._miproblems import _read_bag_ids, _read_labels

DATA = np.array([[0.5, 1], [1.5, 2], [2.5, 3], [3.5, 4]])


def text_of(matrix, separator="\t"):
    return "".join(separator.join(map(repr, row)) + "\n" for row in np.asarray(matrix).tolist())


def column(values):
    return text_of(np.reshape(values, (-1, 1)))


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a folder, three bags if not told otherwise."""

    def write_folder(**texts):
        texts = {
            "data": text_of(DATA.T),
            "bagids": column([3, 1, 3, 2]),
            "labels": column([1, 0, 1, 1]),
        } | texts
        for name, text in texts.items():
            if text is not None:
                (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        return tmp_path

    return write_folder


@pytest.mark.parametrize("separator", ["\t", ","])
@pytest.mark.parametrize("layout", ["auto", "columns", "rows"])
def test_three_files_become_bags(write, layout, separator):
    data = DATA if layout == "rows" else DATA.T
    folder = write(data=text_of(data, separator), folds_2x2="0,1,1\n1,1,0\n")
    data = read_miproblems(str(folder), instances=layout)
    assert [bag.tolist() for bag in data.bags] == [
        [[0.5, 1], [2.5, 3]],
        [[1.5, 2]],
        [[3.5, 4]],
    ]
    assert data.bag_ids.tolist() == [3, 1, 2]
    assert data.target.tolist() == [1, 0, 1]
    assert data.folds.tolist() == [[0, 1, 1], [1, 1, 0]]
    assert data.instance_ids is data.instance_labels is data.feature_names is None


def test_birds_survive_the_layout_of_the_collection(tmp_path):
    birds = read_npz(path_of("birds"))
    (tmp_path / "data.csv").write_text(text_of(birds.bags.instances.T))
    (tmp_path / "bagids.csv").write_text(column(birds.bags.bag_index + 1))
    (tmp_path / "labels.csv").write_text(column(birds.target[birds.bags.bag_index]))
    (tmp_path / "folds_5x10.csv").write_text(text_of(birds.folds, ","))
    data = read_bags(tmp_path)
    assert_array_equal(data.bags.instances, birds.bags.instances)
    assert_array_equal(data.bags.offsets, birds.bags.offsets)
    assert_array_equal(data.target, birds.target)
    assert_array_equal(data.folds, birds.folds)


def test_breast_cancer_as_published(tmp_path):
    published = raw_path_of("ucsb_breast_labels_only")
    bag_ids, order, offsets = _read_bag_ids(published / "bagids.csv")
    target = _read_labels(published / "labels.csv", bag_ids, order, offsets)
    assert (len(bag_ids), len(target), target.sum()) == (2002, 58, 26)
    assert np.diff(offsets)[:4].tolist() == [40, 22, 26, 31]
    with pytest.raises(DataFileError, match=r"there is no file data\.csv"):
        read_bags(published)

    folder = shutil.copytree(published, tmp_path / "ucsb")
    folder.chmod(0o755)
    features = np.random.default_rng(0).normal(size=(3, 2002))  # the published ones are missing
    (folder / "data.csv.gz").write_bytes(gzip.compress(text_of(features).encode()))
    data = read_bags(folder)
    assert_array_equal(data.bags.instances, features.T)
    assert_array_equal(data.bags.bag_sizes, np.bincount(bag_ids)[1:])
    assert data.bag_ids.tolist() == list(range(1, 59))
    assert data.folds.shape == (5, 58)


def test_labels_may_be_those_of_the_bags(write):
    folder = write(bagids=column([1, 2, 1, 3]), labels="-1\t1\t0\n")
    assert read_miproblems(folder).target.tolist() == [-1, 1, 0]
    with pytest.raises(DataFileError, match=r"labels\.csv: .* numbers in bagids\.csv do not rise"):
        read_miproblems(write(labels="-1\t1\t0\n"))


def test_a_square_is_read_only_when_told_how(write):
    folder = write(data=text_of(np.arange(16.0).reshape(4, 4)))
    with pytest.raises(DataFileError, match=r'as many rows as columns, 4.*instances="columns"'):
        read_miproblems(folder)
    assert read_miproblems(folder, instances="columns").bags[1].tolist() == [[1, 5, 9, 13]]
    assert read_miproblems(folder, instances="rows").bags[1].tolist() == [[4, 5, 6, 7]]
    with pytest.raises(ValueError, match="instances must be one of auto, rows, columns"):
        read_miproblems(folder, instances="both")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"data": None}, r"there is no file data\.csv"),
        ({"labels": None}, r"there is no file labels\.csv"),
        ({"bagids": None}, r"there is no file bagids\.csv"),
        ({"data": text_of(DATA[:3])}, r"data\.csv: there are 3 rows and 2 columns, but .* 4 inst"),
        ({"data": text_of(DATA.T) + "1\t2\n"}, r"data\.csv: this is no table of numbers"),
        ({"data": "\n"}, r"data\.csv: the file is empty"),
        ({"data": "nan\t1\t2\t3\n"}, r"data\.csv, row 0: there is no finite number"),
        ({"bagids": column([1, 2, 3])}, r"labels\.csv: there are 4 labels, neither"),
        ({"bagids": "1\t2\n1\t2\n"}, r"bagids\.csv: there is more than one row and column"),
        ({"bagids": "1\n1.5\n2\n2\n"}, r"bagids\.csv, row 1: there is no integer but 1\.5"),
        ({"labels": column([1, 0])}, r"labels\.csv: there are 2 labels, neither one for each of"),
        ({"labels": column([1, 0, 0, 1])}, r"labels\.csv: Bag 3 has more than one value"),
        ({"folds": "0,1\n"}, r"folds\.csv: there are folds for 2 bags, but there are 3"),
        ({"folds": "0,1,1\n", "folds_2": "0,1,1\n"}, "several files of folds: .*'folds_2.csv'"),
    ],
)
def test_folders_that_are_no_bags_are_refused(write, texts, message):
    with pytest.raises(DataFileError, match=message):
        read_miproblems(write(**texts))


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_miproblems(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        read_miproblems(tmp_path / "file")


@pytest.mark.parametrize("name", ["data", "bagids", "labels", "folds"])
def test_a_damaged_folder_is_read_or_refused_but_never_crashes(write, name):
    path = write(folds="0,1,1\n1,1,0\n") / f"{name}.csv"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for i in range(150):
        copy = bytearray(content)
        copy[rng.integers(len(copy))] = rng.integers(256)
        path.write_bytes(copy[: rng.integers(len(copy))] if i % 4 == 0 else copy)
        try:
            read_miproblems(path.parent)
        except DataFileError:
            n_refused += 1
    assert n_refused > 50
