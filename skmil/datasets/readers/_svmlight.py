"""Files in the format of SVMlight and LIBSVM, with a bag for every line."""

from array import array
from pathlib import Path

import numpy as np

from skmil.bags._errors import DataFileError, errors_name
from skmil.bags._grouping import one_label_per_bag
from skmil.datasets._layout import check_integer
from skmil.datasets.readers._result import read_result
from skmil.datasets.readers._sparse_rows import LARGEST_INDEX, SparseRows, parse_indices
from skmil.datasets.readers._text import (
    Codes,
    gather_bags,
    parse_name,
    parse_numbers,
    read_lines,
    shorten,
    string_array,
    whole_if_possible,
)

#: More digits than these may not fit into int64.
_MOST_DIGITS = 18


def read_svmlight(path, *, n_features=None, zero_based="auto"):
    r"""Read sparse bags and their labels from a file in the format of SVMlight or LIBSVM.

    Parameters
    ----------
    path : str or path-like
        The file, compressed with gzip or not.
    n_features : int, default=None
        Number of features; None for the largest index in the file. Give it where several
        files belong together, for the last features may be zero in all instances of one.
    zero_based : bool or "auto", default="auto"
        Whether the first feature has the index 0. The format says 1, but some programs write
        0. ``"auto"`` takes a file for one-based unless a 0 occurs in it.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, a CSR matrix of float64, in the order in which they first appear.
        target : ndarray of shape (n_bags,)
            The labels: int64 if all are whole numbers, otherwise float64.
        bag_ids : ndarray of shape (n_bags,)
            The ``qid`` of the bags, int64, or their names, strings.
        instance_ids : ndarray of str of shape (n_instances,) or None
            The names of the instances, where the file has them.
        instance_labels : ndarray of shape (n_instances,) or None
            The labels of the instances, where they differ within a bag.
        feature_names, folds : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If the content of the file is not as described.
    OSError
        If the file cannot be opened.
    TypeError, ValueError
        If `n_features` or `zero_based` is none of the values above.

    Notes
    -----
    Each line is one instance, ``index:value`` for every feature that is not zero, with rising
    indices. What stands before them is one of

    - ``label qid:bag``, where the bag is an integer: the group of a line in a file for
      ranking, here the bag of an instance;
    - ``instance:bag:label``, both names: the layout of the files that Andrews et al. [1]_
      published for Musk, for images of elephants, foxes and tigers, and for texts. It is
      described here as programs that read these files take it.

    The first line decides which. Everything after ``#`` is a comment.

    Each instance carries a label. Usually all those of a bag are the same, copies of its label.
    Where they differ they have to be -1 and 1, or 0 and 1: then they are labels of instances,
    and the label of a bag is the largest of them, 1 if and only if an instance is positive.

    References
    ----------
    .. [1] S. Andrews, I. Tsochantaridis, T. Hofmann, "Support Vector Machines for
       Multiple-Instance Learning", Advances in Neural Information Processing Systems 15, 2002.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import read_svmlight
    >>> path = Path(tempfile.mkdtemp()) / "texts.svm"
    >>> _ = path.write_text(
    ...     "1 qid:7 1:0.5 4:2\n"
    ...     "-1 qid:7 2:1.5\n"
    ...     "-1 qid:9 1:0.25 3:1\n"
    ... )
    >>> data = read_svmlight(path)
    >>> data.bags
    Bags(2 bags, 3 instances, 4 features, float64, sparse)
    >>> data.target.tolist()
    [1, -1]
    >>> data.instance_labels.tolist()
    [1, -1, -1]
    >>> data.bag_ids.tolist()
    [7, 9]
    """
    if n_features is not None:
        check_integer("n_features", n_features, 1, LARGEST_INDEX + 1)
    if not isinstance(zero_based, bool) and zero_based != "auto":
        raise ValueError(f'zero_based must be True, False or "auto", got {zero_based!r}.')
    path = Path(path)
    lines = _read_rows(path)
    instances = _matrix(path, lines, n_features, zero_based)
    with errors_name(path):
        bags, order = gather_bags(instances, lines.bag_codes)
        if lines.instance_names is None:
            bag_ids = np.array(list(lines.bag_codes.names), dtype=np.int64)
            instance_ids = None
        else:
            bag_ids = string_array(lines.bag_codes.names, "bag name")
            instance_ids = string_array(lines.instance_names, "instance name")[order]
        labels = whole_if_possible(np.array(lines.labels))[order]
        target, instance_labels = _two_levels_of_labels(labels, bags, bag_ids)
    return read_result(
        bags,
        target,
        bag_ids=bag_ids,
        instance_ids=instance_ids,
        instance_labels=instance_labels,
    )


class _Lines:
    """What the lines of a file hold; `numbers` says which line each instance was."""

    def __init__(self, names_instances):
        self.rows = SparseRows()
        self.labels = array("d")
        self.numbers = array("q")
        self.bag_codes = Codes()
        self.instance_names = [] if names_instances else None

    def add(self, number, fields):
        if self.instance_names is None:
            label, bag, features = _split_query(fields)
        else:
            instance, bag, label, features = _split_names(fields)
            self.instance_names.append(instance)
        self.bag_codes.add(bag)
        self.labels.extend(parse_numbers([label], ["label"]))
        pairs = [field.partition(b":") for field in features]
        indices = parse_indices([pair[0] for pair in pairs])
        self.rows.add(indices, [pair[2] for pair in pairs])
        self.numbers.append(number)


def _read_rows(path):
    lines = None
    for number, line in read_lines(path):
        fields = line.partition(b"#")[0].split()
        if not fields:
            continue
        with errors_name(path, f"line {number}"):
            if lines is None:
                lines = _Lines(names_instances=b":" in fields[0])
            lines.add(number, fields)
    if lines is None:
        raise DataFileError(path, "it holds no instances.")
    return lines


def _split_query(fields):
    """Return label, bag and features of ``label qid:bag index:value ...``."""
    label, query = fields[0], b"".join(fields[1:2])
    key, _, bag = query.partition(b":")
    digits = bag.removeprefix(b"-")
    if key != b"qid":
        raise ValueError(
            f"the bag of the instance is missing: 'qid:' and an integer after the label, "
            f"got {shorten(query)}."
        )
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise ValueError(f"the bag after 'qid:' must be an integer, got {shorten(bag)}.")
    return label, int(bag), fields[2:]


def _split_names(fields):
    """Return instance, bag, label and features of ``instance:bag:label index:value ...``."""
    head, *features = fields
    parts = head.split(b":")
    if len(parts) != 3:
        raise ValueError(f"it must begin with 'instance:bag:label', got {shorten(head)}.")
    instance, bag, label = parts
    return parse_name(instance, "instance name"), parse_name(bag, "bag name"), label, features


def _matrix(path, lines, n_features, zero_based):
    """Return the features, in columns that count from 0."""
    indices = np.frombuffer(lines.rows.indices, dtype=np.int32)
    if not len(indices):
        if n_features is None:
            raise DataFileError(path, "no instance has a feature. Give n_features.")
        return lines.rows.matrix(n_features)
    if zero_based == "auto":
        zero_based = indices.min() == 0
    first = 0 if zero_based else 1
    if indices.min() < first:
        place = lines.numbers[_row_of(lines.rows, indices.argmin())]
        raise DataFileError(
            path, "the index 0 of a feature needs zero_based=True.", f"line {place}"
        )
    largest = int(indices.max())
    if n_features is not None and largest - first >= n_features:
        place = lines.numbers[_row_of(lines.rows, indices.argmax())]
        raise DataFileError(
            path,
            f"the index {largest} of a feature is too large for n_features={n_features}.",
            f"line {place}",
        )
    width = largest - first + 1 if n_features is None else n_features
    return lines.rows.matrix(int(width), first)


def _row_of(rows, entry):
    return np.searchsorted(np.frombuffer(rows.ends, dtype=np.int64), entry, side="right") - 1


def _two_levels_of_labels(labels, bags, bag_ids):
    """Return the labels of the bags and, where these differ within a bag, of the instances."""
    found = set(np.unique(labels).tolist())
    if not (found <= {-1, 1} or found <= {0, 1}):
        return one_label_per_bag(labels, bags.offsets, bag_ids, "the label"), None
    target = np.maximum.reduceat(labels, bags.offsets[:-1])
    are_copies = (labels == np.repeat(target, bags.bag_sizes)).all()
    return target, None if are_copies else labels
