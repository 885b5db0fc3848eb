"""Bags: many instances a sample, stored as one matrix and the offsets of the bags in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

__all__ = ["Bags", "check_bags"]

#: How an error ends that a misread input may have caused.
_HINT = (
    "X is a list of 2-D arrays, one per bag, each of shape (n_instances, n_features). "
    "Reshape your data: x.reshape(1, -1) is a bag of one instance, [x] is one bag."
)


class Bags:
    """A collection of bags, held as one instance matrix and the offsets of the bags.

    Bag ``i`` is the rows ``offsets[i]:offsets[i + 1]`` of `instances`. The container is
    one-dimensional for scikit-learn: its `shape` is ``(n_bags,)``, splitters index it with
    integers or masks and get another `Bags`.

    Indexing with an integer gives one bag, as a view for a dense matrix. A slice with step
    one shares the memory of the instances too; any other selection copies the chosen rows.

    Use :func:`check_bags` to build `Bags` from a list of arrays; the constructor takes the
    two parts as they are and checks only that they fit together.

    Parameters
    ----------
    instances : ndarray or CSR matrix of shape (n_instances, n_features)
        All instances of all bags, bag after bag.
    offsets : array-like of int of shape (n_bags + 1,)
        Where each bag begins, and at the end ``n_instances``.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the columns, for example those of the data frame the bags came from.

    Attributes
    ----------
    instances : ndarray or CSR matrix of shape (n_instances, n_features)
        The instances.
    offsets : ndarray of int64 of shape (n_bags + 1,)
        The offsets.
    feature_names : ndarray of object of shape (n_features,) or None
        The names of the columns.

    Raises
    ------
    TypeError
        If `instances` is neither a NumPy array nor a CSR matrix.
    ValueError
        If the shapes or the offsets do not fit together.

    See Also
    --------
    check_bags : Turn any supported input into `Bags`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmil import Bags
    >>> bags = Bags(np.arange(8.0).reshape(4, 2), offsets=[0, 1, 4])
    >>> bags
    Bags(2 bags, 4 instances, 2 features, float64)
    >>> bags[1]
    array([[2., 3.],
           [4., 5.],
           [6., 7.]])
    >>> bags.bag_sizes
    array([1, 3])
    >>> bags[[1, 1, 0]]
    Bags(3 bags, 7 instances, 2 features, float64)
    """

    ndim = 1

    def __init__(
        self,
        instances: Any,
        offsets: ArrayLike,
        *,
        feature_names: ArrayLike | None = None,
    ) -> None:
        if not (isinstance(instances, np.ndarray) or _is_csr(instances)):
            raise TypeError(
                "instances must be a NumPy array or a SciPy CSR matrix, "
                f"got {type(instances).__name__}. check_bags accepts more."
            )
        if instances.ndim != 2:
            raise ValueError(
                f"instances must be 2-D (n_instances, n_features), got {instances.ndim}-D."
            )
        self.instances = instances
        self.offsets = _check_offsets(offsets, instances.shape[0])
        self.feature_names = _check_feature_names(feature_names, instances.shape[1])

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        bag: Any,
        label: Any = None,
    ) -> tuple[Bags, NDArray[Any] | None]:
        """Build bags from a long table: one row per instance, a column that names its bag.

        Rows of a bag need not be adjacent. Bags keep the order in which they first appear,
        ``frame[bag].unique()``; instances keep their order inside the bag.

        Parameters
        ----------
        frame : pandas.DataFrame of shape (n_instances, n_columns)
            The table. Every column other than `bag` and `label` is a feature and must be
            numeric.
        bag : column name
            The column that says which bag an instance belongs to.
        label : column name, default=None
            The column with the bag's label, the same in all rows of a bag. None for data
            without labels.

        Returns
        -------
        bags : Bags
            The bags, with the names of the feature columns.
        y : ndarray of shape (n_bags,) or None
            The labels of the bags; None if `label` is None.

        Raises
        ------
        ValueError
            If a column, a bag identifier or a label is missing, or a bag has two labels.

        Examples
        --------
        >>> import pandas as pd
        >>> from skmil import Bags
        >>> conformers = pd.DataFrame({
        ...     "molecule": ["ethanol", "ethanol", "phenol", "ethanol"],
        ...     "energy": [0.1, 0.4, 0.2, 0.3],
        ...     "radius": [1.0, 1.5, 2.0, 1.2],
        ...     "active": [1, 1, 0, 1],
        ... })
        >>> bags, y = Bags.from_frame(conformers, bag="molecule", label="active")
        >>> bags
        Bags(2 bags, 4 instances, 2 features, float64)
        >>> y
        array([1, 0])
        """
        roles = [bag] if label is None else [bag, label]
        missing = [name for name in roles if name not in frame.columns]
        if missing:
            raise ValueError(
                f"The frame has no column {missing[0]!r}; its columns are {list(frame.columns)}."
            )
        if len(frame) == 0:
            raise ValueError("The frame has no rows, so there are no bags.")
        identifiers = frame[bag]
        if identifiers.isna().any():
            row = int(np.flatnonzero(identifiers.isna())[0])
            raise ValueError(
                f"Column {bag!r} does not say which bag row {row} belongs to. "
                "Drop the row or name its bag."
            )
        codes = _codes_by_first_appearance(identifiers.to_numpy())
        order = np.argsort(codes, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
        features = frame.drop(columns=roles)
        instances = _numeric_table(features, "The frame")
        bags = check_bags(cls(instances[order], offsets, feature_names=_column_names(features)))
        if label is None:
            return bags, None
        if frame[label].isna().any():
            row = int(np.flatnonzero(frame[label].isna())[0])
            raise ValueError(f"Row {row} has no label in column {label!r}. Drop it or label it.")
        labels = frame[label].to_numpy()[order]
        y = labels[offsets[:-1]]
        differs = np.flatnonzero(labels != np.repeat(y, bags.bag_sizes))
        if len(differs):
            name = identifiers.to_numpy()[order][differs[0]]
            raise ValueError(
                f"Bag {name!r} has more than one value in the label column {label!r}. "
                "A bag has one label: give all its rows the same value."
            )
        return bags, y

    @property
    def n_bags(self) -> int:
        """Number of bags."""
        return len(self.offsets) - 1

    @property
    def n_instances(self) -> int:
        """Number of instances in all bags together."""
        return int(self.instances.shape[0])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.instances.shape[1])

    @property
    def bag_sizes(self) -> NDArray[np.int64]:
        """Number of instances in each bag, shape (n_bags,)."""
        return np.diff(self.offsets)

    @property
    def bag_index(self) -> NDArray[np.int64]:
        """The bag of each instance, shape (n_instances,)."""
        return np.repeat(np.arange(self.n_bags), self.bag_sizes)

    @property
    def shape(self) -> tuple[int]:
        """``(n_bags,)``: one sample per bag."""
        return (self.n_bags,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the instance values."""
        return np.dtype(self.instances.dtype)

    def __len__(self) -> int:
        return self.n_bags

    def __iter__(self) -> Iterator[Any]:
        for i in range(self.n_bags):
            yield self.instances[self.offsets[i] : self.offsets[i + 1]]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):  # scikit-learn's splitters ask for X[indices, ...]
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(
                    "Bags have one axis. Index the bags first, then the instances: bags[i][j]."
                )
            key = key[0]
        if isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_)):
            return self._one_bag(int(key))
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(self.n_bags)
            return self._range(start, max(start, stop))
        indices = np.arange(self.n_bags)[key]
        if indices.ndim != 1:
            raise IndexError(f"Bags are indexed by one axis, got indices of {indices.ndim} axes.")
        return self._take(indices)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return an object array of the bags, so that NumPy never stacks or pads them."""
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(f"Bags become an object array of bags, not {np.dtype(dtype)}.")
        bags = np.empty(self.n_bags, dtype=object)
        bags[:] = list(self)
        return bags

    def __repr__(self) -> str:
        sparse = "" if isinstance(self.instances, np.ndarray) else ", sparse"
        return (
            f"Bags({self.n_bags} bags, {self.n_instances} instances, "
            f"{self.n_features} features, {self.dtype}{sparse})"
        )

    def replace_instances(self, instances: Any, *, feature_names: ArrayLike | None = None) -> Bags:
        """Return bags of the same sizes with other instances.

        Parameters
        ----------
        instances : ndarray or CSR matrix of shape (n_instances, n_columns)
            One row for each instance of these bags, in the same order.
        feature_names : array-like of str of shape (n_columns,), default=None
            Names of the new columns.

        Returns
        -------
        bags : Bags
            The new bags.
        """
        return Bags(instances, self.offsets, feature_names=feature_names)

    def _one_bag(self, i: int) -> Any:
        if not -self.n_bags <= i < self.n_bags:
            raise IndexError(f"Bag {i} of {self.n_bags} bags does not exist.")
        i %= self.n_bags
        return self.instances[self.offsets[i] : self.offsets[i + 1]]

    def _range(self, start: int, stop: int) -> Bags:
        first, last = self.offsets[start], self.offsets[stop]
        return Bags(
            self.instances[first:last],
            self.offsets[start : stop + 1] - first,
            feature_names=self.feature_names,
        )

    def _take(self, indices: NDArray[np.intp]) -> Bags:
        rows, offsets = take_rows(self.offsets, indices)
        return Bags(self.instances[rows], offsets, feature_names=self.feature_names)


def check_bags(X: Any) -> Bags:
    """Turn any supported input into valid `Bags`.

    The one place where bags are checked. Dense values stay float32 or float64 as given,
    every other numeric type becomes float64; sparse bags become CSR and stay sparse. Input
    is never modified, and not copied where that can be avoided.

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
        raise ValueError(f"Found no bags (0 samples). {_HINT}")
    if bags.n_features == 0:
        raise ValueError(
            f"Found 0 feature(s) (shape={bags.instances.shape}) while a minimum of 1 is required."
        )
    empty = np.flatnonzero(bags.bag_sizes == 0)
    if len(empty):
        raise ValueError(
            f"Bag {empty[0]} is empty: it has 0 instances ({len(empty)} such bags in all). "
            "Drop the bag and its label; nothing can be learnt or predicted from it."
        )
    if bags.dtype.kind == "c":
        raise ValueError("Complex data not supported: instances must be real numbers.")
    if bags.dtype not in (np.float32, np.float64):
        instances = _as_float(bags.instances, "The instances")
        bags = bags.replace_instances(instances, feature_names=bags.feature_names)
    _refuse_non_finite(bags)
    return bags


def take_rows(
    offsets: NDArray[np.int64], indices: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the chosen bags, bag after bag, and the offsets among these rows."""
    starts = offsets[:-1][indices]
    sizes = offsets[1:][indices] - starts
    taken = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64, copy=False)
    rows = np.arange(taken[-1]) + np.repeat(starts - taken[:-1], sizes)
    return rows, taken


def _pack(X: Any) -> Bags:
    """Read any input but `Bags` as bags; values are checked later."""
    if isinstance(X, (list, tuple)):
        if len(X) and all(_is_row_of_numbers(x) for x in X):
            return _pack_rows(X)
        return _pack_sequence(X)
    if sp.issparse(X) or _is_frame(X):
        return _pack_table(X)
    array = _as_array(X, "X")
    if array.ndim == 1 and array.dtype == object:
        return _pack_sequence(array)
    if array.ndim == 3:
        n_bags, bag_size, n_features = array.shape
        offsets = np.arange(n_bags + 1) * bag_size
        flat = array.reshape(n_bags * bag_size, n_features)
        return Bags(_as_float(flat, "X"), offsets)
    if array.ndim == 2:
        return _pack_table(array)
    raise ValueError(f"Expected bags, got a {array.ndim}-D array of shape {array.shape}. {_HINT}")


def _pack_table(table: Any) -> Bags:
    instances = _numeric_table(table, "X")
    names = _column_names(table)
    return Bags(instances, np.arange(instances.shape[0] + 1), feature_names=names)


def _pack_rows(rows: Sequence[Any]) -> Bags:
    """Read a list of lists of numbers, a 2-D array spelled out."""
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            _refuse_width(i, len(row), len(rows[0]))
    return _pack_table(_as_array(rows, "X"))


def _pack_sequence(X: Sequence[Any] | NDArray[Any]) -> Bags:
    if len(X) == 0:
        raise ValueError(f"Found no bags (0 samples). {_HINT}")
    tables = [_numeric_table(x, f"Bag {i}") for i, x in enumerate(X)]
    for i, table in enumerate(tables):
        if table.shape[1] != tables[0].shape[1]:
            _refuse_width(i, table.shape[1], tables[0].shape[1])
        if sp.issparse(table) != sp.issparse(tables[0]):
            raise ValueError(
                f"Bag {i} is {_storage(table)}, but bag 0 is {_storage(tables[0])}. "
                "Make all bags dense or all sparse."
            )
    names = _shared_column_names(X)
    offsets = np.concatenate([[0], np.cumsum([table.shape[0] for table in tables])])
    if len(tables) == 1:
        return Bags(tables[0], offsets, feature_names=names)
    stack = sp.vstack(tables, format="csr") if sp.issparse(tables[0]) else np.concatenate(tables)
    return Bags(stack, offsets, feature_names=names)


def _numeric_table(table: Any, what: str) -> Any:
    """Return a 2-D array or CSR matrix of floats; `what` begins the error message."""
    if isinstance(table, Bags):
        raise TypeError(f"{what} is itself a collection of bags. {_HINT}")
    if sp.issparse(table):
        if table.ndim != 2:
            raise ValueError(f"{what} is {table.ndim}-D. {_HINT}")
        matrix = table.tocsr()
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        return _as_float(matrix, what)
    array = _as_array(table, what)
    if array.ndim != 2:
        raise ValueError(f"{what} is {array.ndim}-D, of shape {array.shape}. {_HINT}")
    return _as_float(array, what)


def _as_array(data: Any, what: str) -> NDArray[Any]:
    if hasattr(data, "detach"):  # a torch tensor, on whatever device
        data = data.detach().cpu()
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ValueError(
            f"{what} is not a table: its rows differ in length or nesting. {_HINT}"
        ) from error


def _as_float(data: Any, what: str) -> Any:
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
            f"{what} is not numeric ({error}). Every value must be a number, "
            "the argument must be a string or a number that stands for one."
        ) from error


def _refuse_non_finite(bags: Bags) -> None:
    values = bags.instances if isinstance(bags.instances, np.ndarray) else bags.instances.data
    # The sum is finite when all values are (short of overflow): one pass without a mask.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    finite = np.isfinite(values)
    if finite.all():
        return
    if isinstance(bags.instances, np.ndarray):
        row, column = np.argwhere(~finite)[0]
    else:
        entry = np.flatnonzero(~finite)[0]
        row = np.searchsorted(bags.instances.indptr, entry, side="right") - 1
        column = bags.instances.indices[entry]
    kind = "NaN" if np.isnan(bags.instances[row, column]) else "infinity (inf)"
    i = int(np.searchsorted(bags.offsets, row, side="right")) - 1
    raise ValueError(
        f"Bag {i} contains {kind}: instance {row - bags.offsets[i]}, feature {column}. "
        "Input X must be finite: fill the value in or drop the instance."
    )


def _refuse_width(i: int, width: int, expected: int) -> NoReturn:
    raise ValueError(
        f"Bag {i} has {width} features, but bag 0 has {expected}. "
        "All bags must have the same features."
    )


def _check_offsets(offsets: ArrayLike, n_instances: int) -> NDArray[np.int64]:
    array = np.asarray(offsets)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu":
        raise ValueError(
            "offsets must be a 1-D array of n_bags + 1 integers, "
            f"got shape {array.shape} and dtype {array.dtype}."
        )
    array = array.astype(np.int64, copy=False)
    if array[0] != 0 or array[-1] != n_instances or (np.diff(array) < 0).any():
        raise ValueError(
            f"offsets must rise from 0 to the number of instances, {n_instances}; "
            f"they go from {array[0]} to {array[-1]}"
            + (" and fall in between." if (np.diff(array) < 0).any() else ".")
        )
    return array


def _check_feature_names(names: ArrayLike | None, n_features: int) -> NDArray[Any] | None:
    if names is None:
        return None
    array = np.asarray(names, dtype=object)
    if array.shape != (n_features,):
        raise ValueError(f"{n_features} feature names are needed, got shape {array.shape}.")
    return array


def _column_names(table: Any) -> NDArray[Any] | None:
    """Return the column names of a data frame if all are strings, as scikit-learn does."""
    if not _is_frame(table):
        return None
    names = list(table.columns)
    n_strings = sum(isinstance(name, str) for name in names)
    if 0 < n_strings < len(names):
        raise TypeError(
            "Feature names are only supported if all input features have string names. "
            "Convert them: X.columns = X.columns.astype(str)."
        )
    return np.asarray(names, dtype=object) if n_strings else None


def _shared_column_names(X: Sequence[Any] | NDArray[Any]) -> NDArray[Any] | None:
    first = _column_names(X[0])
    for i, x in enumerate(X):
        names = _column_names(x)
        if (names is None) != (first is None) or (
            names is not None and first is not None and list(names) != list(first)
        ):
            raise ValueError(
                f"Bag {i} does not have the columns of bag 0, in the same order: "
                f"{_spell(names)} instead of {_spell(first)}."
            )
    return first


def _spell(names: NDArray[Any] | None) -> str:
    return "unnamed columns" if names is None else str(list(names))


def _codes_by_first_appearance(identifiers: NDArray[Any]) -> NDArray[np.intp]:
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(identifier, len(codes)) for identifier in identifiers])


def _is_csr(data: Any) -> bool:
    return sp.issparse(data) and data.format == "csr"


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def _is_row_of_numbers(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and all(np.isscalar(value) for value in data)


def _storage(table: Any) -> str:
    return "sparse" if sp.issparse(table) else "dense"
