"""Archives of NumPy arrays: bags as one matrix and the offsets of the bags in it."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skmil.bags import Bags, check_bags
from skmil.bags._errors import DataFileError, errors_name, open_ordinary
from skmil.bags._npy import check_characters, check_npy
from skmil.datasets.readers._result import read_result

_CSR_KEYS = ("csr_data", "csr_indices", "csr_indptr", "csr_shape")
_KEYS = (
    *("instances", *_CSR_KEYS, "offsets", "y", "target"),
    *("bag_ids", "instance_labels", "folds"),
)
#: What reading a damaged archive raises, besides ValueError.
ARCHIVE_DAMAGE = (
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
#: More than this many bytes never come out of one compressed byte.
_MOST_EXPANSION = 1100


def read_npz(path):
    """Read bags and their labels from an ``.npz`` file.

    The file, written by :func:`numpy.savez`, holds the arrays

    - ``instances`` of shape (n_instances, n_features), or the parts of a CSR matrix of that
      shape as ``csr_data``, ``csr_indices``, ``csr_indptr`` and ``csr_shape``;
    - ``offsets`` of shape (n_bags + 1,): bag ``i`` is the rows
      ``offsets[i]:offsets[i + 1]``;
    - ``y``, or ``target``, of shape (n_bags,): the labels;

    and, if at hand, ``bag_ids`` of shape (n_bags,), ``instance_labels`` of shape
    (n_instances,) and ``folds`` of shape (n_repeats, n_bags): in which fold each bag is
    tested, for each repeat. Other arrays are not read. Pickled objects are refused.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags; float32 and float64 as stored, any other type as float64.
        target : ndarray of shape (n_bags,)
            The labels.
        bag_ids, instance_labels, folds : ndarray or None
            As in the file, or None.
        instance_ids, feature_names : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If the content of the file is not as described.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skmil.datasets import read_npz
    >>> path = Path(tempfile.mkdtemp()) / "slides.npz"
    >>> np.savez(path, instances=np.eye(3), offsets=[0, 2, 3], y=["benign", "malignant"])
    >>> data = read_npz(path)
    >>> data.bags
    Bags(2 bags, 3 instances, 3 features, float64)
    >>> data.target.tolist()
    ['benign', 'malignant']
    """
    path = Path(path)
    arrays, names = _read_arrays(path, _KEYS)
    with errors_name(path):
        if "y" not in arrays and "target" in arrays:
            arrays["y"] = arrays["target"]
        missing = [key for key in ("offsets", "y") if key not in arrays]
        if missing:
            raise ValueError(f"the array {missing[0]!r} is missing; there are {names}.")
        instances = arrays["instances"] if "instances" in arrays else _csr_matrix(arrays)
        bags = check_bags(Bags(instances, arrays["offsets"]))
        return read_result(
            bags,
            _check_labels("y", arrays["y"], bags.n_bags, "bag"),
            bag_ids=_optional_labels(arrays, "bag_ids", bags.n_bags, "bag"),
            instance_labels=_optional_labels(
                arrays, "instance_labels", bags.n_instances, "instance"
            ),
            folds=_check_folds(arrays.get("folds"), bags.n_bags),
        )


def _read_arrays(path, keys):
    """Return those of the named arrays that the file has, and the names of all."""
    with open_ordinary(path) as file:  # a file that cannot be opened is another matter
        place = None
        try:
            if file.read(6) == np.lib.format.MAGIC_PREFIX:
                raise ValueError("it is one array without a name")
            file.seek(0)
            arrays = {}
            with zipfile.ZipFile(file) as archive:
                n_file_bytes = path.stat().st_size
                for key in keys:
                    if f"{key}.npy" in archive.namelist():
                        place = f"array {key!r}"
                        arrays[key] = read_member(archive, f"{key}.npy", n_file_bytes)
                names = [name.removesuffix(".npy") for name in archive.namelist()]
            return arrays, names
        except (*ARCHIVE_DAMAGE, ValueError) as error:
            raise DataFileError(
                path,
                f"not a complete .npz file of plain arrays ({error}). "
                "Write it with numpy.savez, without objects.",
                place,
            ) from error


def read_member(archive, name, n_file_bytes):
    """Return one array; the sizes that the archive declares for it are checked first."""
    declared_member(archive, name, n_file_bytes)
    with archive.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    check_characters(array)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def declared_member(archive, name, n_file_bytes):
    """Return shape and type of one array, which can be in the file as far as sizes tell."""
    info = archive.getinfo(name)
    if info.compress_size > n_file_bytes or info.file_size > _MOST_EXPANSION * info.compress_size:
        raise ValueError(
            f"{info.file_size} bytes cannot come out of {min(info.compress_size, n_file_bytes)}"
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compression of type {info.compress_type} is not that of savez")
    with archive.open(info) as member:
        shape, dtype, _ = check_npy(member, info.file_size)
    return shape, dtype


def _csr_matrix(arrays):
    missing = [key for key in _CSR_KEYS if key not in arrays]
    if missing:
        raise ValueError(
            "neither 'instances' nor the four parts of a CSR matrix are there: "
            f"{missing[0]!r} is missing."
        )
    data, indices, indptr, shape = (arrays[key] for key in _CSR_KEYS)
    for key in _CSR_KEYS[1:]:
        if arrays[key].dtype.kind not in "iu":
            raise ValueError(f"{key!r} must hold integers, got {arrays[key].dtype}.")
    if shape.shape != (2,):
        raise ValueError(f"'csr_shape' must hold two integers, got {shape.tolist()}.")
    matrix = sp.csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))
    matrix.check_format(full_check=True)
    matrix.sum_duplicates()
    return matrix


def _check_labels(key, labels, n, what):
    """Return the labels or names of bags or instances, bytes as strings."""
    if labels.shape != (n,):
        raise ValueError(f"{key!r} needs one label per {what}, shape ({n},), got {labels.shape}.")
    if labels.dtype.kind not in "biufUS":
        raise ValueError(f"{key!r} must hold numbers or strings, got {labels.dtype}.")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        i = int(np.flatnonzero(~np.isfinite(labels))[0])
        raise ValueError(f"{key!r} has no label for {what} {i}: {labels[i]}.")
    return labels.astype(str) if labels.dtype.kind == "S" else labels


def _optional_labels(arrays, key, n, what):
    return _check_labels(key, arrays[key], n, what) if key in arrays else None


def _check_folds(folds, n_bags):
    if folds is None:
        return None
    if folds.ndim != 2 or folds.shape[1] != n_bags or len(folds) == 0:
        raise ValueError(
            f"'folds' needs a row for each repeat and a column for each of the "
            f"{n_bags} bags, got shape {folds.shape}."
        )
    if folds.dtype.kind not in "iu" or folds.min() < 0:
        raise ValueError("'folds' must number the folds from 0, in integers.")
    return folds
