import json
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from skmil import check_bags
from skmil._cli._data import BUILT_IN, Data, load_data
from skmil._cli._errors import UsageError


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


def test_a_table_with_its_columns(table):
    pytest.importorskip("pandas")
    data = load_data(str(table), bag_column="molecule", label_column="active")
    assert data.bags.bag_sizes.tolist() == [2, 1]
    assert data.y.tolist() == ["no", "yes"]


def test_a_table_without_its_columns(table):
    pytest.importorskip("pandas")
    with pytest.raises(
        UsageError, match=r"two\.csv: no column 'bag' .* 'molecule', .*--bag-column"
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
        ("bags.mat", "bags.mat: bags are read from .npz or .csv files only"),
    ],
)
def test_data_that_are_not_there(name, message):
    with pytest.raises(UsageError, match=message):
        load_data(name)


def test_a_misspelt_file_comes_with_the_nearest_one(archive):
    with pytest.raises(UsageError, match=r"no file .*tree\.npz. Did you mean .*three\.npz\?"):
        load_data(str(archive.with_name("tree.npz")))


def test_a_directory_is_no_data_set(tmp_path):
    with pytest.raises(UsageError, match="are read from"):
        load_data(str(tmp_path))
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"folder\.npz: "):
        load_data(str(folder))


def test_columns_are_for_tables_only(archive):
    for name in ("digits", str(archive)):
        with pytest.raises(UsageError, match=r"--bag-column is for \.csv files only"):
            load_data(name, bag_column="bag")
    with pytest.raises(UsageError, match=r"--label-column is for \.csv files only"):
        load_data("digits", label_column="label")


def test_a_missing_package_is_a_plain_message(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"pip install skmil\[data\]"):
        load_data(str(table))


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
