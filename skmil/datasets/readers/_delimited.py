"""Tables as text: rows are lines, and a comma, a tab or another character parts the columns."""

import csv
import io
from array import array
from contextlib import contextmanager
from operator import itemgetter

import numpy as np

from skmil.bags._errors import DataFileError, errors_name
from skmil.datasets.readers._columns import (
    choose_columns,
    may_be_index,
    plain_labels,
    refuse_unnamed,
)
from skmil.datasets.readers._open import read_bytes

#: The role of a first column without a name, as long as it counts the rows.
_INDEX = "index"
_BOOLEANS = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}
#: What says that a value is missing.
MISSING = {"", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"}
_PROBLEMS = {
    "bag": "this row does not say which bag it belongs to",
    "label": "this row has no label",
    "instance": "this row has no name of the instance",
    "instance_label": "this row has no label of the instance",
}


def read_delimited(path, roles, features, *, header, separator):
    """Read the columns of a table from text.

    The lines are read one by one with :mod:`csv` and the values with :class:`float`, so that
    numbers are exact and every error can say where it is.

    Parameters
    ----------
    path : Path
        The file, compressed with gzip or not.
    roles : dict of str to column name
        The columns that are no features.
    features : list of column names or None
        The features; None for all other columns.
    header : bool
        Whether the first line names the columns.
    separator : str
        What stands between two columns.

    Returns
    -------
    columns : Columns
        What is in which column.
    instances : ndarray of shape (n_rows, n_features)
        The features.
    values : dict of str to ndarray of shape (n_rows,)
        The values of the columns that have a role.
    """
    with open_rows(path, separator) as rows:
        columns, numbers, words = _read_lines(rows, roles, features, header)
    with errors_name(path):
        if not numbers:
            raise ValueError("the table has no rows, so there are no bags.")
        index = words.pop(_INDEX, ())
        if any(text != str(row) for row, text in enumerate(index)):
            refuse_unnamed(columns.names[:1], columns.names)
    instances = np.frombuffer(numbers).reshape(-1, len(columns.features))
    return columns, instances, {role: _values(role, words[role]) for role in roles}


@contextmanager
def open_rows(path, separator):
    """Give the rows of a text; errors inside get the number of the line that is being read.

    Parameters
    ----------
    path : Path
        The file, compressed with gzip or not.
    separator : str
        What stands between two columns.

    Yields
    ------
    rows : iterator of list of str
        The values of each line that is not empty; there is at least one.
    """
    content = read_bytes(path)
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise DataFileError(path, "there is a zero byte, so this is no text.", f"line {line}")
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    lines = csv.reader(text, delimiter=separator, strict=True)
    rows = (fields for fields in lines if fields)
    try:
        first = next(rows, None)
        if first is None:
            raise ValueError("the file is empty: there are no columns.")
        yield _chain(first, rows)
    except UnicodeDecodeError:
        raise _not_utf8(path, content) from None
    except (ValueError, csv.Error) as error:
        place = f"line {lines.line_num}" if lines.line_num else None
        raise DataFileError(path, str(error), place) from error


def _read_lines(rows, roles, features, header):
    """Return the columns, the features row after row, and the words in the other columns."""
    names = next(rows)
    if not header:
        first, names = names, list(range(len(names)))
        rows = _chain(first, rows)
    elif features is None and may_be_index(names[0]) and names[0] not in roles.values():
        roles = {**roles, _INDEX: names[0]}
    columns = choose_columns(names, roles, features)
    choose = itemgetter(*columns.features, columns.features[0])  # a tuple even of one feature
    numbers = array("d")
    words = {role: [] for role in columns.roles}
    # A word that occurs again is kept once.
    kept = {role: {} for role in columns.roles}
    booleans = None
    for fields in rows:
        check_width(fields, names)
        if booleans is None:
            booleans = {i for i in columns.features if fields[i] in _BOOLEANS}
        row = _plain_numbers(choose(fields)[:-1])
        if row is None:
            row = [_number(fields[i], columns.names[i], i in booleans) for i in columns.features]
        numbers.extend(row)
        for role, i in columns.roles.items():
            word = fields[i]
            if word in MISSING:
                _refuse_missing(role, word, columns.names[i])
            words[role].append(kept[role].setdefault(word, word))
    return columns, numbers, words


def check_width(fields, names):
    """Refuse a row that has not a value for each column."""
    if len(fields) != len(names):
        raise ValueError(
            f"there are {len(fields)} values for {len(names)} columns. Is the line complete, "
            "is a quotation mark missing, or is the separator another one?"
        )


def _chain(first, rows):
    yield first
    yield from rows


def _plain_numbers(texts):
    """Return the values of a row, or None if not all are plain numbers."""
    joined = "".join(texts)
    if "_" in joined or not joined.isascii():  # float reads 1_000 and the digits of any script
        return None
    try:
        return list(map(float, texts))
    except ValueError:
        return None


def _number(text, name, is_boolean):
    """Return the value of a feature, or say what is wrong with it."""
    if is_boolean and text in _BOOLEANS:
        return _BOOLEANS[text]
    if text.strip() == "":
        raise ValueError(f"there is no value in column {name!r}. Fill it in or drop the row.")
    numbers = _plain_numbers([text])
    if numbers is None:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise ValueError(
            f"{shown!r} is no number, but column {name!r} is neither the bag, nor the label, so "
            "it is a feature. Encode it as numbers, or name the features with features=[...]."
        )
    return numbers[0]


def _refuse_missing(role, word, name):
    shown = f"only {word!r}" if word else "no value"
    raise ValueError(f"{_PROBLEMS[role]}: {shown} in column {name!r}. Fill it in or drop the row.")


def _values(role, words):
    if role in ("label", "instance_label"):
        return plain_labels(words)
    values = np.empty(len(words), dtype=object)
    values[:] = words
    return values


def _not_utf8(path, content):
    for i, line in enumerate(io.BytesIO(content), start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            problem = f"this is not text in UTF-8 ({error.reason}). Convert it."
            return DataFileError(path, problem, f"line {i}")
    return DataFileError(path, "this is not text in UTF-8. Convert it.")
