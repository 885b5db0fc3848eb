"""Rows that say which bag they belong to, put together bag by bag."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def group_rows(
    identifiers: NDArray[Any],
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the order of the rows that puts bag after bag, and the offsets of the bags in it.

    Bags keep the order in which they first appear, and rows keep theirs inside a bag.
    """
    codes = _codes_by_first_appearance(identifiers)
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    return order, offsets.astype(np.int64, copy=False)


def one_label_per_bag(
    labels: NDArray[Any], offsets: NDArray[np.int64], bag_ids: NDArray[Any], where: str
) -> NDArray[Any]:
    """Return the label of each bag, given those of its rows; refuse a bag that has two.

    The rows are bag after bag; an error says that their labels are in `where`.
    """
    y = labels[offsets[:-1]]
    differs = np.flatnonzero(labels != np.repeat(y, np.diff(offsets)))
    if len(differs):
        i = np.searchsorted(offsets, differs[0], side="right") - 1
        bag, first, other = map(_spell, (bag_ids[i], y[i], labels[differs[0]]))
        raise ValueError(
            f"Bag {bag} has more than one value in {where}: {first} and {other}. "
            "A bag has one label: give all its rows the same value."
        )
    return y


def _spell(value: Any) -> str:
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _codes_by_first_appearance(identifiers: NDArray[Any]) -> NDArray[np.intp]:
    if identifiers.dtype == object:  # cannot be sorted in general
        codes: dict[Any, int] = {}
        return np.array([codes.setdefault(identifier, len(codes)) for identifier in identifiers])
    _, first, inverse = np.unique(identifiers, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
