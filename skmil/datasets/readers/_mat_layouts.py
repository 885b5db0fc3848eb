"""The layouts in which MATLAB files hold bags."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmil.bags._errors import errors_name
from skmil.bags._grouping import group_rows, one_label_per_bag
from skmil.datasets.readers._label_column import as_labels, as_names
from skmil.datasets.readers._text import string_array

#: A matrix of more rows than this for one number in the file is damaged.
_MOST_ROWS = 1000
#: So many rows in a cell array need no number, and so many more are fine for each.
_MOST_ROWS_WITHOUT, _MOST_ROWS_IN_CELLS = 100_000, 100


@dataclass
class Layout:
    """What a file holds; instances in the order of the file, all else bag after bag."""

    blocks: list
    offsets: Any
    target: Any
    #: The rows of the file, bag after bag; None if they are in this order already.
    order: Any = None
    bag_ids: Any = None
    instance_ids: Any = None
    instance_labels: Any = None
    feature_names: Any = None


def find_layout(path, variables):
    """Return the bags among the variables of a file, whatever the layout.

    Parameters
    ----------
    path : path-like
        The file, for messages.
    variables : dict
        The variables by name.

    Returns
    -------
    layout : Layout
        The bags.

    Raises
    ------
    ValueError
        If the variables are of no known layout or do not fit together.
    """
    if {"features", "labels", "bag_ids"} <= variables.keys():
        return _instance_table(variables["features"], variables["labels"], variables["bag_ids"])
    parts = [[name for name in variables if separate_role(name) == role] for role in ROLES]
    if all(parts):
        return _separate(*(variables[_only_one(names)] for names in parts))
    datasets = [name for name, value in variables.items() if _is_dataset(value)]
    tables = [name for name, value in variables.items() if _is_cell_table(value)]
    if len(datasets + tables) > 1:  # some may only describe the data
        tables = [name for name in tables if all(map(_is_matrix, variables[name][:, 0]))]
    if datasets or tables:
        name = _only_one(datasets + tables)
        if name in tables:
            return _cell_table(path, name, variables[name])
        with errors_name(path, f"variable {name!r}"):
            return _dataset(variables[name])
    raise ValueError(
        f"the variables {list(variables)} are of no known layout: neither features, labels and "
        "bag_ids, nor X, Bag and BagI, nor a cell array of two columns, nor a PRTools dataset. "
        "If X, Bag and BagI are in files of their own, read all three: their folder, or a list."
    )


#: What the parts of a layout in three parts hold.
ROLES = ("instances", "bags", "labels")


def _only_one(names):
    if len(names) > 1:
        raise ValueError(
            f"each of {', '.join(map(repr, names))} could be what is read. Save one of them only."
        )
    return names[0]


def separate_role(name):
    """Return what a variable or file of the layout in three parts holds, or None.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    role : {"instances", "bags", "labels"} or None
        ``"labels"`` for names that begin with ``BagI``, ``"bags"`` for others that begin with
        ``Bag`` and ``"instances"`` for ``X``, also ``X_`` and more; case does not matter.
    """
    name = name.lower()
    if name.startswith("bag"):
        return "labels" if name.startswith("bagi") else "bags"
    return "instances" if name == "x" or name.startswith("x_") else None


def _instance_table(features, labels, bag_ids):
    """One matrix of all instances, and for each its bag and the label of its bag."""
    features = _matrix(features, "'features'")
    n_instances = features.shape[0]
    bag_ids = as_names(_vector(bag_ids, "'bag_ids'", n_instances))
    labels = as_labels(_vector(labels, "'labels'", n_instances))
    order, offsets, bag_ids = _group(bag_ids)
    target = one_label_per_bag(_ordered(labels, order), offsets, bag_ids, "'labels'")
    return Layout([features], offsets, target, order, bag_ids)


def _separate(instances, bag_numbers, labels):
    """One matrix of all instances, for each the number of its bag, and the labels of the bags."""
    instances = _matrix(instances, "'X'")
    numbers = _vector(bag_numbers, "'Bag'", instances.shape[0])
    labels = as_labels(_vector(labels, "'BagI'"))
    if numbers.dtype.kind not in "iuf" or not np.isin(numbers, np.arange(1, len(labels) + 1)).all():
        raise ValueError(f"'Bag' must number the {len(labels)} bags that 'BagI' labels, from 1.")
    order, offsets, numbers = _group(numbers.astype(np.int64))
    if len(numbers) < len(labels):
        missing = np.setdiff1d(np.arange(1, len(labels) + 1), numbers)
        raise ValueError(f"bag {missing[0]} has a label in 'BagI', but no instance in 'Bag'.")
    return Layout([instances], offsets, labels[numbers - 1], order, numbers)


def _is_cell_table(value):
    return (
        isinstance(value, np.ndarray)
        and value.dtype == object
        and value.ndim == 2
        and value.shape[1] == 2
        and not any(isinstance(cell, dict) for cell in value.flat)
    )


def _cell_table(path, name, cells):
    """A cell array with a row for each bag: its instances and its label."""
    if len(cells) == 0:
        raise ValueError(f"the cell array {name!r} is empty: there are no bags.")
    blocks, labels = [], []
    for i, (instances, label) in enumerate(cells, start=1):
        with errors_name(path, f"variable {name!r}, cell {{{i},1}}"):
            blocks.append(_matrix(instances, "the bag"))
            width = blocks[0].shape[1]
            if blocks[-1].shape[1] != width:
                raise ValueError(
                    f"the bag has {blocks[-1].shape[1]} columns, but the first one has {width}."
                )
        with errors_name(path, f"variable {name!r}, cell {{{i},2}}"):
            values = np.unique(_vector(label, "the label"))
            if len(values) != 1:
                raise ValueError(f"a bag has one label, not {len(values)}.")
            labels.append(values[0])
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(f"the labels in {name!r} are partly numbers and partly text.")
    sizes = [block.shape[0] for block in blocks]
    n_numbers = sum(block.nnz if sp.issparse(block) else block.size for block in blocks)
    if sum(sizes) > _MOST_ROWS_WITHOUT + _MOST_ROWS_IN_CELLS * n_numbers:
        raise ValueError(
            f"the bags in {name!r} have {sum(sizes)} rows for {n_numbers} numbers in the file."
        )
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    are_text = isinstance(labels[0], str)
    target = string_array(labels, "label") if are_text else np.array(labels)
    return Layout(blocks, offsets, as_labels(target))


def _is_dataset(value):
    return isinstance(value, dict) and {"data", "nlab", "lablist", "ident"} <= value.keys()


def _dataset(dataset):
    """The class prdataset of PRTools, as the MIL toolbox of D. Tax uses it."""
    instances = _matrix(dataset["data"], "the field 'data'")
    n_instances = instances.shape[0]
    ident = dataset["ident"]
    if not isinstance(ident, dict) or "milbag" not in ident:
        raise ValueError("the field 'ident' has no 'milbag': it does not say which bag is which.")
    milbag = _text_of_cells(ident["milbag"])
    milbag = as_names(_vector(milbag, "the field 'ident.milbag'", n_instances))
    labels = _dataset_labels(dataset["nlab"], dataset["lablist"], n_instances)
    order, offsets, bag_ids = _group(milbag)
    labels = _ordered(labels, order)
    target = labels[offsets[:-1]]
    is_mixed = (labels != np.repeat(target, np.diff(offsets))).any()
    if is_mixed:
        target = _combined(labels, offsets, _combination_rule(dataset))
    return Layout(
        [instances],
        offsets,
        target,
        order,
        bag_ids,
        _dataset_instance_ids(ident, n_instances, order),
        labels if is_mixed else None,
        _dataset_feature_names(dataset, instances.shape[1]),
    )


def _dataset_labels(nlab, lablist, n_instances):
    """Return the label of each instance: `nlab` is its place in `lablist`, counted from 1."""
    current = 0
    if isinstance(lablist, np.ndarray) and lablist.dtype == object and lablist.ndim == 2:
        # Several lists of labels, one in a row; the last row says which is the current one.
        if lablist.shape[1] < 2 or len(lablist) < 2:
            raise ValueError("the field 'lablist' is damaged.")
        numbers = _vector(lablist[-1, 1], "the current number in the field 'lablist'", 1)
        if numbers[0] not in range(1, len(lablist)):
            raise ValueError("the field 'lablist' does not say which list is the current one.")
        current = int(numbers[0]) - 1
        lablist = lablist[current, 0]
    names = as_labels(_vector(_text_of_cells(lablist), "the field 'lablist'"))
    nlab = _dense(nlab, "the field 'nlab'")
    if sp.issparse(nlab) or len(nlab) != n_instances or nlab.shape[1] <= current:
        raise ValueError(
            f"the field 'nlab' has the shape {nlab.shape} for {n_instances} instances."
        )
    nlab = nlab[:, current]
    wrong = np.flatnonzero(~np.isin(nlab, np.arange(1, len(names) + 1)))
    if len(wrong):
        raise ValueError(
            f"instance {wrong[0] + 1} has no label: 'nlab' is {nlab[wrong[0]]}, and there are "
            f"{len(names)} labels."
        )
    codes = nlab.astype(np.intp) - 1
    if names.dtype.kind == "U":
        return string_array(names.astype(object)[codes], "label")
    return names[codes]


def _combination_rule(dataset):
    """Return how labels of instances make that of their bag; the toolbox's default if not said."""
    user = dataset.get("user")
    for key in ("user", "mil", "combinerule"):
        if isinstance(user, dict) and key in user:
            user = user[key]
    is_text = isinstance(user, np.ndarray) and user.dtype.kind == "U" and user.size == 1
    return str(user.flat[0]) if is_text else "presence"


def _combined(labels, offsets, rule):
    if rule != "presence" or labels.dtype.kind != "U" or not np.isin(labels, _NAMES).all():
        raise ValueError(
            "the instances of a bag differ in their labels. That is read only if the labels are "
            f"'negative' and 'positive' and the rule is 'presence', which here is {rule!r}."
        )
    has_witness = np.logical_or.reduceat(labels == "positive", offsets[:-1])
    return np.array(_NAMES)[has_witness.astype(int)]


_NAMES = ("negative", "positive")


def _dataset_instance_ids(ident, n_instances, order):
    """Return the names of the instances, if there is one for each."""
    names = ident.get("ident")
    if not isinstance(names, np.ndarray) or names.shape not in [(n_instances,), (n_instances, 1)]:
        return None
    return None if names.dtype.kind not in "iuU" else _ordered(as_names(names.ravel()), order)


def _dataset_feature_names(dataset, n_features):
    names = _text_of_cells(dataset.get("featlab"))
    if not isinstance(names, np.ndarray) or names.dtype.kind != "U" or names.size != n_features:
        return None
    names = np.char.strip(names.ravel())
    return names if len(np.unique(names)) == n_features else None


def _text_of_cells(value):
    """Return the strings of a cell array of strings; anything else as it is."""
    is_cells = isinstance(value, np.ndarray) and value.dtype == object and value.size
    if is_cells and all(_is_text(cell) for cell in value.flat):
        return string_array([cell.flat[0] for cell in value.ravel(order="F")], "cell")
    return value


def _is_text(cell):
    return isinstance(cell, np.ndarray) and cell.dtype.kind == "U" and cell.size == 1


def _is_matrix(value):
    return (sp.issparse(value) or isinstance(value, np.ndarray)) and value.dtype.kind in "biuf"


def _matrix(value, what):
    """Return a real matrix, dense or sparse, with checks against sizes that are only declared."""
    if not _is_matrix(value):
        raise ValueError(f"{what} must be a matrix of real numbers.")
    is_sparse = sp.issparse(value)
    if value.ndim != 2:
        raise ValueError(f"{what} must be a matrix, but has {value.ndim} dimensions.")
    if is_sparse and value.shape[0] > _MOST_ROWS * (value.nnz + 1):
        raise ValueError(f"{what} has {value.shape[0]} rows for {value.nnz} numbers in the file.")
    numbers = value.data if is_sparse else value
    is_long = numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8 and numbers.size > 0
    if is_long and (numbers.max() > 2**53 or numbers.min() < -(2**53)):
        raise ValueError(f"{what} has integers beyond 2**53, which are not exact as features.")
    return value


def _dense(value, what):
    value = _matrix(value, what)
    return value.toarray() if sp.issparse(value) and min(value.shape) == 1 else value


def _vector(value, what, n_values=None):
    """Return a row or column, numbers or strings, of so many values."""
    if not (isinstance(value, np.ndarray) and value.dtype.kind == "U"):
        value = _dense(value, what)
    if not isinstance(value, np.ndarray) or value.size != max(value.shape):
        raise ValueError(f"{what} must be one row or column, but has the shape {value.shape}.")
    if n_values is not None and value.size != n_values:
        raise ValueError(f"{what} must have {n_values} values, but has {value.size}.")
    return value.ravel()


def _group(bag_ids):
    """Return rows bag after bag, or None if they are so already; offsets, names."""
    order, offsets = group_rows(bag_ids)
    names = bag_ids[order[offsets[:-1]]]
    return (None if (np.diff(order) == 1).all() else order), offsets, names


def _ordered(values, order):
    return values if order is None else values[order]
