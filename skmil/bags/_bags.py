"""The container: many instances a sample, as one matrix and the offsets of the bags in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skmil.bags._frame import read_frame
from skmil.bags._npy import mapped_npy
from skmil.bags._ranges import take_rows
from skmil.bags._storage import load_bags, save_bags
from skmil.bags._stored import MappedRows, StoredRows, is_mapped, is_stored


class Bags:
    """A collection of bags, held as one instance matrix and the offsets of the bags.

    Bag ``i`` is the rows ``offsets[i]:offsets[i + 1]`` of `instances`. The container is
    one-dimensional for scikit-learn: its `shape` is ``(n_bags,)``, splitters index it with
    integers or masks and get another `Bags`.

    Indexing with an integer gives one bag, as a view for a dense matrix. A slice with step
    one shares the memory of the instances too; any other selection copies the chosen rows.

    Dense bags may also stay on the disk, as :meth:`load` and
    :func:`skmil.datasets.read_folder` can leave them. A selection of such bags does not read or
    copy instances: it refers to the same files. One bag is read when it is asked for by its
    integer; to compute with all instances, get the bags into memory with :meth:`in_memory`.
    Selections of sparse bags, of a slice of loaded bags, of bags loaded with ``mmap_mode="c"``
    and of memory maps of your own copy.

    Use :func:`check_bags` to build `Bags` from a list of arrays; the constructor takes the
    two parts as they are and checks only that they fit together.

    Parameters
    ----------
    instances : ndarray, CSR matrix or StoredRows of shape (n_instances, n_features)
        All instances of all bags, bag after bag.
    offsets : array-like of int of shape (n_bags + 1,)
        Where each bag begins, and at the end ``n_instances``.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the columns, for example those of the data frame the bags came from.

    Attributes
    ----------
    instances : ndarray, CSR matrix or StoredRows of shape (n_instances, n_features)
        The instances. Those of bags on the disk are an ``np.memmap`` or rows in files, which
        give an ndarray when they are indexed with a slice or an array of integers.
    offsets : ndarray of int64 of shape (n_bags + 1,)
        The offsets.
    feature_names : ndarray of object of shape (n_features,) or None
        The names of the columns.

    Raises
    ------
    TypeError
        If `instances` is neither a NumPy array nor a CSR matrix nor stored rows.
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
        if not (isinstance(instances, (np.ndarray, StoredRows)) or _is_csr(instances)):
            raise TypeError(
                "instances must be a NumPy array, a SciPy CSR matrix or stored rows, "
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
        *,
        features: Any = None,
    ) -> tuple[Bags, NDArray[Any] | None]:
        """Build bags from a long table: one row per instance, a column that names its bag.

        Rows of a bag need not be adjacent. Bags keep the order in which they first appear,
        ``frame[bag].unique()``; instances keep their order inside the bag.

        Parameters
        ----------
        frame : pandas.DataFrame of shape (n_instances, n_columns)
            The table. Every column other than `bag` and `label` is a feature, unless
            `features` names those to use, and must be numeric.
        bag : column name
            The column that says which bag an instance belongs to.
        label : column name, default=None
            The column with the bag's label, the same in all rows of a bag. None for data
            without labels.
        features : list of column names, default=None
            The columns to use as features, in this order. None takes all that are neither
            the bag nor the label.

        Returns
        -------
        bags : Bags
            The bags, with the names of the feature columns.
        y : ndarray of shape (n_bags,) or None
            The labels of the bags; None if `label` is None.

        Raises
        ------
        ValueError
            If a column, a bag identifier or a label is missing, a bag has two labels, or
            `features` names a column twice.

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
        instances, offsets, names, y = read_frame(frame, bag, label, features)
        return cls(instances, offsets, feature_names=names), y

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, mmap_mode: Literal["r", "c"] | None = "r"
    ) -> Bags:
        """Open bags that `save` wrote, without reading the instances.

        The instances are mapped into memory: a part of them is read from the disk when it is
        looked at, and given up again when memory is short, so that bags can be larger than it.
        (Of sparse bags the columns of the entries are read once, to check them.) All files are
        checked as far as that needs no instance; :func:`check_bags` checks the values.

        Parameters
        ----------
        folder : str or path-like
            The folder.
        mmap_mode : {"r", "c"} or None, default="r"
            ``"r"`` maps the instances, which cannot be changed; with ``"c"`` they can, but
            changes stay in memory; None reads everything into memory at once.

        Returns
        -------
        bags : Bags
            The bags. For what was saved along with them, such as labels, use
            :func:`skmil.datasets.read_saved`.

        Raises
        ------
        skmil.datasets.DataFileError
            If a file is damaged, or does not fit the others.
        OSError
            If the folder or a file cannot be opened.

        Notes
        -----
        A pickle of dense bags, or of a selection such as ``bags[[2, 0]]``, holds only the names
        of the files: workers that joblib or Dask start open them themselves. The files must be
        there where it is unpickled, with the same size and time of change. A slice such as
        ``bags[:10]``, sparse bags and those of another `mmap_mode` are pickled by their values.
        """
        instances, offsets, names = load_bags(folder, mmap_mode)
        return cls(instances, offsets, feature_names=names)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        **arrays: ArrayLike | None,
    ) -> None:
        """Write the bags into a new folder, from which `load` maps them into memory.

        The folder appears under its name only when it is complete. The instances are written
        in blocks, so that memory-mapped bags larger than the memory can be saved as well.

        Parameters
        ----------
        folder : str or path-like
            The folder to create, in one that exists.
        overwrite : bool, default=False
            Whether to replace saved bags of that name. A folder with anything else in it is
            never replaced.
        **arrays : array-like or None
            What to keep along with the bags, by name: arrays of numbers or strings with a row
            for each bag, such as ``target`` and ``bag_ids``, or for each instance, such as
            ``instance_labels``; or published ``folds`` of shape (n_repeats, n_bags).
            :func:`skmil.datasets.read_saved` returns them. None is left out.

        Raises
        ------
        FileExistsError
            If the folder exists already.
        TypeError
            If the instances, or a further array, are neither numbers nor strings.
        ValueError
            If a further array has a row neither for each bag nor for each instance.

        See Also
        --------
        skmil.datasets.read_folder : Pack files with one bag each into such a folder.

        Notes
        -----
        The folder holds ``bags.json`` and plain ``.npy`` files: ``instances.npy``, or
        ``csr_data.npy``, ``csr_indices.npy`` and ``csr_indptr.npy`` for sparse bags;
        ``offsets.npy``; and one for each further array.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from skmil import Bags
        >>> from skmil.datasets import read_saved
        >>> folder = Path(tempfile.mkdtemp()) / "slides"
        >>> bags = Bags(np.eye(3), offsets=[0, 2, 3])
        >>> bags.save(folder, target=["benign", "malignant"])
        >>> Bags.load(folder)
        Bags(2 bags, 3 instances, 3 features, float64, on disk)
        >>> read_saved(folder).target.tolist()
        ['benign', 'malignant']
        """
        save_bags(folder, self.instances, self.offsets, self.feature_names, arrays, overwrite)

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
        dtype: np.dtype[Any] = self.instances.dtype
        return dtype

    def __len__(self) -> int:
        return self.n_bags

    def __sizeof__(self) -> int:
        # Dask asks for it: what is large goes to a worker once instead of with every task.
        x = self.instances
        parts = [x.data, x.indices, x.indptr] if sp.issparse(x) else [x]
        if isinstance(x, StoredRows) or mapped_npy(x) is not None:  # pickled by its name
            parts = []
        n_bytes = sum(int(array.nbytes) for array in (*parts, self.offsets))
        return int(super().__sizeof__()) + n_bytes

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if mapped_npy(self.instances) is not None:
            state["instances"] = MappedRows(self.instances)  # pickles the name of the file
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["instances"], MappedRows):
            state = {**state, "instances": state["instances"].array}
        self.__dict__.update(state)

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
            raise TypeError(
                f"Bags become an object array of bags, not {np.dtype(dtype)}. An estimator "
                "of rows needs BagStatistics, or another transformer of bags, in front of it."
            )
        bags = np.empty(self.n_bags, dtype=object)
        bags[:] = list(self)
        return bags

    def __repr__(self) -> str:
        kind = ", sparse" if sp.issparse(self.instances) else ""
        where = ", on disk" if is_stored(self.instances) else ""
        return (
            f"Bags({self.n_bags} bags, {self.n_instances} instances, "
            f"{self.n_features} features, {self.dtype}{kind}{where})"
        )

    def in_memory(self) -> Bags:
        """Return the bags with all instances in memory.

        Returns
        -------
        bags : Bags
            Bags with the same values, read from the disk; the bags themselves if they are in
            memory already.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from skmil import Bags
        >>> folder = Path(tempfile.mkdtemp()) / "slides"
        >>> Bags(np.eye(3), offsets=[0, 2, 3]).save(folder)
        >>> chosen = Bags.load(folder)[[1, 0, 1]]
        >>> chosen
        Bags(3 bags, 4 instances, 3 features, float64, on disk)
        >>> chosen.in_memory()
        Bags(3 bags, 4 instances, 3 features, float64)
        """
        if sp.issparse(self.instances):
            parts = (self.instances.data, self.instances.indices, self.instances.indptr)
            if not any(is_mapped(part) for part in parts):
                return self
            instances = self.instances.copy()
        elif is_stored(self.instances):
            instances = np.asarray(self.instances[:])
            if not instances.flags.owndata:
                instances = instances.copy()
        else:
            return self
        return self.replace_instances(instances, feature_names=self.feature_names)

    def replace_instances(self, instances: Any, *, feature_names: ArrayLike | None = None) -> Bags:
        """Return bags of the same sizes with other instances.

        Parameters
        ----------
        instances : ndarray, CSR matrix or StoredRows of shape (n_instances, n_columns)
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
        if isinstance(self.instances, StoredRows):
            instances: Any = self.instances.select(first[np.newaxis], (last - first)[np.newaxis])
        else:
            instances = self.instances[first:last]
        offsets = self.offsets[start : stop + 1] - first
        return Bags(instances, offsets, feature_names=self.feature_names)

    def _take(self, indices: NDArray[np.intp]) -> Bags:
        stored = self.instances
        if mapped_npy(stored) is not None:
            stored = StoredRows([stored])
        if isinstance(stored, StoredRows):
            sizes = self.bag_sizes[indices]
            instances: Any = stored.select(self.offsets[:-1][indices], sizes)
            offsets = np.cumsum([0, *sizes], dtype=np.int64)
        else:
            rows, offsets = take_rows(self.offsets, indices)
            instances = self.instances[rows]
        return Bags(instances, offsets, feature_names=self.feature_names)


def _check_offsets(offsets: ArrayLike, n_instances: int) -> NDArray[np.int64]:
    array = np.asarray(offsets)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu":
        raise ValueError(
            "offsets must be a 1-D array of n_bags + 1 integers, "
            f"got shape {array.shape} and dtype {array.dtype}."
        )
    array = array.astype(np.int64, copy=False)
    falls = bool((array[1:] < array[:-1]).any())  # differences could overflow
    if array[0] != 0 or array[-1] != n_instances or falls:
        raise ValueError(
            f"offsets must rise from 0 to the number of instances, {n_instances}; "
            f"they go from {array[0]} to {array[-1]}" + (" and fall in between." if falls else ".")
        )
    return array


def _check_feature_names(names: ArrayLike | None, n_features: int) -> NDArray[Any] | None:
    if names is None:
        return None
    array = np.asarray(names, dtype=object)
    if array.shape != (n_features,):
        raise ValueError(f"{n_features} feature names are needed, got shape {array.shape}.")
    return array


def _is_csr(data: Any) -> bool:
    return bool(sp.issparse(data)) and data.format == "csr"
