import dataclasses
import gzip
import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from file_server import content, file_server, status
from numpy.testing import assert_array_equal
from real_data import path_of, raw_path_of

from skmil import Bags
from skmil.datasets import (
    DataFileError,
    DownloadError,
    _fetch,
    fetch_dataset,
    get_data_home,
    list_datasets,
)
from skmil.datasets._catalogue import Catalogue, load_catalogue, parse_catalogue

TABLE = b"bag,label,x,y\na,no,1,2\nb,yes,3,4\na,no,5,6\nc,yes,7,8\n"
SHA256 = hashlib.sha256(TABLE).hexdigest()
TEXT = f"""
mirrors = []
[citations.one]
text = "A. Author, 2001."
[datasets.small]
title = "A small set"
repository = "a/b"
commit = "c"
reader = "table"
positive = "yes"
n_bags = 3
n_positive = 2
summary = "Three bags."
task = "Yes?"
target_names = ["nay", "yea"]
licence = "research use"
origin = "Here"
notes = ["Beware of the second bag."]
citations = ["one"]
files = [{{ path = "x/small.csv", bytes = {len(TABLE)}, sha256 = "{SHA256}" }}]
"""

#: Data sets of which the raw files are known to the tests.
RAW = {
    "musk1": ["musk1.data.gz"],
    "musk2": ["X.mat", "Bag2.mat", "BagI.mat"],
    "fox": ["fox_100x100_matlab.mat.gz"],
    "tiger": ["tiger_100x100_matlab.mat.gz"],
    "elephant": ["elephant_100x100_matlab.mat.gz"],
    "news_alt_atheism": ["alt_atheism.mat.gz"],
    "news_comp_graphics": ["comp_graphics.mat.gz"],
    "web1": ["web1.mat.gz"],
    "birds": ["BrownCreeper.csv.gz"],
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with file_server() as server:
        yield server


@pytest.fixture
def use(monkeypatch):
    """Return a function that puts another catalogue in the place of the real one."""

    def replace(entry=None, mirrors=("http://localhost:9/{path}",), **changes):
        entry = entry or parse_catalogue(TEXT).entries["small"]
        entry = dataclasses.replace(entry, **changes)
        catalogue = Catalogue({entry.name: entry}, list(mirrors))
        monkeypatch.setattr(_fetch, "load_catalogue", lambda: catalogue)

    return replace


@pytest.fixture
def small(tmp_path, use):
    """Put the small set into a folder."""
    use()
    (tmp_path / "small.csv").write_bytes(TABLE)
    return tmp_path


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def raw_content(name):
    data = raw_path_of(name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def assert_equals_the_checked_copy(data, name):
    copy = np.load(path_of(name))
    if "csr_data" in copy:
        for part in ("data", "indices", "indptr"):
            assert_array_equal(getattr(data.bags.instances, part), copy[f"csr_{part}"])
        assert data.bags.instances.shape == tuple(copy["csr_shape"])
    else:
        assert_array_equal(data.bags.instances, copy["instances"])
    assert_array_equal(data.bags.offsets, copy["offsets"])
    assert_array_equal(data.target, copy["y"])
    assert data.target.dtype == np.int64
    if "instance_labels" in copy:
        assert_array_equal(data.instance_labels, copy["instance_labels"])
    else:
        assert data.instance_labels is None
    assert ("split" in data) == ("split" in copy)
    if "split" in copy:
        assert_array_equal(data.split, copy["split"])
    if "bag_names" in copy and data.bag_ids.dtype.kind == "U":
        assert_array_equal(data.bag_ids, copy["bag_names"])


@pytest.mark.parametrize("name", RAW)
def test_real_files_without_a_network(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.setitem(sys.modules, "filelock", None)
    folder = raw_path_of("musk1.data.gz").parent
    data = fetch_dataset(name, data_home=folder)
    assert_equals_the_checked_copy(data, name)
    assert len(data.feature_names) == data.bags.n_features
    assert f"{data.bags.n_bags}, of which {data.target.sum()} are positive" in data.DESCR


@pytest.mark.parametrize("name", RAW)
def test_real_files_from_a_server(name, tmp_path, server, use):
    pytest.importorskip("pooch")
    entry = load_catalogue().entries[name]
    use(entry, [server.mirror("mirror")])
    server.answers["mirror"] = [content(raw_content(raw)) for raw in RAW[name]]
    data = fetch_dataset(name, data_home=tmp_path)
    assert_equals_the_checked_copy(data, name)
    files = [f"{name}/{file.name}" for file in entry.files]
    assert listing(tmp_path) == sorted([name, *files])
    assert [path for path, _ in server.requests] == [
        f"/mirror/{file.repository}/{file.commit}/{file.path}" for file in entry.files
    ]
    fetch_dataset(name, data_home=tmp_path, download_if_missing=False)
    assert len(server.requests) == len(entry.files)


def test_only_what_is_missing_is_downloaded(tmp_path, server, use):
    pytest.importorskip("pooch")
    use(load_catalogue().entries["musk2"], [server.mirror("mirror")])
    for name in ("X.mat", "BagI.mat"):
        (tmp_path / name).write_bytes(raw_content(name))
    server.answers["mirror"] = content(raw_content("Bag2.mat"))
    assert_equals_the_checked_copy(fetch_dataset("musk2", data_home=tmp_path), "musk2")
    assert listing(tmp_path) == ["BagI.mat", "X.mat", "musk2", "musk2/Bag2.mat"]


def test_a_small_set(small):
    data = fetch_dataset("small", data_home=small)
    assert_array_equal(data.bags.instances, [[1, 2], [5, 6], [3, 4], [7, 8]])
    assert data.bags.bag_sizes.tolist() == [2, 1, 1]
    assert data.target.tolist() == [0, 1, 1]
    assert data.target_names.tolist() == ["nay", "yea"]
    assert data.feature_names == ["x", "y"]
    assert data.bag_ids.tolist() == ["a", "b", "c"]
    assert data.instance_labels is None
    assert data.folds is None
    assert "split" not in data
    assert "frame" not in data
    assert listing(small) == ["small.csv"]


def test_the_description_says_all_there_is_to_know(small):
    text = fetch_dataset("small", data_home=str(small)).DESCR
    for phrase in (
        "A small set\n-----------\n",
        "3, of which 2 are positive",
        "4, 1 to 2 in a bag",
        '0 is "nay", 1 is "yea"',
        "https://github.com/a/b, commit c, x/small.csv",
        "- Beware of the second bag.\n",
        "- A. Author, 2001.\n",
    ):
        assert phrase in text
    assert max(map(len, text.splitlines())) < 160


def test_return_X_y(small):
    bags, target = fetch_dataset("small", data_home=small, return_X_y=True)
    assert isinstance(bags, Bags)
    assert target.tolist() == [0, 1, 1]


def test_a_frame_is_read_back(small):
    pytest.importorskip("pandas")
    data = fetch_dataset("small", data_home=small, as_frame=True)
    assert list(data.frame.columns) == ["bag", "label", "x", "y"]
    assert data.target.to_dict() == {"a": 0, "b": 1, "c": 1}
    assert data.target.name == "label"
    bags, y = Bags.from_frame(data.frame, bag="bag", label="label")
    assert_array_equal(bags.instances, data.bags.instances)
    assert_array_equal(bags.offsets, data.bags.offsets)
    assert_array_equal(y, data.target)
    bags, target = fetch_dataset("small", data_home=small, as_frame=True, return_X_y=True)
    assert isinstance(bags, Bags)
    assert target.equals(data.target)


def test_a_frame_of_sparse_bags_is_read_back(small, use):
    pd = pytest.importorskip("pandas")
    use(sparse=True)
    data = fetch_dataset("small", data_home=small, as_frame=True)
    assert all(isinstance(data.frame[name].dtype, pd.SparseDtype) for name in ("x", "y"))
    bags, y = Bags.from_frame(data.frame, bag="bag", label="label")
    assert_array_equal(bags.instances, data.bags.instances.toarray())
    assert_array_equal(y, data.target)


def test_a_missing_pandas(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"needs pandas.*pip install skmil\[data\]"):
        fetch_dataset("small", data_home=small, as_frame=True)


def test_folds_are_read_where_the_user_has_put_them(small):
    (small / "small").mkdir()
    folds = small / "small" / "folds_5x10.csv"
    folds.write_text("0,1,2\n2,0,1\n")
    assert fetch_dataset("small", data_home=small).folds.tolist() == [[0, 1, 2], [2, 0, 1]]
    folds.write_text("0,1\n")
    with pytest.raises(DataFileError, match=r"folds_5x10\.csv.* 2 bags, but there are 3 bags"):
        fetch_dataset("small", data_home=small)


def test_a_missing_set_comes_with_what_to_put_where(tmp_path, use):
    use(mirrors=["http://localhost/{repository}/{commit}/{path}", "http://elsewhere/"])
    with pytest.raises(FileNotFoundError) as caught:
        fetch_dataset("small", data_home=tmp_path, download_if_missing=False)
    message = str(caught.value)
    for phrase in (
        "'small' is not there",
        f"Put into {tmp_path / 'small'}: small.csv ({len(TABLE)} bytes, sha256 {SHA256})",
        "http://localhost/a/b/c/x/small.csv",
        "download_if_missing=True",
    ):
        assert phrase in message
    assert "elsewhere" not in message
    assert listing(tmp_path) == []


def test_a_wrong_file_never_passes_as_data(small):
    path = small / "small.csv"
    path.write_bytes(TABLE.replace(b"8", b"9"))
    with pytest.raises(DataFileError, match=r"small\.csv: not the published file.*Put into"):
        fetch_dataset("small", data_home=small, download_if_missing=False)
    (small / "small").mkdir()
    shutil.copy(path, small / "small")
    with pytest.raises(DataFileError, match=r"small/small\.csv: .* Likewise .*small\.csv: not the"):
        fetch_dataset("small", data_home=small, download_if_missing=False)


def test_a_damaged_file_is_downloaded_again(tmp_path, server, use):
    pytest.importorskip("pooch")
    use(mirrors=[server.mirror("bad"), server.mirror("good")])
    (tmp_path / "small").mkdir()
    path = tmp_path / "small" / "small.csv"
    path.write_bytes(TABLE[:-1])
    server.answers = {"bad": status(404), "good": status(500)}
    with pytest.raises(DownloadError, match=r"404.*\n.*500"):
        fetch_dataset("small", data_home=tmp_path)
    assert path.read_bytes() == TABLE[:-1]
    server.answers["good"] = content(TABLE)
    assert fetch_dataset("small", data_home=tmp_path).bags.n_bags == 3
    assert path.read_bytes() == TABLE
    assert listing(tmp_path) == ["small", "small/small.csv"]


def test_a_failed_download_leaves_no_folder(tmp_path, server, use):
    pytest.importorskip("pooch")
    use(mirrors=[server.mirror("bad")])
    with pytest.raises(DownloadError, match="404"):
        fetch_dataset("small", data_home=tmp_path / "new" / "home")
    assert listing(tmp_path) == []


def test_the_file_is_verified_every_time(small):
    fetch_dataset("small", data_home=small)
    (small / "small.csv").write_bytes(TABLE.replace(b"8", b"9"))
    with pytest.raises(DataFileError):
        fetch_dataset("small", data_home=small, download_if_missing=False)


def test_nothing_is_written_where_all_is_there(small, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(_fetch, "download_file", refuse)
    assert fetch_dataset("small", data_home=small).bags.n_bags == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"n_bags": 4}, "n_bags is 3, not 4"),
        ({"n_positive": 1}, "n_positive is 2, not 1"),
        ({"n_instances": 3}, "n_instances is 4, not 3"),
        ({"n_features": 3}, "n_features is 2, not 3"),
        ({"positive": "maybe"}, "n_positive is 0, not 2"),
    ],
)
def test_counts_of_the_catalogue_are_checked(small, use, changes, problem):
    use(**changes)
    with pytest.raises(DataFileError, match=rf"small\.csv: {problem}"):
        fetch_dataset("small", data_home=small)


def test_sparse_sets_and_splits(small, use):
    use(sparse=True, n_train=2)
    data = fetch_dataset("small", data_home=small)
    assert sp.issparse(data.bags.instances)
    assert data.split.tolist() == [0, 0, 1]
    assert "in a sparse matrix" in data.DESCR


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("musk", "Did you mean musk2 or musk1"),
        ("Fox", r"Did you mean fox\?"),
        ("alt_atheism", "Did you mean news_alt_atheism"),
        ("something else entirely", r"See list_datasets\(\)"),
        (3, r"See list_datasets\(\)"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(tmp_path, name, advice):
    with pytest.raises(ValueError, match=f"no data set {name!r}. {advice}"):
        fetch_dataset(name, data_home=tmp_path)


def test_where_data_sets_are(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("SKMIL_DATA", raising=False)
    assert get_data_home() == tmp_path / "skmil_data"
    monkeypatch.setenv("SKMIL_DATA", "~/elsewhere")
    assert get_data_home() == tmp_path / "elsewhere"
    assert get_data_home("here") == Path("here")
    assert listing(tmp_path) == []


def test_the_environment_names_the_folder(small, monkeypatch):
    monkeypatch.setenv("SKMIL_DATA", str(small))
    assert fetch_dataset("small").bags.n_bags == 3


def test_the_list_is_a_copy():
    list_datasets().clear()
    assert "musk1" in list_datasets()
