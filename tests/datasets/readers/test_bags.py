import gzip
import os

import numpy as np
import pytest
from scipy.io import savemat

from skmil import Bags
from skmil.datasets import (
    DataFileError,
    read_bags,
    read_folder,
    read_mat,
    read_npz,
    read_saved,
    read_table,
)
from skmil.datasets.readers._bags import READERS, reader_of, suffixes

TABLE = "bag,label,x\na,0,1\nb,1,2\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bags.csv", TABLE.encode()),
        ("Bags.v2.CSV", TABLE.encode()),
        ("bags.csv.gz", gzip.compress(TABLE.encode(), mtime=0)),
        ("bags.CSV.GZ", gzip.compress(TABLE.encode(), mtime=0)),
        ("bags.tsv", TABLE.replace(",", "\t").encode()),
        ("bags.tsv.gz", gzip.compress(TABLE.replace(",", "\t").encode(), mtime=0)),
    ],
)
def test_the_suffix_says_how_to_read_a_table(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    data = read_bags(path)
    assert data.bags.instances.tolist() == [[1], [2]]
    assert read_bags(str(path), label=None).target is None


def test_all_readers_return_the_same_names(tmp_path):
    np.savez(tmp_path / "bags.npz", instances=np.eye(2), offsets=[0, 1, 2], y=[0, 1])
    (tmp_path / "bags.csv").write_text(TABLE)
    for name in ("data", "bagids", "labels"):
        (tmp_path / f"{name}.csv").write_text("0\n1\n")
    paths = [tmp_path / "bags.npz", tmp_path / "bags.csv", tmp_path]
    assert len({tuple(read_bags(path)) for path in paths}) == 1


def test_each_suffix_has_its_reader(tmp_path):
    assert reader_of("a/b.npz") is read_npz
    assert reader_of(tmp_path / "b.tsv.gz") is read_table
    assert reader_of("b.gz") is reader_of("b") is reader_of(tmp_path) is None
    assert suffixes(read_table) == ".csv, .parquet or .tsv"
    assert suffixes(read_npz) == ".npz"
    assert all(suffix in suffixes() for suffix in READERS)


@pytest.mark.skipif(os.name != "posix", reason="devices have no paths elsewhere")
@pytest.mark.parametrize("suffix", [*READERS, ".csv.gz"])
def test_a_device_in_place_of_a_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"bags{suffix}"
    path.symlink_to(os.devnull)  # unlike others it has an end, so that a failure does not hang
    with pytest.raises(DataFileError, match="no ordinary file"):
        read_bags(path)


def test_names_of_files_are_made_fit_to_be_shown(tmp_path):
    path = tmp_path / "red\x1b[31m.data"
    path.write_text("rubbish")
    with pytest.raises(DataFileError) as caught:
        read_bags(path)
    assert caught.value.path == str(path)
    assert "red\ufffd[31m.data, line 1: " in str(caught.value)


def test_what_has_no_reader_is_refused_with_what_has_one(tmp_path):
    for name in ("bags.xls", "bags.xls.gz", "bags.gz"):
        with pytest.raises(DataFileError, match=r"bags\..*: bags are read from .arff, .* files"):
            read_bags(tmp_path / name)
    (tmp_path / "bags").touch()
    with pytest.raises(DataFileError, match="bags are read from"):
        read_bags(tmp_path / "bags")
    with pytest.raises(DataFileError, match=r"folders with saved bags; data\.csv, bagids\.csv"):
        read_bags(tmp_path)


def test_the_content_of_a_folder_says_how_to_read_it(tmp_path):
    bags = Bags(np.eye(3), [0, 1, 3])
    bags.save(tmp_path / "saved", target=[0, 1])
    assert reader_of(tmp_path / "saved") is read_saved
    slides = tmp_path / "slides"
    slides.mkdir()
    np.save(slides / "a.npy", np.eye(2))
    assert reader_of(slides) is read_folder
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, value in {"X": np.eye(3), "Bag": [[1, 1, 2]], "BagI": [[0, 1]]}.items():
        savemat(parts / f"{name}.mat", {name: value})
    assert reader_of(parts) is read_mat
    assert read_bags(parts).bags.bag_sizes.tolist() == [2, 1]
    (parts / "BagI.mat").unlink()
    assert reader_of(parts) is None


def test_labels_may_be_the_names_of_folders(tmp_path):
    for label in ("left", "right"):
        (tmp_path / label).mkdir()
        np.save(tmp_path / label / f"{label}_1.npy", np.eye(2))
    data = read_bags(tmp_path, labels="subfolders")
    assert data.target.tolist() == ["left", "right"]


@pytest.mark.parametrize("name", ["nothing", "nothing.csv", "nothing.npz"])
def test_a_file_that_is_not_there_says_so(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read_bags(tmp_path / name)


def test_the_name_of_a_published_data_set_is_no_file():
    with pytest.raises(FileNotFoundError, match=r"fetch_dataset\('musk1'\)"):
        read_bags("musk1")
