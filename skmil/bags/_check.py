"""The door: any supported input becomes `Bags`, or an error that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skmil.bags._bags import Bags
from skmil.bags._stored import StoredRows, is_stored
from skmil.bags._tables import (
    HINT,
    as_array,
    as_float,
    column_names,
    is_frame,
    numeric_table,
    refuse_non_finite,
    refuse_width,
    shared_column_names,
    tidy_csr,
)


def check_bags(X: Any) -> Bags:
    """Turn any supported input into valid `Bags`.

    The one place where bags are checked. Dense values stay float32 or float64 as given,
    every other numeric type becomes float64; sparse bags become CSR and stay sparse. Input
    is never modified, and not copied where that can be avoided. Bags on the disk stay there:
    their values are read a block at a time to be checked, and again when they are used.

    Parameters
    ----------
    X : bags
        One of:

        - a list, tuple or object array of 2-D arrays, sparse matrices, data frames or
          torch tensors, each of shape (n_instances, n_features);
        - a 3-D array of shape (n_bags, n_instances, n_features): bags of equal size;
        - :class:`Bags`;
        - a 2-D array, sparse matrix or data frame of shape (n, n_features): **n bags of
          one instance each**. A single bag is ``[bag]``, not ``bag``.

    Returns
    -------
    bags : Bags
        At least one bag, no empty bag, finite values.

    Raises
    ------
    ValueError
        If there is no bag, a bag is empty, not 2-D or as wide as no other, or a value is
        missing, infinite or complex. The message gives the index of the bag.
    TypeError
        If a value is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from skmil import check_bags
    >>> check_bags([np.ones((3, 2)), np.zeros((1, 2))])
    Bags(2 bags, 4 instances, 2 features, float64)
    >>> check_bags(np.ones((5, 2)))
    Bags(5 bags, 5 instances, 2 features, float64)
    >>> check_bags([np.ones((3, 2)), np.zeros((1, 4))])
    Traceback (most recent call last):
        ...
    ValueError: Bag 1 has 4 features, but bag 0 has 2. All bags must have the same features.
    """
    bags = X if isinstance(X, Bags) else _pack(X)
    if bags.n_bags == 0:
        raise ValueError(f"Found no bags (0 samples). {HINT}")
    if bags.n_features == 0:
        raise ValueError(
            f"Found 0 feature(s) (shape={bags.instances.shape}) while a minimum of 1 is required."
        )
    empty = np.flatnonzero(bags.bag_sizes == 0)
    if len(empty):
        raise ValueError(
            f"Bag {empty[0]} is empty: it has 0 instances, as {len(empty)} of {bags.n_bags} bags. "
            "Drop the bag and its label; nothing can be learnt or predicted from it."
        )
    if bags.dtype.kind == "c":
        raise ValueError("Complex data not supported: instances must be real numbers.")
    instances = bags.instances
    if sp.issparse(instances):
        instances = tidy_csr(instances)
    elif isinstance(instances, np.memmap) and is_stored(instances) and not _is_float(instances):
        instances = StoredRows([instances])  # lest as_float convert all at once
    instances = as_float(instances, "The instance matrix")
    if instances is not bags.instances:
        bags = bags.replace_instances(instances, feature_names=bags.feature_names)
    refuse_non_finite(bags.instances, bags.offsets)
    return bags


def _pack(X: Any) -> Bags:
    """Read any input but `Bags` as bags; values are checked later."""
    if isinstance(X, (list, tuple)):
        if len(X) and all(_is_row_of_numbers(x) for x in X):
            return _pack_rows(X)
        return _pack_sequence(X)
    if sp.issparse(X) or is_frame(X):
        return _pack_table(X)
    array = as_array(X, "X")
    if array.ndim == 1 and array.dtype == object:
        return _pack_sequence(array)
    if array.ndim == 3:
        n_bags, bag_size, n_features = array.shape
        offsets = np.arange(n_bags + 1) * bag_size
        flat = array.reshape(n_bags * bag_size, n_features)
        return Bags(as_float(flat, "X"), offsets)
    if array.ndim == 2:
        return _pack_table(array)
    if array.ndim == 0:
        raise ValueError(f"Expected bags, got an object of type {type(X).__name__}. {HINT}")
    raise ValueError(f"Expected bags, got a {array.ndim}-D array of shape {array.shape}. {HINT}")


def _pack_table(table: Any) -> Bags:
    instances = numeric_table(table, "X")
    names = column_names(table)
    return Bags(instances, np.arange(instances.shape[0] + 1), feature_names=names)


def _pack_rows(rows: Sequence[Any]) -> Bags:
    """Read a list of lists of numbers, a 2-D array spelled out."""
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            refuse_width(i, len(row), len(rows[0]))
    return _pack_table(as_array(rows, "X"))


def _pack_sequence(X: Sequence[Any] | NDArray[Any]) -> Bags:
    if len(X) == 0:
        raise ValueError(f"Found no bags (0 samples). {HINT}")
    for i, x in enumerate(X):
        if isinstance(x, Bags):
            raise TypeError(f"Bag {i} is itself a collection of bags. {HINT}")
    tables = [numeric_table(x, f"Bag {i}") for i, x in enumerate(X)]
    for i, table in enumerate(tables):
        if table.shape[1] != tables[0].shape[1]:
            refuse_width(i, table.shape[1], tables[0].shape[1])
        if sp.issparse(table) != sp.issparse(tables[0]):
            raise ValueError(
                f"Bag {i} is {_storage(table)}, but bag 0 is {_storage(tables[0])}. "
                "Make all bags dense or all sparse."
            )
    names = shared_column_names(X)
    offsets = np.concatenate([[0], np.cumsum([table.shape[0] for table in tables])])
    if len(tables) == 1:
        return Bags(tables[0], offsets, feature_names=names)
    stack = sp.vstack(tables, format="csr") if sp.issparse(tables[0]) else np.concatenate(tables)
    return Bags(stack, offsets, feature_names=names)


def _is_row_of_numbers(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and all(np.isscalar(value) for value in data)


def _is_float(instances: Any) -> bool:
    return instances.dtype in (np.float32, np.float64)


def _storage(table: Any) -> str:
    return "sparse" if sp.issparse(table) else "dense"
