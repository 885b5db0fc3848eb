"""Bags to learn and to test with, and readers of bags from files."""

from skmil.datasets._assumption_tests import make_assumption_test
from skmil.datasets._digits import load_digit_bags
from skmil.datasets._download import DownloadError
from skmil.datasets._fetch import fetch_dataset, get_data_home, list_datasets
from skmil.datasets._synthetic import make_bags
from skmil.datasets.readers import (
    DataFileError,
    read_arff,
    read_bags,
    read_c45,
    read_folder,
    read_mat,
    read_miproblems,
    read_npz,
    read_saved,
    read_svmlight,
    read_table,
)

__all__ = [
    "DataFileError",
    "DownloadError",
    "fetch_dataset",
    "get_data_home",
    "list_datasets",
    "load_digit_bags",
    "make_assumption_test",
    "make_bags",
    "read_arff",
    "read_bags",
    "read_c45",
    "read_folder",
    "read_mat",
    "read_miproblems",
    "read_npz",
    "read_saved",
    "read_svmlight",
    "read_table",
]
