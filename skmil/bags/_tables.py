"""One table of numbers: reading it from whatever holds it, and refusing what is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skmil.bags._npy import blocks_of
from skmil.bags._stored import StoredRows, release

#: How an error ends that a misread input may have caused.
HINT = (
    "X is a list of 2-D arrays, one per bag, each of shape (n_instances, n_features). "
    "Reshape your data: x.reshape(1, -1) is a bag of one instance, [x] is one bag."
)


def numeric_table(table: Any, what: str) -> Any:
    """Return a 2-D array or CSR matrix of floats; `what` begins the error message."""
    if sp.issparse(table):
        if table.ndim != 2:
            raise ValueError(f"{what} is {table.ndim}-D. {HINT}")
        return as_float(tidy_csr(table.tocsr()), what)
    array = as_array(table, what)
    if array.ndim == 0:
        raise ValueError(f"{what} is no table but of type {type(table).__name__}. {HINT}")
    if array.ndim != 2:
        raise ValueError(f"{what} is {array.ndim}-D, of shape {array.shape}. {HINT}")
    return as_float(array, what)


def tidy_csr(matrix: Any) -> Any:
    """Return a CSR matrix without duplicates and with 32-bit indices where these suffice.

    The solvers behind SVC and LinearSVC take no longer ones, yet SciPy's sparse arrays come
    with them easily. The matrix itself is returned where nothing had to change.
    """
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    is_narrow = matrix.indices.dtype == np.int32 and matrix.indptr.dtype == np.int32
    if is_narrow or max(matrix.nnz, *matrix.shape) > np.iinfo(np.int32).max:
        return matrix
    parts = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return type(matrix)(parts, shape=matrix.shape)


def as_array(data: Any, what: str) -> NDArray[Any]:
    """Return the data as an array of whatever type."""
    if hasattr(data, "detach"):  # a torch tensor, on whatever device
        data = data.detach().cpu()
    try:
        return np.asarray(data)
    except TypeError as error:
        raise TypeError(
            f"{what} cannot be read as an array ({error}). Convert it first: x.float() for a "
            "tensor of an unusual type, x.to_dense() for a sparse one."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{what} is not a table: its rows differ in length or nesting. {HINT}"
        ) from error


def as_float(data: Any, what: str) -> Any:
    """Return the data as float32 or float64, unchanged if it is either already."""
    if data.dtype in (np.float32, np.float64):
        return data
    if data.dtype.kind == "c":
        raise ValueError(f"Complex data not supported. {what} has dtype {data.dtype}.")
    if data.dtype.kind not in "biufO":
        raise TypeError(
            f"{what} is not numeric: its dtype is {data.dtype}. Every value must be a number; "
            "encode categories, dates and text first."
        )
    try:
        return data.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} is not numeric ({error}). Every value must be a number."
        ) from error


def column_names(table: Any) -> NDArray[Any] | None:
    """Return the column names of a data frame if all are strings, as scikit-learn does."""
    if not is_frame(table):
        return None
    names = list(table.columns)
    n_strings = sum(isinstance(name, str) for name in names)
    if 0 < n_strings < len(names):
        raise TypeError(
            "Feature names are only supported if all input features have string names. "
            "Convert them: X.columns = X.columns.astype(str)."
        )
    return np.asarray(names, dtype=object) if n_strings else None


def shared_column_names(X: Sequence[Any] | NDArray[Any]) -> NDArray[Any] | None:
    """Return the column names that all bags have, or None if no bag has names."""
    first = column_names(X[0])
    for i, x in enumerate(X):
        names = column_names(x)
        if (names is None) != (first is None) or (
            names is not None and first is not None and list(names) != list(first)
        ):
            raise ValueError(
                f"Bag {i} does not have the columns of bag 0, in the same order: "
                f"{_spell(names)} instead of {_spell(first)}."
            )
    return first


def refuse_non_finite(instances: Any, offsets: NDArray[np.int64]) -> None:
    """Raise an error that names bag, instance and feature of the first NaN or infinity."""
    found = first_non_finite(instances)
    if found is None:
        return
    row, column, kind = found
    i = int(np.searchsorted(offsets, row, side="right")) - 1
    raise ValueError(
        f"Bag {i} contains {kind}: instance {row - offsets[i]}, feature {column}. "
        "Input X must be finite: fill the value in or drop the instance."
    )


def first_non_finite(instances: Any) -> tuple[int, int, str] | None:
    """Return row, column and kind of the first NaN or infinity, or None if there is none."""
    if isinstance(instances, StoredRows) and _first_non_finite(instances.unchecked()) is None:
        instances.remember_finite()
        return None
    is_sparse = sp.issparse(instances)
    found = _first_non_finite(instances.data if is_sparse else instances)
    if found is None:
        return None
    place, value = found
    row, column = _place(instances, place[0]) if is_sparse else place
    return row, column, "NaN" if np.isnan(value) else "infinity (inf)"


def _first_non_finite(values: Any) -> tuple[tuple[int, ...], float] | None:
    """Return where the first NaN or infinity stands, and which of them it is."""
    start = 0
    for block in blocks_of(values):
        # The sum is finite when all values are (short of overflow): one pass without a mask.
        with np.errstate(over="ignore", invalid="ignore"):
            is_good = np.isfinite(block.sum()) or np.isfinite(block).all()
        if not is_good:
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(block))[0])
            return (start + first[0], *first[1:]), float(block[first])
        start += len(block)
        release(values)
    return None


def _place(matrix: Any, entry: int) -> tuple[int, int]:
    """Return row and column of a stored entry of a CSR matrix."""
    row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
    return row, int(matrix.indices[entry])


def refuse_width(i: int, width: int, expected: int) -> NoReturn:
    """Raise the error for a bag of another width than the first."""
    raise ValueError(
        f"Bag {i} has {width} features, but bag 0 has {expected}. "
        "All bags must have the same features."
    )


def is_frame(data: Any) -> bool:
    """Return whether the data is a data frame, of pandas or alike."""
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def _spell(names: NDArray[Any] | None) -> str:
    return "unnamed columns" if names is None else str(list(names))
