import numpy as np
import pytest
from numpy.testing import assert_array_equal
from real_data import path_of, raw_path_of

from skmil.datasets import DataFileError, read_npz
from skmil.datasets.readers._folds import read_folds_csv


def test_published_folds_are_five_divisions_into_ten():
    folds = read_folds_csv(raw_path_of("ucsb_breast_labels_only") / "folds_5x10.csv", n_bags=58)
    assert folds.shape == (5, 58)
    assert folds[0, :5].tolist() == [8, 1, 0, 0, 3]
    assert folds[4, -3:].tolist() == [1, 8, 0]
    for row in folds:
        assert np.bincount(row).tolist() == [6] * 8 + [5] * 2


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("separator", [",", "\t", " "])
def test_folds_come_back_as_they_were_written(tmp_path, first, separator):
    folds = read_npz(path_of("musk1")).folds + first
    path = tmp_path / "folds.csv"
    path.write_text("\n".join(separator.join(map(str, row)) for row in folds.tolist()))
    assert_array_equal(read_folds_csv(str(path), n_bags=92), folds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("0,1,1\n", "there are folds for 3 bags, but there are 4 bags"),
        ("0,1,1,0\n0,1,1\n", "the number of columns changed"),
        ("0,1,1,0\n0,1,3,0\n", "line 2: folds are numbered .* but the numbers are 0, 1, 3"),
        ("2,3,2,3\n", "line 1: folds are numbered"),
        ("-1,0,0,1\n", "line 1: folds are numbered"),
        ("1,1,1,1\n", "line 1: all bags are in the same fold"),
        ("0,1,0.5,1\n", "no integer"),
        ("a,b,c,d\n", "no table of numbers"),
    ],
)
def test_other_folds_are_refused(tmp_path, text, message):
    path = tmp_path / "folds.csv"
    path.write_text(text)
    with pytest.raises(DataFileError, match=rf"folds\.csv.*{message}"):
        read_folds_csv(path, n_bags=4)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_folds_csv(tmp_path / "folds.csv", n_bags=4)
