"""Folders of the MIProblems collection: features, labels and names of bags in three files."""

import errno
import os
from pathlib import Path

import numpy as np

from skmil.bags import Bags, check_bags
from skmil.bags._errors import DataFileError, errors_name
from skmil.bags._grouping import group_rows, one_label_per_bag
from skmil.datasets.readers._folds import read_folds_csv
from skmil.datasets.readers._numbers import read_integers, read_numbers
from skmil.datasets.readers._result import read_result

_LAYOUTS = ("auto", "rows", "columns")


def read_miproblems(folder, *, instances="auto"):
    r"""Read bags and their labels from a folder of the MIProblems collection.

    The folder has three files without headers, with tabs or commas between the numbers:

    - ``data.csv``: the features, as published a line for each feature and a column for each
      instance; the other way round is read too;
    - ``bagids.csv``: for each instance an integer that names its bag;
    - ``labels.csv``: for each instance the label of its bag, or for each bag its label, an
      integer;

    and, if at hand, one file ``folds*.csv``, for example ``folds_5x10.csv``: a line for each
    repeat with the fold in which each bag is tested. Each of them may be compressed with
    gzip (``data.csv.gz``).

    Parameters
    ----------
    folder : str or path-like
        The folder.
    instances : {"auto", "rows", "columns"}, default="auto"
        Whether an instance is a row or a column of ``data.csv``. ``"auto"`` takes that side
        which is as long as ``bagids.csv``, and refuses a square.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags in the order in which they first appear, float64.
        target : ndarray of int64 of shape (n_bags,)
            The labels as in the file; as published, 0 and 1.
        bag_ids : ndarray of int64 of shape (n_bags,)
            The names of the bags.
        folds : ndarray of int64 of shape (n_repeats, n_bags) or None
            In which fold each bag is tested, for each repeat.
        instance_ids, instance_labels, feature_names : None
            Not part of this format: the labels of instances are those of their bags.

    Raises
    ------
    DataFileError
        If a file is missing or its content is not as described.
    OSError
        If there is no such folder or a file cannot be opened.

    Notes
    -----
    The layout is that of the collection at https://github.com/pevnak/MIProblems, whose
    numbers have at most six significant digits. Labels for bags rather than instances are
    taken in the order of ``bagids.csv``, and only where these numbers rise, since otherwise
    the order may be another one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import read_miproblems
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "data.csv").write_text("0.1\t0.2\t0.3\n1.0\t2.0\t3.0\n")
    >>> _ = (folder / "bagids.csv").write_text("1\n1\n2\n")
    >>> _ = (folder / "labels.csv").write_text("1\n1\n0\n")
    >>> data = read_miproblems(folder)
    >>> data.bags[0]
    array([[0.1, 1. ],
           [0.2, 2. ]])
    >>> data.target
    array([1, 0])
    """
    if instances not in _LAYOUTS:
        raise ValueError(f"instances must be one of {', '.join(_LAYOUTS)}, got {instances!r}.")
    folder = Path(folder)
    files = _find(folder)
    missing = [name for name in ("data.csv", "bagids.csv", "labels.csv") if name not in files]
    if missing:
        raise DataFileError(
            folder,
            f"there is no file {missing[0]}. A folder of MIProblems has data.csv, bagids.csv and "
            "labels.csv.",
        )
    bag_ids, order, offsets = _read_bag_ids(files["bagids.csv"])
    target = _read_labels(files["labels.csv"], bag_ids, order, offsets)
    folds = _read_folds(folder, files, len(target))
    matrix = _read_data(files["data.csv"], len(bag_ids), instances)
    with errors_name(files["data.csv"]):
        bags = check_bags(Bags(matrix[order], offsets))
    return read_result(bags, target, bag_ids=bag_ids[order[offsets[:-1]]], folds=folds)


def is_miproblems(folder):
    """Return whether a folder looks like one of the MIProblems collection.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    answer : bool
        True if at least two of the three files are there.
    """
    names = _find(folder)
    return sum(name in names for name in ("data.csv", "bagids.csv", "labels.csv")) >= 2


def _find(folder):
    """Return the .csv and .csv.gz files of a folder by their names without .gz."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    paths = sorted(folder.iterdir(), reverse=True)  # data.csv rather than data.csv.gz
    return {
        path.name.removesuffix(".gz"): path
        for path in paths
        if path.name.removesuffix(".gz").endswith(".csv") and path.is_file()
    }


def _read_bag_ids(path):
    """Return the bag of each instance, the order that groups the instances, and the offsets."""
    bag_ids = _read_vector(path)
    return bag_ids, *group_rows(bag_ids)


def _read_labels(path, bag_ids, order, offsets):
    """Return the label of each bag, from those of the instances or of the bags."""
    labels = _read_vector(path)
    n_bags = len(offsets) - 1
    if len(labels) == len(bag_ids):
        with errors_name(path):
            names = bag_ids[order[offsets[:-1]]]
            return one_label_per_bag(labels[order], offsets, names, "this file")
    if len(labels) != n_bags:
        raise DataFileError(
            path,
            f"there are {len(labels)} labels, neither one for each of the {len(bag_ids)} "
            f"instances nor one for each of the {n_bags} bags in bagids.csv.",
        )
    if (np.diff(bag_ids[order[offsets[:-1]]]) < 0).any():
        raise DataFileError(
            path,
            "there is a label for each bag, but the numbers in bagids.csv do not rise, so it is "
            "not clear which bag is the first. Give a label for each instance.",
        )
    return labels


def _read_folds(folder, files, n_bags):
    paths = [path for name, path in files.items() if name.startswith("folds")]
    if len(paths) > 1:
        names = sorted(path.name for path in paths)
        raise DataFileError(folder, f"there are several files of folds: {names}. Leave one.")
    return read_folds_csv(paths[0], n_bags) if paths else None


def _read_data(path, n_instances, layout):
    """Return the features of the instances, one row for each."""
    numbers = read_numbers(path)
    n_rows, n_columns = numbers.shape
    fits = {"rows": n_rows == n_instances, "columns": n_columns == n_instances}
    if layout == "auto":
        if fits["rows"] and fits["columns"]:
            raise DataFileError(
                path,
                f"there are as many rows as columns, {n_rows}, so it is not clear which are the "
                'instances. As published these are the columns: instances="columns".',
            )
        layout = "columns" if fits["columns"] else "rows"
    if not fits[layout]:
        raise DataFileError(
            path,
            f"there are {n_rows} rows and {n_columns} columns, but bagids.csv has "
            f"{n_instances} instances.",
        )
    return numbers if layout == "rows" else numbers.T


def _read_vector(path):
    """Return the integers of a single row or column."""
    integers = read_integers(path)
    if 1 not in integers.shape:
        raise DataFileError(
            path, f"there is more than one row and column: the shape is {integers.shape}."
        )
    return integers.ravel()
