"""Labels of bags that come in a file each: a mapping, a table, or the names of folders."""

import os
from itertools import islice
from pathlib import Path

import numpy as np

from skmil.bags._errors import DataFileError, errors_name
from skmil.datasets.readers._columns import plain_labels
from skmil.datasets.readers._delimited import MISSING, check_width, open_rows
from skmil.datasets.readers._hdf5 import spell
from skmil.datasets.readers._open import inner_suffix
from skmil.datasets.readers._text import string_array

#: How tables name the column that says which bag a row is about.
ID_COLUMNS = ("slide_id", "bag_id", "bag", "slide", "file", "filename")
#: What `labels` says when a bag has the label that its folder is named after.
SUBFOLDERS = "subfolders"


def labels_of(paths, folder, labels, id_column, label_column):
    """Return the label of each file.

    Parameters
    ----------
    paths : list of Path
        The files.
    folder : Path
        The folder in which they are.
    labels : mapping, Series, path, ``"subfolders"`` or None
        Where to find the labels.
    id_column : str or None
        The column of a table that names the bag; None to find it.
    label_column : str
        The column of a table with the label.

    Returns
    -------
    target : ndarray of shape (n_files,) or None
        The labels; None if there are none.
    """
    if labels is None:
        return None
    if isinstance(labels, str) and labels == SUBFOLDERS:
        return np.array([path.relative_to(folder).parts[0] for path in paths])
    if isinstance(labels, (str, os.PathLike)):
        source = Path(labels)
        labels = _read_table(source, id_column, label_column)
    elif hasattr(labels, "columns"):
        raise TypeError(
            "labels must be a Series rather than a data frame, with the names of the bags as its "
            f"index: labels.set_index({ID_COLUMNS[0]!r})[{label_column!r}]."
        )
    elif hasattr(labels, "items"):
        source = "labels"
        labels = dict(labels.items())
    else:
        raise TypeError(
            "labels must map the name of each bag to its label (a dict or a Series), or be the "
            f"path of a table, or {SUBFOLDERS!r}; got {type(labels).__name__}."
        )
    found = [_label_of(path, labels, source) for path in paths]
    target = np.asarray(found)
    is_text = [isinstance(label, str) for label in found]
    if target.ndim != 1 or target.dtype.kind not in "biufU" or any(is_text) != all(is_text):
        i = is_text.index(not is_text[0]) if any(is_text) != all(is_text) else 0
        raise DataFileError(
            paths[i], f"its label is {found[i]!r}; labels must all be numbers or all be strings."
        )
    return target


def _label_of(path, labels, source):
    for name in (path.stem, path.name):
        if name in labels and not _is_missing(labels[name]):
            return labels[name]
    raise DataFileError(
        path,
        f"it has no label: {source} has none for {path.stem!r}, but for "
        f"{', '.join(map(repr, islice(labels, 3))) or 'nothing'} and so on. Add one, or leave the "
        "file out with pattern.",
    )


def _is_missing(label):
    if isinstance(label, (float, np.floating)):
        return bool(np.isnan(label))
    return label is None or type(label).__name__ == "NAType"


def _read_table(path, id_column, label_column):
    """Return a dict from the name of a bag to its label."""
    names, words = [], []
    separator = "\t" if inner_suffix(path) == ".tsv" else ","
    with open_rows(path, separator) as rows:
        columns = next(rows)
        if id_column is None:
            id_column = next((name for name in ID_COLUMNS if name in columns), ID_COLUMNS[0])
        for role, name in [("id", id_column), ("label", label_column)]:
            if columns.count(name) != 1:
                problem = "two columns" if name in columns else "no column"
                raise ValueError(
                    f"{problem} {name!r}; {spell(columns)}. Name the right one with {role}_column."
                )
        at_id, at_label = columns.index(id_column), columns.index(label_column)
        for fields in rows:
            check_width(fields, columns)
            if fields[at_id] and fields[at_label] not in MISSING:
                names.append(fields[at_id])
                words.append(fields[at_label])
    with errors_name(path):
        values = plain_labels(words)
        if values.dtype == object:
            values = string_array(values, "label")
        labels = {}
        for name, label in zip(names, values.tolist(), strict=True):
            if labels.setdefault(name, label) != label:
                raise ValueError(f"{name!r} has two different labels.")
        return labels
