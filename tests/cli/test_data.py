import json
import shutil
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from real_data import raw_path_of
from sklearn.utils import Bunch

from skmil import check_bags
from skmil._cli._data import BUILT_IN, Data, load_data
from skmil._cli._errors import UsageError
from skmil.datasets import DownloadError


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "three.npz"
    instances = np.arange(12.0).reshape(6, 2)
    np.savez(path, instances=instances, offsets=[0, 1, 4, 6], y=[0, 1, 1])
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("molecule,active,x\na,no,1\nb,yes,2\na,no,3\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_data_are_the_same_every_time(name):
    data, again = load_data(name), load_data(name)
    assert data.name == name
    assert_array_equal(data.bags.instances, again.bags.instances)
    assert_array_equal(data.y, again.y)
    assert set(data.y) == {0, 1}


def test_an_archive(archive):
    data = load_data(str(archive))
    assert data.name == "three.npz"
    assert data.bags.bag_sizes.tolist() == [1, 3, 2]
    assert data.y.tolist() == [0, 1, 1]


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".parquet"])
def test_a_table_with_its_columns(table, suffix):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = table.with_name(f"again{suffix}")
    frame = pd.read_csv(table)
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in suffix else ",")
    data = load_data(str(path), bag_column="molecule", label_column="active")
    assert data.name == path.name
    assert data.bags.bag_sizes.tolist() == [2, 1]
    assert data.y.tolist() == ["no", "yes"]


def test_a_folder_with_its_folds(tmp_path):
    (tmp_path / "data.csv").write_text("0.5\t1.5\t2.5\n")
    (tmp_path / "bagids.csv").write_text("1\n1\n2\n")
    (tmp_path / "labels.csv").write_text("1\n1\n0\n")
    (tmp_path / "folds_1x2.csv").write_text("0,1\n")
    data = load_data(f"{tmp_path}/")
    assert data.name == tmp_path.name
    assert data.bags.bag_sizes.tolist() == [2, 1]
    assert data.y.tolist() == [1, 0]
    assert data.folds.tolist() == [[0, 1]]
    (tmp_path / "data.csv").unlink()
    with pytest.raises(UsageError, match=r"there is no file data\.csv"):
        load_data(str(tmp_path))


def test_bags_without_labels_cannot_be_learnt(archive, monkeypatch):
    monkeypatch.setattr(
        "skmil._cli._data.read_bags", lambda name: Bunch(bags=1, target=None, folds=1)
    )
    with pytest.raises(UsageError, match=r"three\.npz: there are no labels to learn from"):
        load_data(str(archive))


def test_a_table_without_its_columns(table):
    with pytest.raises(
        UsageError, match=r"two\.csv, line 1: no column 'bag' .* 'molecule', .*--bag-column"
    ):
        load_data(str(table))


def test_facts_are_ready_for_json():
    bags = check_bags([np.zeros((2, 3), dtype=np.float32), np.ones((5, 3), dtype=np.float32)])
    facts = Data("some", bags, np.array([7, 3])).facts()
    assert json.loads(json.dumps(facts)) == {
        "name": "some",
        "n_bags": 2,
        "n_instances": 7,
        "n_features": 3,
        "bag_size": {"min": 2, "mean": 3.5, "max": 5},
        "classes": [{"label": 3, "n_bags": 1}, {"label": 7, "n_bags": 1}],
        "dtype": "float32",
        "sparse": False,
    }


def test_sparse_bags_are_known_as_such():
    data = Data("some", check_bags([sp.csr_matrix(np.eye(3))]), np.array([0]))
    assert data.sparse
    assert data.facts()["sparse"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "unknown data set 'digit'. Did you mean digits"),
        ("unheard-of", "unknown data set 'unheard-of'. See --list"),
        ("missing.npz", "there is no file missing.npz"),
        ("nowhere/missing.csv", "there is no file nowhere/missing.csv"),
        ("nowhere/missing", "there is no file nowhere/missing"),
        ("bags.xls", "bags.xls: bags are read from .arff, .* files only"),
    ],
)
def test_data_that_are_not_there(name, message):
    with pytest.raises(UsageError, match=message):
        load_data(name)


def test_a_misspelt_file_comes_with_the_nearest_one(archive):
    with pytest.raises(UsageError, match=r"no file .*tree\.npz. Did you mean .*three\.npz\?"):
        load_data(str(archive.with_name("tree.npz")))
    archive.with_name("slides.tsv.gz").touch()
    with pytest.raises(UsageError, match=r"no file .*slide\.tsv. Did you mean .*slides\.tsv\.gz\?"):
        load_data(str(archive.with_name("slide.tsv")))


def test_a_directory_is_no_data_set(tmp_path):
    with pytest.raises(UsageError, match="are read from"):
        load_data(str(tmp_path))
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"folder\.npz: "):
        load_data(str(folder))


def test_columns_are_for_tables_only(archive):
    for name in ("digits", str(archive)):
        with pytest.raises(UsageError, match=r"--bag-column is for \.csv, .* files only"):
            load_data(name, bag_column="bag")
    with pytest.raises(UsageError, match=r"--label-column is for .* or \.tsv files only"):
        load_data("digits", label_column="label")


def test_a_missing_package_is_a_plain_message(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install skmil\[data\]"):
        load_data(str(table.rename(table.with_suffix(".parquet"))))


@pytest.mark.parametrize(("labels", "fits"), [([0.0, 1.0, 1.0], True), ([0.0, 0.5, 1.0], False)])
def test_labels_are_classes_not_measurements(tmp_path, labels, fits):
    path = tmp_path / "bags.npz"
    np.savez(path, instances=np.eye(3), offsets=[0, 1, 2, 3], y=labels)
    if fits:
        assert load_data(str(path)).y.tolist() == labels
    else:
        with pytest.raises(UsageError, match=r"classes, got the number 0\.5"):
            load_data(str(path))


def test_published_folds_come_with_the_data(archive, tmp_path):
    assert load_data(str(archive)).folds is None
    assert load_data("digits").folds is None
    path = tmp_path / "folds.npz"
    np.savez(path, **np.load(archive), folds=np.array([[0, 1, 1]]))
    assert_array_equal(load_data(str(path)).folds, [[0, 1, 1]])
    np.savez(path, **np.load(archive), folds=np.array([[0, 1]]))
    with pytest.raises(UsageError, match="'folds' needs a row for each repeat"):
        load_data(str(path))


def test_a_published_data_set_by_its_name(monkeypatch, tmp_path):
    shutil.copy(raw_path_of("musk1.data.gz"), tmp_path)
    monkeypatch.setenv("SKMIL_DATA", str(tmp_path))
    data = load_data("musk1")
    assert data.name == "musk1"
    assert data.bags.n_instances == 476
    assert data.folds is None
    (tmp_path / "musk1").mkdir()
    folds = np.arange(92) % 10
    np.savetxt(tmp_path / "musk1" / "folds_5x10.csv", [folds, folds[::-1]], "%d", ",")
    assert_array_equal(load_data("musk1").folds, [folds, folds[::-1]])


def test_a_published_data_set_that_cannot_be_had(monkeypatch):
    wanted = []

    def fetch(name, progress):
        wanted.append((name, progress))
        raise DownloadError("No mirror delivered it.")

    monkeypatch.setattr("skmil._cli._data.fetch_dataset", fetch)
    with pytest.raises(UsageError, match="No mirror delivered it"):
        load_data("fox", progress=True)
    assert wanted == [("fox", True)]
    with pytest.raises(UsageError, match=r"'foxx'. Did you mean fox\?"):
        load_data("foxx")
    with pytest.raises(UsageError, match=r"--bag-column is for .* and 'fox' is none"):
        load_data("fox", bag_column="bag")


def test_a_folder_with_a_file_for_each_bag_needs_labels(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", np.eye(2))
    table = tmp_path / "labels.csv"
    table.write_text("slide_id,label\na,yes\nb,no\n")
    assert load_data(str(folder), labels=str(table)).y.tolist() == ["yes", "no"]
    with pytest.raises(UsageError, match=r"no labels to learn from\. .* --labels"):
        load_data(str(folder))
    for name in ("digits", "musk1", str(table)):
        with pytest.raises(UsageError, match="--labels is for folders"):
            load_data(name, labels=str(table))


def test_sub_folders_may_be_labels(tmp_path):
    for label in ("left", "right"):
        (tmp_path / label).mkdir()
        np.save(tmp_path / label / f"{label}_1.npy", np.eye(2))
    assert load_data(str(tmp_path), labels="subfolders").y.tolist() == ["left", "right"]
    with pytest.raises(UsageError, match="pass labels='subfolders'"):
        load_data(str(tmp_path))
