"""Real data sets that are not part of the package, from the folder that SKMIL_DATA_DIR names."""

import os
from pathlib import Path

import numpy as np
import pytest

from skmil import Bags
from skmil.datasets._files import read_bags


def path_of(name):
    """Return the path of a data set; skip the test where it is not at hand."""
    folder = os.environ.get("SKMIL_DATA_DIR")
    if folder is None:
        pytest.skip("SKMIL_DATA_DIR does not name a directory of data sets")
    return Path(folder) / f"{name}.npz"


def load(name):
    """Return the bags in float64, their labels and all arrays of a data set."""
    path = path_of(name)
    bags, y = read_bags(path)
    return Bags(bags.instances.astype(float), bags.offsets), y, np.load(path)
