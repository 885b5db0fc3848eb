"""Bags and their labels read from a file."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skmil.bags import Bags, check_bags

SUFFIXES = (".npz", ".csv")

_CSR_KEYS = ("csr_data", "csr_indices", "csr_indptr", "csr_shape")
#: What NumPy raises, besides ValueError, when a file is cut short or damaged.
_DAMAGE = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_bags(path, *, bag_column="bag", label_column="label"):
    """Read bags and their labels from a ``.npz`` or a ``.csv`` file.

    A ``.npz`` file, written by :func:`numpy.savez`, holds the arrays

    - ``instances`` of shape (n_instances, n_features), or the parts of a CSR matrix of that
      shape as ``csr_data``, ``csr_indices``, ``csr_indptr`` and ``csr_shape``;
    - ``offsets`` of shape (n_bags + 1,): bag ``i`` is the rows
      ``offsets[i]:offsets[i + 1]``;
    - ``y`` of shape (n_bags,): the labels.

    Other arrays in it are not read here. Pickled objects are refused.

    A ``.csv`` file is a table with a header and one row per instance: one column names the
    bag, one its label, all others are numeric features.

    Parameters
    ----------
    path : str or path-like
        The file.
    bag_column : str, default="bag"
        The column of a table that names the bag.
    label_column : str, default="label"
        The column of a table that holds the label of the bag.

    Returns
    -------
    bags : Bags of shape (n_bags,)
        The bags; float32 and float64 as stored, any other type as float64.
    y : ndarray of shape (n_bags,)
        The labels.

    Raises
    ------
    ValueError
        If the content of the file is not as described. The message names the file.
    ImportError
        If the file is a table and pandas is not installed.
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: bags are read from {' or '.join(SUFFIXES)} files only.")
    try:
        if suffix == ".npz":
            return _read_npz(path)
        return _read_table(path, bag_column, label_column)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_folds(path, n_bags):
    """Read the folds that a ``.npz`` file has beside its bags.

    Parameters
    ----------
    path : str or path-like
        The file.
    n_bags : int
        Number of bags in it.

    Returns
    -------
    folds : ndarray of int of shape (n_repeats, n_bags) or None
        In which fold each bag is tested, for each repeat; the array ``folds`` of the file.
        None if there is no such array, or the file is a table.

    Raises
    ------
    ValueError
        If the array is not as described. The message names the file.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        return None
    folds = _read_arrays(path, ("folds",)).get("folds")
    if folds is None:
        return None
    if folds.ndim != 2 or folds.shape[1] != n_bags or len(folds) == 0:
        raise ValueError(
            f"{path}: 'folds' needs a row for each repeat and a column for each of the "
            f"{n_bags} bags, got shape {folds.shape}."
        )
    if folds.dtype.kind not in "iu" or folds.min() < 0:
        raise ValueError(f"{path}: 'folds' must number the folds from 0, in integers.")
    return folds


def _read_npz(path):
    arrays = _read_arrays(path, ("instances", *_CSR_KEYS, "offsets", "y"))
    missing = [key for key in ("offsets", "y") if key not in arrays]
    if missing:
        raise ValueError(f"the array {missing[0]!r} is missing; there are {list(arrays)}.")
    instances = arrays["instances"] if "instances" in arrays else _csr_matrix(arrays)
    bags = check_bags(Bags(instances, arrays["offsets"]))
    return bags, _check_target(arrays["y"], bags.n_bags)


def _read_arrays(path, keys):
    """Return those of the named arrays that the file has."""
    with path.open("rb") as file:  # a file that cannot be opened is another matter
        try:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is one array without a name")
            with archive:
                return {key: archive[key] for key in keys if key in archive.files}
        except (*_DAMAGE, OSError, ValueError) as error:
            raise ValueError(
                f"not a complete .npz file of plain arrays ({error}). "
                "Write it with numpy.savez, without objects."
            ) from error


def _csr_matrix(arrays):
    missing = [key for key in _CSR_KEYS if key not in arrays]
    if missing:
        raise ValueError(
            "neither 'instances' nor the four parts of a CSR matrix are there: "
            f"{missing[0]!r} is missing."
        )
    data, indices, indptr, shape = (arrays[key] for key in _CSR_KEYS)
    for key in _CSR_KEYS[1:]:
        if arrays[key].dtype.kind not in "iu":
            raise ValueError(f"{key!r} must hold integers, got {arrays[key].dtype}.")
    if shape.shape != (2,):
        raise ValueError(f"'csr_shape' must hold two integers, got {shape.tolist()}.")
    matrix = sp.csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))
    matrix.check_format(full_check=True)
    matrix.sum_duplicates()
    return matrix


def _check_target(y, n_bags):
    if y.shape != (n_bags,):
        raise ValueError(f"'y' needs one label per bag, shape ({n_bags},), got {y.shape}.")
    if y.dtype.kind not in "biufUS":
        raise ValueError(f"'y' must hold numbers or strings, got {y.dtype}.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        i = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(f"'y' has no label for bag {i}: {y[i]}.")
    return y.astype(str) if y.dtype.kind == "S" else y


def _read_table(path, bag_column, label_column):
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"{path}: reading a table needs pandas, which is not installed. "
            "Install it with: pip install skmil[data]"
        ) from error
    # As a string, an identifier such as 007 stays itself.
    frame = pd.read_csv(path, dtype={bag_column: str}, low_memory=False)
    _check_columns(frame, bag_column, label_column)
    bags, y = Bags.from_frame(frame, bag=bag_column, label=label_column)
    # Plain NumPy strings, whatever the table held them as.
    return bags, y.astype(str) if y.dtype == object else y


def _check_columns(frame, bag_column, label_column):
    """Refuse a table without its two special columns or with features that are no numbers."""
    if not frame.index.equals(frame.reset_index(drop=True).index):
        raise ValueError("rows have more values than the header has columns.")
    if bag_column == label_column:
        raise ValueError(f"the bag and the label are both column {bag_column!r}. Name two.")
    for role, name in [("bag", bag_column), ("label", label_column)]:
        if name not in frame.columns:
            raise ValueError(
                f"no column {name!r} for the {role}; there are {_first(frame.columns)}. "
                f"Name the right one with {role}_column (--{role}-column)."
            )
    features = frame.drop(columns=[bag_column, label_column])
    text = features.select_dtypes(exclude=["number", "bool"]).columns
    if len(frame) and len(text):
        raise ValueError(
            f"column {text[0]!r} is neither the bag, nor the label, nor numeric. "
            "Encode it as numbers or drop it."
        )


def _first(names, most=6):
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
