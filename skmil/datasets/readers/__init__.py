"""Readers of the files that bags come in. Files are untrusted: nothing in them is executed."""

from skmil.bags._errors import DataFileError
from skmil.datasets.readers._arff import read_arff
from skmil.datasets.readers._bags import read_bags
from skmil.datasets.readers._c45 import read_c45
from skmil.datasets.readers._folder import read_folder
from skmil.datasets.readers._mat import read_mat
from skmil.datasets.readers._miproblems import read_miproblems
from skmil.datasets.readers._npz import read_npz
from skmil.datasets.readers._saved import read_saved
from skmil.datasets.readers._svmlight import read_svmlight
from skmil.datasets.readers._table import read_table

__all__ = [
    "DataFileError",
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
