"""Long tables: one row per instance, and a column that names its bag."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmil.bags._tables import column_names, numeric_table, refuse_non_finite


def read_frame(
    frame: Any, bag: Any, label: Any
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[Any] | None, NDArray[Any] | None]:
    """Return instances, offsets, feature names and labels; see `Bags.from_frame`."""
    roles = [bag] if label is None else [bag, label]
    missing = [name for name in roles if name not in frame.columns]
    if missing:
        raise ValueError(
            f"The frame has no column {missing[0]!r}; its columns are {list(frame.columns)}."
        )
    if len(frame) == 0:
        raise ValueError("The frame has no rows, so there are no bags.")
    identifiers = _complete(
        frame[bag], "Row {row} does not say which bag it belongs to: no value in column {column!r}"
    )
    codes = _codes_by_first_appearance(identifiers)
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    features = frame.drop(columns=roles)
    if features.shape[1] == 0:
        raise ValueError(f"The frame has 0 feature columns: nothing but {roles}.")
    instances = numeric_table(features, "The frame")[order]
    refuse_non_finite(instances, offsets)
    y = None if label is None else _one_label_per_bag(frame[label], identifiers, order, offsets)
    return instances, offsets, column_names(features), y


def _one_label_per_bag(
    column: Any, identifiers: NDArray[Any], order: NDArray[np.intp], offsets: NDArray[np.int64]
) -> NDArray[Any]:
    labels = _complete(column, "Row {row} has no label: no value in column {column!r}")[order]
    y = labels[offsets[:-1]]
    differs = np.flatnonzero(labels != np.repeat(y, np.diff(offsets)))
    if len(differs):
        bag = identifiers[order][differs[0]]
        raise ValueError(
            f"Bag {bag!r} has more than one value in the label column {column.name!r}. "
            "A bag has one label: give all its rows the same value."
        )
    return y


def _complete(column: Any, problem: str) -> NDArray[Any]:
    """Return the values of a column; `problem` says what a missing one means."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        where = problem.format(row=missing[0], column=column.name)
        raise ValueError(f"{where}. Fill it in or drop the row.")
    values: NDArray[Any] = column.to_numpy()
    return values


def _codes_by_first_appearance(identifiers: NDArray[Any]) -> NDArray[np.intp]:
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(identifier, len(codes)) for identifier in identifiers])
