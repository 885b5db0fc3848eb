"""Real data sets that are not part of the package, from folders that the environment names."""

import os
from pathlib import Path

import numpy as np
import pytest

from skmil import Bags
from skmil.datasets import read_npz


def path_of(name):
    """Return the path of a data set; skip the test where it is not at hand."""
    folder = os.environ.get("SKMIL_DATA_DIR")
    if folder is None:
        pytest.skip("SKMIL_DATA_DIR does not name a directory of data sets")
    return Path(folder) / f"{name}.npz"


def raw_path_of(name):
    """Return the path of a file as its authors published it; skip the test where it is missing.

    Such files lie in the folder that SKMIL_RAW_DATA_DIR names, some compressed with gzip.
    """
    folder = os.environ.get("SKMIL_RAW_DATA_DIR")
    if folder is None:
        pytest.skip("SKMIL_RAW_DATA_DIR does not name a directory of data sets as published")
    return Path(folder) / name


def load(name):
    """Return the bags in float64, their labels and all arrays of a data set."""
    path = path_of(name)
    data = read_npz(path)
    bags, y = data.bags, data.target
    return Bags(bags.instances.astype(float), bags.offsets), y, np.load(path)
