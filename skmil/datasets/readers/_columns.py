"""What tables have in common: which column is what, and what its text means."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from skmil.bags import Bags, check_bags
from skmil.bags._grouping import group_rows, one_label_per_bag
from skmil.datasets.readers._result import read_result
from skmil.datasets.readers._text import string_array

#: Names that pandas gives a column without one, when it reads or writes an index.
_INDEX_NAME = re.compile(r"(|Unnamed: [0-9]+(\.[0-9]+)?|__index_level_[0-9]+__)", re.ASCII)
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})", re.ASCII)
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_TRUE = ("True", "TRUE", "true")
_FALSE = ("False", "FALSE", "false")


class Columns(NamedTuple):
    """Which columns of a table to read.

    Parameters
    ----------
    names : list
        Names of all columns; integers for those of a table without a header.
    features : list of int
        The positions of the features.
    roles : dict of str to int
        The positions of the columns that are no features: ``"bag"``, ``"label"``,
        ``"instance"`` and ``"instance_label"``, as far as they are asked for.
    """

    names: list
    features: list
    roles: dict

    @property
    def feature_names(self):
        """Names of the features, None for those of a table without a header."""
        names = [self.names[i] for i in self.features]
        return names if all(isinstance(name, str) for name in names) else None


def choose_columns(names, roles, features=None):
    """Say which columns of a table to read.

    Parameters
    ----------
    names : list
        Names of all columns.
    roles : dict of str to column name
        The columns that are no features.
    features : list of column names, default=None
        The columns to use, in this order; None for all without a role.

    Returns
    -------
    columns : Columns
        The choice.

    Raises
    ------
    ValueError
        If a column is not there or there twice.
    """
    positions = {name: i for i, name in enumerate(names)}
    for role, name in roles.items():
        if name not in positions:
            raise ValueError(
                f"no column {name!r} for the {role.replace('_', ' ')}; there are "
                f"{_first(names)}. {_advice(role, names)}"
            )
    if len(positions) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"two columns have the name {twice!r}. Rename one.")
    shared = [name for name, count in Counter(roles.values()).items() if count > 1]
    if shared:
        first, second = [role.replace("_", " ") for role in roles if roles[role] == shared[0]][:2]
        raise ValueError(f"the {first} and the {second} are both column {shared[0]!r}. Name two.")
    if features is None:
        used = set(roles.values())
        chosen = [name for name in names if name not in used]
        refuse_unnamed(chosen, names)
    else:
        chosen = _check_features(features, positions, roles)
    if not chosen:
        raise ValueError(f"there are 0 feature columns: nothing but {_first(names)}.")
    return Columns(
        names,
        [positions[name] for name in chosen],
        {role: positions[name] for role, name in roles.items()},
    )


def may_be_index(name):
    """Return whether a column of this name may be an index that pandas has written."""
    return isinstance(name, str) and _INDEX_NAME.fullmatch(name) is not None


def refuse_unnamed(chosen, names):
    """Refuse features that may be an index.

    Parameters
    ----------
    chosen : list of column names
        The features.
    names : list
        Names of all columns.
    """
    for name in chosen:
        if may_be_index(name):
            raise ValueError(
                f"column {names.index(name)} (counted from 0) has no name, or one that pandas "
                f"makes up: {name!r}. If it is an index, write the table with index=False; "
                "otherwise name the columns to use with features=[...]."
            )


def bags_of_table(columns, instances, values):
    """Put the rows of a table together bag by bag.

    Parameters
    ----------
    columns : Columns
        What the table has.
    instances : ndarray of shape (n_rows, n_features)
        The features.
    values : dict of str to ndarray of shape (n_rows,)
        The values in the columns that have a role, without missing ones: strings as
        objects, or numbers.

    Returns
    -------
    data : Bunch
        The result of a reader.

    Raises
    ------
    ValueError
        If a bag has two labels, or its instances cannot be used.
    """
    identifiers = values["bag"]
    order, offsets = group_rows(identifiers)
    bag_ids = identifiers[order[offsets[:-1]]]
    target = None
    if "label" in values:
        where = f"the label column {columns.names[columns.roles['label']]!r}"
        target = _plain(one_label_per_bag(values["label"][order], offsets, bag_ids, where), "label")
    if (np.diff(order) != 1).any():
        instances = instances[order]
    bags = check_bags(Bags(instances, offsets, feature_names=columns.feature_names))
    return read_result(
        bags,
        target,
        bag_ids=_plain(bag_ids, "bag"),
        instance_ids=_in_order(values.get("instance"), order, "instance"),
        instance_labels=_in_order(values.get("instance_label"), order, "label"),
    )


def plain_labels(values):
    """Return labels given as text: booleans, integers or numbers if all are, else strings.

    A number with a leading zero, such as 007, is a name and stays text.
    """
    codes = {}
    index = np.array([codes.setdefault(value, len(codes)) for value in values], dtype=np.intp)
    texts = [text.strip() for text in codes]
    if all(text in _TRUE + _FALSE for text in texts):
        labels = np.array([text in _TRUE for text in texts])
    elif all(_INTEGER.fullmatch(text) for text in texts):
        labels = np.array([int(text) for text in texts], dtype=np.int64)
    elif all(_REAL.fullmatch(text) and _is_number(text) for text in texts):
        labels = np.array([float(text) for text in texts])
    else:
        labels = np.array(list(codes), dtype=object)
    return labels[index]


def _plain(values, what):
    """Return strings that are objects as an array of strings, and numbers as they are."""
    return string_array(values, what) if values.dtype == object else values


def _is_number(text):
    value = float(text)
    return value == 0 or (np.isfinite(value) and not _has_leading_zero(text))


def _has_leading_zero(text):
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()


def _in_order(values, order, what):
    return None if values is None else _plain(values[order], what)


def _check_features(features, positions, roles):
    if isinstance(features, str):
        raise ValueError(f"features must be a list of column names, got the string {features!r}.")
    features = list(features)
    named = Counter(features)
    used = {name: role for role, name in roles.items()}
    for name in features:
        if name not in positions:
            raise ValueError(f"no column {name!r} for a feature; there are {_first(positions)}.")
        if name in used:
            raise ValueError(f"column {name!r} is the {used[name]}, so it is no feature.")
        if named[name] > 1:
            raise ValueError(f"features has column {name!r} twice. Name each feature once.")
    return features


def _advice(role, names):
    if all(isinstance(name, int) for name in names):
        return f"Columns of a table without a header are numbered from 0: {role}=0, for example."
    if names and all(_REAL.fullmatch(name) for name in names):
        return (
            "Is there no header? Add one, or read with header=False and the numbers of the "
            "columns, from 0: bag=0, label=1."
        )
    if any(mark in name for name in names for mark in ";\t|"):
        return (
            "Is the separator another one than a comma? Pass separator=';' or what it is. Files "
            "with tabs have the suffix .tsv."
        )
    option = f" (--{role}-column)" if role in ("bag", "label") else ""
    unlabelled = " For bags without labels give label=None." if role == "label" else ""
    return f"Name the right one with {role}=...{option}.{unlabelled}"


def _first(names, most=6):
    names = list(names)
    shown = ", ".join(_shorten(repr(name)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _shorten(text, most=60):
    return text if len(text) <= most else text[: most - 3] + "..."
