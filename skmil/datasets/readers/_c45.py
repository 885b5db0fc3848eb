"""Files in the format of C4.5, as the Musk data sets are published in."""

from array import array
from pathlib import Path

import numpy as np

from skmil.bags._errors import DataFileError, errors_name
from skmil.datasets.readers._result import read_result
from skmil.datasets.readers._text import (
    Codes,
    gather_bags,
    labels_of_bags,
    parse_name,
    parse_numbers,
    read_lines,
    shorten,
    string_array,
)


def read_c45(path, *, names=None):
    r"""Read bags and their labels from a ``.data`` file in the format of C4.5.

    Parameters
    ----------
    path : str or path-like
        The file, compressed with gzip or not.
    names : str or path-like, default=None
        The ``.names`` file that goes with it, if the features are to get their names. It is
        not looked for: many files of this suffix are descriptions in plain English.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, in float64, in the order in which they first appear.
        target : ndarray of shape (n_bags,)
            The labels: integers if all labels in the file are whole numbers, floats if all
            are numbers, otherwise strings.
        bag_ids : ndarray of str of shape (n_bags,)
            The names of the bags.
        instance_ids : ndarray of str of shape (n_instances,)
            The names of the instances.
        feature_names : list of str or None
            From `names`, otherwise None.
        instance_labels, folds : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If the content of a file is not as described.
    OSError
        If a file cannot be opened.

    Notes
    -----
    Each line of the data is one instance,
    ``bag name,instance name,feature,...,feature,label``, and may end in a period. Everything
    after ``|`` is a comment. All instances of a bag carry its label; their lines need not be
    adjacent. Missing values (``?``) and features that are not numbers are refused.

    The file of names begins with the classes. Then it has an entry ``name: type.`` for the bag
    name, for the instance name and for each feature; lines without a colon continue the entry
    before. Only the names of features are used.

    References
    ----------
    .. [1] J. R. Quinlan, "C4.5: Programs for Machine Learning", Morgan Kaufmann, 1993.
    .. [2] D. Chapman and A. Jain, "Musk (Version 1)", UCI Machine Learning Repository, 1994.
       https://doi.org/10.24432/C5ZK5B

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import read_c45
    >>> path = Path(tempfile.mkdtemp()) / "molecules.data"
    >>> _ = path.write_text(
    ...     "ethanol,ethanol_1,4.5,10,1.\n"
    ...     "ethanol,ethanol_2,4.6,12,1.\n"
    ...     "phenol,phenol_1,0.2,11,0.\n"
    ... )
    >>> data = read_c45(path)
    >>> data.bags
    Bags(2 bags, 3 instances, 2 features, float64)
    >>> data.target.tolist()
    [1, 0]
    >>> data.instance_ids.tolist()
    ['ethanol_1', 'ethanol_2', 'phenol_1']
    """
    path = Path(path)
    instances, bag_codes, instance_names, label_codes = _read_rows(path)
    feature_names = None if names is None else _read_names(Path(names), instances.shape[1])
    with errors_name(path):
        bags, order = gather_bags(instances, bag_codes, feature_names)
        bag_ids = string_array(bag_codes.names, "bag name")
        instance_ids = string_array(instance_names, "instance name")[order]
        target = labels_of_bags(label_codes, order, bags, bag_ids)
    return read_result(bags, target, bag_ids=bag_ids, instance_ids=instance_ids)


def _read_rows(path):
    """Return the features, bag names, instance names and labels of all lines."""
    values, instance_names = array("d"), []
    bag_codes, label_codes = Codes(), Codes()
    n_fields = None
    for number, line in read_lines(path):
        entry = line.partition(b"|")[0].rstrip()
        if not entry:
            continue
        with errors_name(path, f"line {number}"):
            n_values = entry.count(b",") + 1
            if n_fields is None:
                n_fields, first = _check_first(entry, n_values), number
            if n_values != n_fields:
                raise ValueError(
                    f"it has {n_values} values, but line {first} has {n_fields}. "
                    "Every line needs as many."
                )
            bag, instance, *features, label = entry.split(b",")
            values.extend(parse_numbers(features))
            bag_codes.add(parse_name(bag, "bag name"))
            instance_names.append(parse_name(instance, "instance name"))
            # The period ends the entry and is no part of the label.
            label_codes.add(parse_name(label.strip().removesuffix(b"."), "label"))
    if n_fields is None:
        raise DataFileError(path, "it holds no instances.")
    return np.frombuffer(values).reshape(-1, n_fields - 3), bag_codes, instance_names, label_codes


def _check_first(entry, n_values):
    if n_values < 4:
        raise ValueError(
            "a line needs the names of bag and instance, a feature and a label, "
            f"separated by commas, got {shorten(entry)}."
        )
    return n_values


def _read_names(path, n_features):
    """Return the names of the features from a file of names."""
    names = []
    for number, line in read_lines(path):
        entry = line.partition(b"|")[0]
        name, colon, _ = entry.partition(b":")
        if colon:
            with errors_name(path, f"line {number}"):
                names.append(parse_name(name, "name of an attribute"))
    if len(names) != n_features + 2:
        raise DataFileError(
            path,
            f"it names {len(names)} attributes, but the data need {n_features + 2}: "
            f"bag, instance and {n_features} features.",
        )
    return names[2:]
