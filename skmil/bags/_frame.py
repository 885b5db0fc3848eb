"""Long tables: one row per instance, and a column that names its bag."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmil.bags._grouping import group_rows, one_label_per_bag
from skmil.bags._tables import column_names, numeric_table, refuse_non_finite


def read_frame(
    frame: Any, bag: Any, label: Any, features: Any = None
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[Any] | None, NDArray[Any] | None]:
    """Return instances, offsets, feature names and labels; see `Bags.from_frame`."""
    roles = [bag] if label is None else [bag, label]
    missing = [name for name in roles if name not in frame.columns]
    if missing:
        raise ValueError(
            f"The frame has no column {missing[0]!r}; its columns are {list(frame.columns)}."
        )
    if label is not None and label == bag:
        raise ValueError(f"The bag and the label are both column {bag!r}. Name two columns.")
    if len(frame) == 0:
        raise ValueError("The frame has no rows, so there are no bags.")
    identifiers = _complete(
        frame[bag], "Row {row} does not say which bag it belongs to: no value in column {column!r}"
    )
    order, offsets = group_rows(identifiers)
    table = frame.drop(columns=roles) if features is None else _choose(frame, features, roles)
    if table.shape[1] == 0:
        raise ValueError(f"The frame has 0 feature columns: nothing but {roles}.")
    _refuse_missing(table, identifiers)
    _refuse_text(table)
    instances = numeric_table(table, "The frame")[order]
    refuse_non_finite(instances, offsets)
    y = None
    if label is not None:
        labels = _complete(frame[label], "Row {row} has no label: no value in column {column!r}")
        where = f"the label column {label!r}"
        y = one_label_per_bag(labels[order], offsets, identifiers[order[offsets[:-1]]], where)
    return instances, offsets, column_names(table), y


def _refuse_missing(table: Any, identifiers: NDArray[Any]) -> None:
    """Refuse a feature without a value; `identifiers` name the bag of each row."""
    missing = table.isna().to_numpy()
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise ValueError(
            f"Row {row}, of bag {identifiers[row]!r}, has no value (NaN) in column "
            f"{table.columns[column]!r}. Fill it in, drop the row, or leave the column out with "
            "features=[...]."
        )


def _refuse_text(table: Any) -> None:
    """Refuse a feature that is text; columns of other types are left to `numeric_table`."""
    for i, name in enumerate(table.columns):
        values = table.iloc[:, i]
        if getattr(values.dtype, "kind", "O") not in "biufc":
            text = [value for value in values if _is_text(value)]
            if text:
                raise TypeError(
                    f"Column {name!r} is not numeric: it holds {text[0]!r}. Encode it as numbers, "
                    "or name the columns that are features with features=[...]."
                )


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def _choose(frame: Any, features: Any, roles: list[Any]) -> Any:
    """Return the named columns, in the order in which they are named."""
    if isinstance(features, str):
        raise TypeError(f"features must be a list of column names, got the string {features!r}.")
    names = list(features)
    if not names:
        raise ValueError("features names no column: 0 features. None takes all other columns.")
    all_names = Counter(frame.columns)
    named = Counter(names)
    for name in names:
        if name in roles:
            raise ValueError(
                f"features has the column {name!r}, which holds the bag or the label. Leave it out."
            )
        if name not in all_names:
            raise ValueError(
                f"features has the column {name!r}, which the frame has not; "
                f"its columns are {list(frame.columns)}."
            )
        if named[name] > 1 or all_names[name] > 1:
            raise ValueError(f"The column {name!r} is there twice. Name each feature once.")
    return frame[names]


def _complete(column: Any, problem: str) -> NDArray[Any]:
    """Return the values of a column; `problem` says what a missing one means."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        where = problem.format(row=missing[0], column=column.name)
        raise ValueError(f"{where}. Fill it in or drop the row.")
    values: NDArray[Any] = column.to_numpy()
    return values
