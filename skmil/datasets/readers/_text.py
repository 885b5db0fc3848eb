"""What text formats have in common: lines, numbers, names, labels, and rows that become bags."""

import io
import math
from array import array

import numpy as np

from skmil.bags import Bags, check_bags
from skmil.bags._grouping import one_label_per_bag
from skmil.datasets.readers._open import BYTE_ORDER_MARK, read_bytes

#: Whole numbers below this one are exact in float64, and no others are rounded to them.
_EXACT = 2**53


def read_lines(path):
    """Yield the number, from 1, and the content of every line of a file that is not blank.

    Parameters
    ----------
    path : str or path-like
        The file, compressed with gzip or not.

    Yields
    ------
    number : int
        The number of the line.
    line : bytes
        What is on it, without blanks at either end.
    """
    for number, line in enumerate(io.BytesIO(read_bytes(path)), 1):
        content = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        if content := content.strip():
            yield number, content


def parse_numbers(fields, names=None):
    """Return the finite decimal numbers that the fields of a row hold.

    Parameters
    ----------
    fields : list of bytes
        The fields. Blanks around a number are fine; what else Python takes for a number, as
        ``1_000``, ``nan`` or ``inf``, is not.
    names : sequence of str, default=None
        What an error calls the fields; None counts them from 1.

    Returns
    -------
    numbers : list of float
        The numbers.

    Raises
    ------
    ValueError
        If a field is not a finite number.
    """
    try:
        numbers = list(map(float, fields))
        # The sum is finite when all numbers are, short of overflow.
        if math.isfinite(sum(numbers)) and b"_" not in b"".join(fields):
            return numbers
    except ValueError:
        pass
    for i, field in enumerate(fields):
        problem = _problem_of_number(field)
        if problem is not None:
            what = f"value {i + 1}" if names is None else f"the value of {names[i]!r}"
            raise ValueError(f"{what} {problem}: {shorten(field)}.")
    return numbers


def _problem_of_number(field):
    """Say what is wrong with a number, or return None."""
    if field.strip() in (b"", b"?"):
        return "is missing"
    try:
        number = float(field)
    except ValueError:
        return "is not a number"
    if b"_" in field:
        return "is not a number"
    return None if math.isfinite(number) else "is not finite"


def parse_name(field, what):
    """Return a name as a string; an error calls it `what`."""
    try:
        name = field.strip().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the {what} is not text in UTF-8: {shorten(field)}.") from error
    if not name:
        raise ValueError(f"the {what} is empty.")
    if "\0" in name:  # NumPy takes a final one for padding
        raise ValueError(f"the {what} holds a zero byte: {shorten(field)}.")
    return name


def shorten(field, most=40):
    """Return the first characters of a field, quoted, for an error message."""
    shown = repr(field[:most].decode("utf-8", "replace"))
    return shown if len(field) <= most else f"{shown[:-1]}...'"


class Codes:
    """Names in the order in which they first appear, and which of them each row has.

    Attributes
    ----------
    names : dict of str to int
        Every name and its place among the names.
    index : array of int
        For each row the place of its name.
    """

    def __init__(self):
        self.names = {}
        self.index = array("q")

    def add(self, name):
        """Note the name of one more row."""
        self.index.append(self.names.setdefault(name, len(self.names)))


def string_array(names, what):
    """Return names as an array of strings.

    Each string takes the room of the longest, so that one very long name could ask for far more
    memory than the file has bytes. That is refused.

    Parameters
    ----------
    names : collection of str
        The names.
    what : str
        What an error calls such a name.

    Returns
    -------
    names : ndarray of str
        The same names.

    Raises
    ------
    ValueError
        If one is very much longer than the others.
    """
    names = list(names)
    longest = max(map(len, names), default=0)
    if longest * len(names) > 32 * sum(map(len, names)) + (1 << 20):
        raise ValueError(
            f"one {what} is a text of {longest} characters, many times more than most others "
            "have. Is a quotation mark missing?"
        )
    return np.array(names, dtype=str)


def parse_labels(names):
    """Return labels as integers if all are whole numbers, as floats if numbers, or as strings.

    Parameters
    ----------
    names : collection of str
        The labels as the file has them.

    Returns
    -------
    labels : ndarray of int64, float64 or str
        The labels.
    """
    try:
        numbers = [_parse_label(name) for name in names]
    except ValueError:
        return string_array(names, "label")
    return whole_if_possible(np.array(numbers, dtype=np.float64))


def _parse_label(name):
    number = float(name)
    if "_" in name or not name.isascii() or not abs(number) < _EXACT:
        raise ValueError
    return number


def whole_if_possible(numbers):
    """Return numbers as int64 if all are whole and exact, else as they are."""
    whole = np.abs(numbers) < _EXACT
    whole &= numbers == np.floor(numbers)
    return numbers.astype(np.int64) if whole.all() else numbers


def gather_bags(instances, bag_codes, feature_names=None):
    """Gather rows into bags; those of one bag need not be adjacent.

    Parameters
    ----------
    instances : ndarray or CSR matrix of shape (n_instances, n_features)
        One instance a row. An array is used as it is, and reordered in place.
    bag_codes : Codes
        The bag of each row.
    feature_names : list of str, default=None
        Names of the columns.

    Returns
    -------
    bags : Bags
        The bags in the order in which they first appear.
    order : ndarray of int of shape (n_instances,) or slice
        Which row each instance was.
    """
    index = np.array(bag_codes.index)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(index))]).astype(np.int64)
    if (np.diff(index) >= 0).all():
        order = slice(None)
    else:
        order = np.argsort(index, kind="stable")
        instances = _reorder(instances, order)
    return check_bags(Bags(instances, offsets, feature_names=feature_names)), order


def _reorder(instances, order):
    """Return the rows in another order: those of an array in place, a few columns at a time."""
    if not isinstance(instances, np.ndarray):
        return instances[order]
    n_features = instances.shape[1]
    step = -(-n_features // 8)
    for first in range(0, n_features, step):
        instances[:, first : first + step] = instances[order, first : first + step]
    return instances


def labels_of_bags(label_codes, order, bags, bag_ids):
    """Return the one label of each bag.

    Parameters
    ----------
    label_codes : Codes
        The label of each row.
    order : ndarray of int of shape (n_instances,) or slice
        Which row each instance was.
    bags : Bags
        The bags.
    bag_ids : ndarray of shape (n_bags,)
        What an error calls them.

    Returns
    -------
    target : ndarray of int64, float64 or str of shape (n_bags,)
        The labels, see `parse_labels`.

    Raises
    ------
    ValueError
        If the instances of a bag carry different labels.
    """
    labels = parse_labels(label_codes.names)
    is_text = labels.dtype.kind == "U"
    if is_text:  # as objects all instances share a text, however long it is
        labels = labels.astype(object)
    rows = labels[np.array(label_codes.index)[order]]
    target = one_label_per_bag(rows, bags.offsets, bag_ids, "the label")
    return string_array(target, "label") if is_text else target
