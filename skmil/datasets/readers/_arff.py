"""Files in Weka's ARFF, with a relation for each bag or a row for each instance."""

import io
from pathlib import Path

from skmil.bags._errors import DataFileError, errors_name
from skmil.datasets.readers._arff_instances import ArffInstances
from skmil.datasets.readers._arff_syntax import read_header, split_values
from skmil.datasets.readers._result import read_result
from skmil.datasets.readers._text import (
    Codes,
    gather_bags,
    labels_of_bags,
    read_lines,
    string_array,
)


def read_arff(path, *, bag=None, label=None):
    r"""Read bags and their labels from an ``.arff`` file of Weka.

    Parameters
    ----------
    path : str or path-like
        The file, compressed with gzip or not.
    bag : str, default=None
        The attribute that names the bag; None for the first one.
    label : str, default=None
        The attribute with the label of the bag; None for the last one.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags in the order in which they first appear, in float64, with the names of
            the features; a CSR matrix if the instances are sparse.
        target : ndarray of shape (n_bags,)
            The labels: integers if all labels in the file are whole numbers, floats if all
            are numbers, otherwise strings.
        bag_ids : ndarray of str of shape (n_bags,)
            The names of the bags.
        feature_names : list of str
            The names of the features.
        nominal_values : dict of str to list of str
            The values of each nominal feature. The instances hold the place of the value in
            this list, from 0, as they do in Weka.
        instance_ids, instance_labels, folds : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If the content of the file is not as described.
    OSError
        If the file cannot be opened.

    Notes
    -----
    In a multi-instance file [1]_ the header declares the name of the bag, a relational
    attribute with the features, and the class::

        @relation molecules
        @attribute molecule {ethanol,phenol}
        @attribute bag relational
          @attribute energy numeric
          @attribute radius numeric
        @end bag
        @attribute class {0,1}
        @data
        ethanol,"4.5,10\n4.6,12",1

    A row of the data is one bag: the second value holds its instances in quotes, separated by
    an escaped line break. Instances may be sparse, ``{1 12}``: then all must be, and what is
    not written is 0 or the first nominal value. With more attributes than these three, `label`
    has to say which is the label; the others are left out.

    In a file without a relational attribute a row is one instance, and all attributes but `bag`
    and `label` are features. Rows of a bag need not be adjacent, and all carry its label.

    Features are numeric or nominal. Missing values (``?``), instance weights and sparse rows of
    whole bags are refused.

    References
    ----------
    .. [1] Weka, "ARFF", https://waikato.github.io/weka-wiki/formats_and_processing/arff/
       and "Multi-instance classification",
       https://waikato.github.io/weka-wiki/multi_instance_classification/

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import read_arff
    >>> path = Path(tempfile.mkdtemp()) / "molecules.arff"
    >>> _ = path.write_text(
    ...     "@relation molecules\n"
    ...     "@attribute molecule {ethanol,phenol}\n"
    ...     "@attribute bag relational\n"
    ...     "  @attribute energy numeric\n"
    ...     "  @attribute radius numeric\n"
    ...     "@end bag\n"
    ...     "@attribute class {0,1}\n"
    ...     "@data\n"
    ...     "ethanol,'4.5,10\\n4.6,12',1\n"
    ...     "phenol,'0.2,11',0\n"
    ... )
    >>> data = read_arff(path)
    >>> data.bags
    Bags(2 bags, 3 instances, 2 features, float64)
    >>> data.feature_names
    ['energy', 'radius']
    >>> data.target.tolist()
    [1, 0]
    """
    path = Path(path)
    lines = read_lines(path)
    attributes = read_header(path, lines)
    with errors_name(path, "header"):
        columns = _Columns(attributes, bag, label)
        instances = ArffInstances(columns.features_among(attributes))
    bag_codes, label_codes = _read_data(path, lines, columns, instances)
    with errors_name(path):
        bags, order = gather_bags(instances.matrix(), bag_codes, instances.names)
        bag_ids = string_array(bag_codes.names, "bag name")
        target = labels_of_bags(label_codes, order, bags, bag_ids)
    return read_result(bags, target, bag_ids=bag_ids, nominal_values=instances.nominal_values())


class _Columns:
    """Which values of a row of the data are the bag, its label and its instances.

    `relation` is the place of the instances of a bag, None if each row is one instance; then
    `features` are the places of its values.
    """

    def __init__(self, attributes, bag, label):
        names = list(attributes)
        self.names = names
        self.relation = _find_relation(attributes)
        if len(names) < 3:
            raise ValueError(f"bag, features and label are needed, there are only {names}.")
        if self.relation is not None and label is None and len(names) > 3:
            raise ValueError(
                f"there are {len(names)} attributes instead of bag, relation and label: say with "
                f"`label` which is the label, for example label={names[-1]!r}."
            )
        self.bag = _find(attributes, names[0] if bag is None else bag)
        self.label = _find(attributes, names[-1] if label is None else label)
        if self.bag == self.label:
            raise ValueError(f"the bag and the label are both {names[self.bag]!r}. Name two.")
        self.bag_attribute = attributes[names[self.bag]]
        self.label_attribute = attributes[names[self.label]]
        self.features = [i for i in range(len(names)) if i not in (self.bag, self.label)]

    def features_among(self, attributes):
        """Return the attributes that are features."""
        if self.relation is None:
            return [attributes[self.names[i]] for i in self.features]
        return list(attributes[self.names[self.relation]].attributes.values())

    def split(self, line):
        """Return the values of a row of the data."""
        if line.startswith(b"{"):
            raise ValueError("sparse rows of whole bags are not read, only sparse instances.")
        return split_values(line, len(self.names))


def _find(attributes, name):
    if name not in attributes:
        first = ", ".join(map(repr, list(attributes)[:6]))
        more = ", ..." if len(attributes) > 6 else "."
        raise ValueError(f"there is no attribute {name!r}; there are {first}{more}")
    if attributes[name].kind in ("relational", "date"):
        raise ValueError(
            f"{name!r} is a {attributes[name].kind} attribute, neither a bag nor a label."
        )
    return list(attributes).index(name)


def _find_relation(attributes):
    kinds = [attribute.kind for attribute in attributes.values()]
    if kinds.count("relational") > 1:
        raise ValueError(f"{kinds.count('relational')} attributes are relational, not one.")
    return kinds.index("relational") if "relational" in kinds else None


def _read_data(path, lines, columns, instances):
    """Add all instances, and return the bag and the label of each."""
    bag_codes, label_codes = Codes(), Codes()
    for number, line in lines:
        if line.startswith(b"%"):
            continue
        with errors_name(path, f"line {number}"):
            values = columns.split(line)
            bag = columns.bag_attribute.check(values[columns.bag])
            label = columns.label_attribute.check(values[columns.label])
            if columns.relation is None:
                instances.add([values[i] for i in columns.features])
                n_added = 1
            else:
                if bag in bag_codes.names:
                    raise ValueError(f"there is a second bag {bag!r}.")
                n_added = _read_relation(
                    path, f"line {number}", values[columns.relation], instances
                )
            for _ in range(n_added):
                bag_codes.add(bag)
                label_codes.add(label)
    if not bag_codes.names:
        raise DataFileError(path, "it holds no bags.")
    return bag_codes, label_codes


def _read_relation(path, place, text, instances):
    """Add the instances of a bag, one a line of the text, and return how many there are."""
    n_added = 0
    for row in map(bytes.strip, io.BytesIO(text)):
        if not row:
            continue
        with errors_name(path, f"{place}, instance {n_added}"):
            if row.startswith(b"{"):
                instances.add_sparse(row)
            else:
                instances.add(split_values(row, len(instances.names)))
        n_added += 1
    if n_added == 0:
        raise ValueError("the bag is empty: it has no instances.")
    return n_added
