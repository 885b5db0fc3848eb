"""The data set that the command line works on."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skmil._cli._errors import UsageError, unknown_name
from skmil.bags import Bags
from skmil.datasets import load_digit_bags, make_bags
from skmil.datasets._files import SUFFIXES, read_bags, read_folds

#: Name, what it is, and how it is made. Each is always the same, whatever the seed.
BUILT_IN = {
    "digits": (
        "images of digits; positive bags hold a nine",
        lambda: load_digit_bags(random_state=0, return_X_y=True),
    ),
    "synthetic": (
        "normal values; witnesses are shifted",
        lambda: make_bags(random_state=0, return_X_y=True),
    ),
}


@dataclass(frozen=True)
class Data:
    """A data set, its name, and the folds published with it, a row for each repeat."""

    name: str
    bags: Bags
    y: np.ndarray
    folds: np.ndarray | None = None

    @property
    def sparse(self):
        """Whether the instances are a sparse matrix."""
        return sp.issparse(self.bags.instances)

    def facts(self):
        """Return what there is to know about the data, ready for JSON."""
        classes, counts = np.unique(self.y, return_counts=True)
        sizes = self.bags.bag_sizes
        return {
            "name": self.name,
            "n_bags": self.bags.n_bags,
            "n_instances": self.bags.n_instances,
            "n_features": self.bags.n_features,
            "bag_size": {
                "min": int(sizes.min()),
                "mean": float(sizes.mean()),
                "max": int(sizes.max()),
            },
            "classes": [
                {"label": label, "n_bags": count}
                for label, count in zip(classes.tolist(), counts.tolist(), strict=True)
            ],
            "dtype": str(self.bags.dtype),
            "sparse": self.sparse,
        }


def load_data(name, bag_column=None, label_column=None):
    """Return the data set of that name, or read the file.

    Parameters
    ----------
    name : str
        A built-in name or a path.
    bag_column, label_column : str, default=None
        Columns of a table; None for the usual names.

    Returns
    -------
    data : Data
        The data set.

    Raises
    ------
    UsageError
        If there is no such data set, or it cannot be used for classification.
    """
    columns = {"bag_column": bag_column, "label_column": label_column}
    columns = {role: column for role, column in columns.items() if column is not None}
    suffix = Path(name).suffix.lower()
    if columns and suffix != ".csv":
        option = next(iter(columns)).replace("_", "-")
        raise UsageError(f"--{option} is for .csv files only, and {name!r} is none.")
    folds = None
    if name in BUILT_IN:
        bags, y = BUILT_IN[name][1]()
    elif suffix in SUFFIXES:
        bags, y, folds = _read(name, columns)
    elif suffix or Path(name).exists():
        raise UsageError(f"{name}: bags are read from {' or '.join(SUFFIXES)} files only.")
    else:
        raise unknown_name("data set", name, BUILT_IN)
    if y.dtype.kind == "f" and not np.array_equal(y, np.rint(y)):
        value = y[y != np.rint(y)][0]
        raise UsageError(f"{name}: labels must be classes, got the number {value}.")
    return Data(name if name in BUILT_IN else Path(name).name, bags, y, folds)


def _read(name, columns):
    try:
        bags, y = read_bags(name, **columns)
        return bags, y, read_folds(name, bags.n_bags)
    except FileNotFoundError:
        path = Path(name)
        there = [p.name for p in path.parent.glob("*") if p.suffix.lower() in SUFFIXES]
        near = difflib.get_close_matches(path.name, there, n=1)
        advice = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise UsageError(f"there is no file {name}.{advice}") from None
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}.") from None
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from None
