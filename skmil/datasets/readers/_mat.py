"""MATLAB files of bags, in the layouts that published data sets have."""

import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skmil.bags import Bags, check_bags
from skmil.bags._errors import DataFileError, errors_name
from skmil.datasets.readers._label_column import as_labels, judge_column, read_column
from skmil.datasets.readers._mat_layouts import ROLES, find_layout, separate_role
from skmil.datasets.readers._matlab import read_variables
from skmil.datasets.readers._open import inner_suffix
from skmil.datasets.readers._result import read_result

#: A dense matrix of more bytes than this is held as a sparse one if it is mostly zero.
_LARGE = 1 << 26
_MOSTLY_ZERO = 0.25
#: Smaller matrices are not worth packing.
_LEAST_TO_PACK = 4096


def read_mat(path, *, instance_label_column="auto", n_features=None, sparse="auto"):
    """Read bags and their labels from MATLAB ``.mat`` files of version 5 to 7.

    The names and types of the variables say which of the layouts in use for multiple instance
    data it is, see Notes. Files of version 7.3 are another format and are refused: load them in
    MATLAB and save them with ``save(name, '-v7')``. So are functions and new-style objects.

    Many published files have the label of each instance in the last column of the instances,
    as if it were a feature. A model that is trained with it sees the answer. Such a column is
    dropped, see `instance_label_column`.

    Parameters
    ----------
    path : str, path-like or list of them
        The file, or the three files of the layout in three parts, or the folder with them.
    instance_label_column : {"auto", "last"} or None, default="auto"
        Where the labels of the instances stand among the features. ``"last"``: in the last
        column, which is dropped. None: nowhere; all columns are features. ``"auto"``: in the
        last column if it looks like it, with a warning.
    n_features : int, default=None
        How many features there must be, without the dropped column. None for any number.
    sparse : bool or "auto", default="auto"
        Whether to return the instances as a CSR matrix. ``"auto"`` does if less than a quarter
        of the values are not zero and either the file has a sparse matrix, or a dense one
        would take more than 64 MiB.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags; float32 if all instances are stored so, otherwise float64.
        target : ndarray of shape (n_bags,)
            The labels, integers where possible; -1 and 1 become 0 and 1. If there are genuine
            labels of the instances, it is the largest of each bag.
        bag_ids : ndarray of shape (n_bags,) or None
            What the file calls each bag; None for a cell array, where bags have no names.
        instance_ids : ndarray of shape (n_instances,) or None
            What a PRTools dataset calls each instance.
        instance_labels : ndarray of shape (n_instances,) or None
            The labels of the instances, where there are any that do not just repeat those of
            the bags.
        target_design : ndarray of shape (n_bags,) or None
            The labels of the bags as stored, if the last column has genuine labels of the
            instances. It differs from `target` for a bag that was meant to be positive but
            has no witness.
        leak : str or None
            What was in the column that was dropped.
        feature_names : list of str or None
            The names of the columns, where a PRTools dataset has them.
        folds : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If the content of a file is not as described.
    OSError
        If a file cannot be opened.

    Warns
    -----
    UserWarning
        If a column is dropped because ``instance_label_column="auto"`` found it to be labels,
        or is kept although it looks like labels because the bags are too few to be sure.

    Notes
    -----
    The layouts, where n is the number of all instances:

    - ``features`` of shape (n, n_features), ``labels`` and ``bag_ids`` of n values: the label
      and the bag of each instance, as in the files of elephant, fox and tiger [1]_.
    - ``X`` of shape (n, n_features), ``Bag`` of n numbers: the bag of each instance, from 1;
      and ``bagI``: the label of each bag. They are in one file or in three. Names that begin
      with ``Bag`` or ``BagI``, such as ``Bag2``, will do; case does not matter. In a folder,
      the files ``X.mat`` or ``X_*.mat``, ``Bag*.mat`` and ``BagI*.mat`` are read.
    - One cell array with a row for each bag: its instances, of shape (n_instances_of_the_bag,
      n_features), and its label. Often called ``data``.
    - A structure or object of the class ``prdataset`` of PRTools as the MIL toolbox uses it,
      often called ``x``: fields ``data`` of shape (n, n_features); ``lablist``, the names of
      the labels; ``nlab``, for each instance the place of its label in ``lablist``, from 1;
      ``ident.milbag``, the bag of each instance. ``lablist`` may be a cell array of several
      lists, where the last row says which is the current one; ``nlab`` then has a column for
      each. If instances of one bag differ in their labels, ``'negative'`` and ``'positive'``,
      the bag is positive if one of them is.

    Bags keep the order of first appearance.

    The last column is found to be labels if it has two or more values, all of them labels of
    bags, and the largest value in each bag is the label of the bag; of the positive bags, one
    in ten may be without a positive instance. This must also be too much of a coincidence: if
    the bags with the largest value in the column were drawn at random, they would all be
    positive in less than one of a million draws. So a feature that has nothing to do with the
    labels is dropped at most that often, but a last feature that is 0 or 1 and tells positive
    from negative bags without a mistake is dropped too. With less than about twelve positive
    and twelve negative bags it is kept, with a warning if there are five or more of each; it is
    also kept if all bags have one label or if labels are text. If it is known what the file
    holds, say so with `instance_label_column` and `n_features`.

    References
    ----------
    .. [1] S. Andrews, I. Tsochantaridis, T. Hofmann, "Support Vector Machines for
       Multiple-Instance Learning", Advances in Neural Information Processing Systems 15, 2002.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import scipy.io
    >>> from skmil.datasets import read_mat
    >>> cells = np.empty((2, 2), dtype=object)
    >>> cells[0] = np.array([[0.5, 1.5, 0], [2.5, 0.5, 1]]), 1
    >>> cells[1] = np.array([[1.5, 3.5, 0]]), 0
    >>> path = Path(tempfile.mkdtemp()) / "pages.mat"
    >>> scipy.io.savemat(path, {"data": cells}, do_compression=True)
    >>> data = read_mat(path, instance_label_column="last", n_features=2)
    >>> data.bags
    Bags(2 bags, 3 instances, 2 features, float64)
    >>> data.target, data.instance_labels
    (array([1, 0]), array([0, 1, 0]))
    >>> data.leak
    'the last of 3 columns held labels of the instances; it was dropped'
    """
    if instance_label_column not in ("auto", "last", None):
        raise ValueError(
            f"instance_label_column must be 'auto', 'last' or None, got {instance_label_column!r}."
        )
    if sparse not in (True, False, "auto"):
        raise ValueError(f"sparse must be True, False or 'auto', got {sparse!r}.")
    path, variables = _read_all(path)
    with errors_name(path):
        layout = find_layout(path, variables)
        variables.clear()  # what is not part of the bags
        column = _label_column(path, layout, instance_label_column)
        instances = _assemble(layout, column is not None, sparse)
        found, target, leak = _read_labels(layout, column)
        bags = check_bags(
            Bags(instances, layout.offsets, feature_names=_names(layout, column is not None))
        )
        if n_features is not None and bags.n_features != n_features:
            raise ValueError(
                f"there are {bags.n_features} features"
                f"{'' if column is None else ' without the last column'}, not {n_features}. If the "
                "last column holds instance labels, pass instance_label_column='last'; if it "
                "holds a feature, pass None."
            )
        return read_result(
            bags,
            target,
            bag_ids=layout.bag_ids,
            instance_ids=layout.instance_ids,
            instance_labels=layout.instance_labels if found is None else found,
            target_design=None if found is None else layout.target,
            leak=leak,
        )


def _read_all(path):
    """Return the path for messages and the variables of all files."""
    if isinstance(path, (list, tuple)):
        paths = [Path(part) for part in path]
    else:
        path = Path(path)
        paths = _paths_in(path) if path.is_dir() else [path]
    variables = {}
    for part in paths:
        for name, value in read_variables(part, pack=_pack).items():
            if name in variables:
                raise DataFileError(part, "another file has a variable of that name.", repr(name))
            variables[name] = value
    return (paths[0] if len(paths) == 1 else ", ".join(map(str, paths))), variables


def is_mat_folder(folder):
    """Return whether a folder holds bags in three files, as :func:`read_mat` takes them."""
    n_files = sum(inner_suffix(file) == ".mat" for file in Path(folder).iterdir())
    return n_files == 3 and all(len(files) == 1 for files in _found_in(Path(folder)).values())


def _found_in(folder):
    """Return the files of a folder that may be instances, bags of instances, and labels."""
    found = {role: [] for role in ROLES}
    for file in sorted(folder.iterdir()):
        role = separate_role(file.name.split(".")[0])
        if inner_suffix(file) == ".mat" and role is not None:
            found[role].append(file)
    return found


def _paths_in(folder):
    """Return the three files of a folder that make up the bags."""
    found = _found_in(folder)
    for role, name in zip(ROLES, ["X.mat", "Bag*.mat", "BagI*.mat"], strict=True):
        if len(found[role]) != 1:
            raise DataFileError(
                folder, f"there must be one file {name}, but there are {len(found[role])}."
            )
    return [files[0] for files in found.values()]


class _Packed(sp.csc_matrix):
    """A matrix that is dense in the file, but mostly zero."""


def _pack(values, shape):
    """Return a matrix, given column after column, as a sparse one if that is much smaller.

    Negative zeros are kept like other numbers, so that the matrix can be had back bit for bit.
    """
    if len(shape) != 2 or len(values) < _LEAST_TO_PACK:
        return values.reshape(shape, order="F")
    filled = np.flatnonzero(values.view(f"u{values.itemsize}").astype(bool))
    if len(filled) * 8 > len(values):
        return values.reshape(shape, order="F")
    starts = np.searchsorted(filled, np.arange(shape[1] + 1) * shape[0])
    native = values[filled].astype(values.dtype.newbyteorder("="), copy=False)
    return _Packed((native, filled % shape[0], starts), shape=shape)


def _label_column(path, layout, how):
    """Return the last column, in the order of the bags, if it is to be dropped."""
    n_columns = layout.blocks[0].shape[1]
    if how == "last" and n_columns < 2:
        raise ValueError(f"there are {n_columns} columns, so none is left without the last.")
    if how is None or n_columns < 2 or (np.diff(layout.offsets) == 0).any():
        return None
    column = np.concatenate([_last_column(block) for block in layout.blocks])
    column = column if layout.order is None else column[layout.order]
    if how == "last":
        return as_labels(column)
    if not np.isfinite(column).all():
        return None  # it is refused as a feature
    column = as_labels(column)
    verdict = judge_column(column, layout.offsets, layout.target)
    if verdict == "yes":
        _warn(
            f"{path}: the last column is not a feature: it holds labels, in which a model would "
            "see the answer, and is dropped. Pass instance_label_column='last' if that is right, "
            "or None to keep it."
        )
    elif verdict == "maybe":
        _warn(
            f"{path}: the last column may hold labels, in which a model would see the answer, but "
            "with "
            f"{len(layout.target)} bags it cannot be told, so it is kept. Pass "
            "instance_label_column='last' to drop it, or None to keep it."
        )
    return column if verdict == "yes" else None


def _warn(message):
    """Warn, and point at the first caller outside of this package."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("skmil."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _last_column(block):
    last = block[:, -1:]
    return (last.toarray() if sp.issparse(last) else last).ravel()


def _read_labels(layout, column):
    """Return labels of the instances from the dropped column, of the bags, and what it held."""
    if column is None:
        return None, layout.target, None
    found, target = read_column(column, layout.offsets, layout.target)
    what = "the labels of the bags" if found is None else "labels of the instances"
    width = layout.blocks[0].shape[1]
    return found, target, f"the last of {width} columns held {what}; it was dropped"


def _names(layout, without_last):
    names = layout.feature_names
    return names[:-1] if names is not None and without_last else names


def _assemble(layout, without_last, sparse):
    """Return one matrix of all instances, bag after bag."""
    blocks = layout.blocks
    shape = sum(block.shape[0] for block in blocks), blocks[0].shape[1] - without_last
    is_single = all(block.dtype.newbyteorder("=") == np.float32 for block in blocks)
    dtype = np.dtype(np.float32 if is_single else np.float64)
    if _is_to_be_sparse(blocks, shape, dtype.itemsize, sparse):
        parts = [sp.csr_matrix(block[:, : shape[1]], dtype=dtype) for block in blocks]
        instances = sp.vstack(parts, format="csr")
        instances.eliminate_zeros()
        return instances if layout.order is None else instances[layout.order]
    instances = np.zeros(shape, dtype=dtype)
    place = _places(layout.order, shape[0])
    for block, rows in zip(blocks, _rows(blocks), strict=True):
        _fill(instances, block, place[rows])
    return instances


def _rows(blocks):
    stops = np.cumsum([block.shape[0] for block in blocks])
    return [slice(stop - block.shape[0], stop) for block, stop in zip(blocks, stops, strict=True)]


def _places(order, n_instances):
    """Return which instance each row of the file becomes."""
    places = np.arange(n_instances)
    if order is not None:
        places[order] = np.arange(n_instances)
    return places


def _fill(instances, block, places):
    """Put the rows of a matrix in the place of zeros, perhaps without their last column."""
    n_columns = instances.shape[1]
    if sp.issparse(block):
        n_values = block.indptr[n_columns]
        columns = np.repeat(np.arange(n_columns), np.diff(block.indptr[: n_columns + 1]))
        instances[places[block.indices[:n_values]], columns] = block.data[:n_values]
    else:
        instances[places] = block[:, :n_columns]


def _is_to_be_sparse(blocks, shape, itemsize, sparse):
    n_values = shape[0] * shape[1]
    n_filled = sum(b.nnz if sp.issparse(b) else np.count_nonzero(b) for b in blocks)
    is_large = n_values * itemsize > _LARGE
    is_stored = any(sp.issparse(block) and not isinstance(block, _Packed) for block in blocks)
    if sparse is False and is_stored and is_large and 1000 * n_filled < n_values:
        raise ValueError(
            f"a dense matrix of shape {shape} for {n_filled} numbers is refused. Pass sparse=True."
        )
    if sparse == "auto":
        return n_filled < _MOSTLY_ZERO * n_values and (is_stored or is_large)
    return sparse
