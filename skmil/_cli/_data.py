"""The data set that the command line works on."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skmil._cli._errors import UsageError, unknown_name
from skmil.bags import Bags
from skmil.datasets import fetch_dataset, list_datasets, load_digit_bags, make_bags
from skmil.datasets.readers import read_bags, read_folder, read_table
from skmil.datasets.readers._bags import READERS, reader_of, suffixes
from skmil.datasets.readers._open import inner_suffix

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


def load_data(name, bag_column=None, label_column=None, labels=None, progress=None):
    """Return the data set of that name, or read the file.

    Parameters
    ----------
    name : str
        The name of a built-in or published data set, or the path of a file or folder.
    bag_column, label_column : str, default=None
        Columns of a table; None for the usual names.
    labels : str, default=None
        Where the labels are of bags that lie in a file each; see `read_folder`.
    progress : bool, default=None
        Show the progress of a download; None does if standard error is a terminal.

    Returns
    -------
    data : Data
        The data set.

    Raises
    ------
    UsageError
        If there is no such data set, or it cannot be used for classification.
    """
    columns = {"bag": bag_column, "label": label_column}
    columns = {role: column for role, column in columns.items() if column is not None}
    names = [*BUILT_IN, *list_datasets()]
    if columns and (name in names or reader_of(name) is not read_table):
        option = next(iter(columns))
        tables = suffixes(read_table)
        raise UsageError(f"--{option}-column is for {tables} files only, and {name!r} is none.")
    if labels is not None:
        if name in names or reader_of(name) is not read_folder:
            raise UsageError(
                f"--labels is for folders with one file per bag only, and {name!r} is none."
            )
        columns["labels"] = labels
    folds = None
    if name in BUILT_IN:
        bags, y = BUILT_IN[name][1]()
    elif name in names:
        bags, y, folds = _fetch(name, progress)
    elif _is_path(name):
        bags, y, folds = _read(name, columns)
    else:
        raise unknown_name("data set", name, names)
    if y is None:
        advice = " Name a table of them with --labels." if reader_of(name) is read_folder else ""
        raise UsageError(f"{name}: there are no labels to learn from.{advice}")
    if y.dtype.kind == "f" and not np.array_equal(y, np.rint(y)):
        value = y[y != np.rint(y)][0]
        raise UsageError(f"{name}: labels must be classes, got the number {value}.")
    return Data(name if name in names else Path(name).name, bags, y, folds)


def _is_path(name):
    """Return whether it is a file or folder that is meant, there or not, rather than a name."""
    path = Path(name)
    return bool(path.suffix) or len(path.parts) > 1 or path.exists()


def _fetch(name, progress):
    try:
        data = fetch_dataset(name, progress=progress)
    except (ImportError, OSError, ValueError) as error:
        raise UsageError(str(error)) from None
    return data.bags, data.target, data.folds


def _read(name, columns):
    try:
        data = read_bags(name, **columns)
        return data.bags, data.target, data.folds
    except FileNotFoundError:
        path = Path(name)
        there = [p.name for p in path.parent.glob("*") if inner_suffix(p) in READERS]
        near = difflib.get_close_matches(path.name, there, n=1)
        advice = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise UsageError(f"there is no file {name}.{advice}") from None
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or error}.") from None
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from None
