"""Instances of an ARFF file, dense or sparse, collected into one matrix."""

from array import array

import numpy as np

from skmil.datasets.readers._arff_syntax import split_values
from skmil.datasets.readers._sparse_rows import SparseRows, parse_indices
from skmil.datasets.readers._text import parse_numbers, shorten


class ArffInstances:
    """The instances, row after row.

    Parameters
    ----------
    features : list of Attribute
        The numeric and nominal attributes that each instance has.

    Attributes
    ----------
    names : list of str
        The names of the features.
    """

    def __init__(self, features):
        self.names = [feature.name for feature in features]
        if not features:
            raise ValueError("there are no features.")
        for feature in features:
            if feature.kind not in ("numeric", "nominal"):
                raise ValueError(
                    f"the feature {feature.name!r} is a {feature.kind} attribute, "
                    "neither numeric nor nominal."
                )
        self._nominal = {
            i: feature for i, feature in enumerate(features) if feature.kind == "nominal"
        }
        self._values = array("d")
        self._sparse_rows = SparseRows()

    def add(self, fields):
        """Add an instance, given the field of each feature."""
        if len(self._sparse_rows.ends) > 1:
            raise ValueError("it is dense, but those before it are sparse. Make all alike.")
        for i, feature in self._nominal.items():
            fields[i] = feature.place(fields[i])
        self._values.extend(parse_numbers(fields, self.names))

    def add_sparse(self, row):
        """Add an instance, given ``{index value, index value, ...}``."""
        if len(self._values):
            raise ValueError("it is sparse, but those before it are dense. Make all alike.")
        if not row.endswith(b"}"):
            raise ValueError(f"the sparse instance has no closing brace: {shorten(row)}.")
        content = row[1:-1].strip()
        pairs = [field.split(None, 1) for field in split_values(content)] if content else []
        if any(len(pair) != 2 for pair in pairs):
            wrong = next(pair for pair in pairs if len(pair) != 2)
            raise ValueError(
                f"an index and a value are needed between commas, got {shorten(b' '.join(wrong))}."
            )
        indices = parse_indices([index for index, _ in pairs])
        if indices and indices[-1] >= len(self.names):
            raise ValueError(
                f"the index {indices[-1]} is too large: {len(self.names)} features are declared."
            )
        values = [value for _, value in pairs]
        for j, i in enumerate(indices):
            if i in self._nominal:
                values[j] = self._nominal[i].place(values[j])
        self._sparse_rows.add(indices, values)

    def matrix(self):
        """Return all instances, as an array or a CSR matrix."""
        if len(self._sparse_rows.ends) > 1:
            return self._sparse_rows.matrix(len(self.names))
        return np.frombuffer(self._values).reshape(-1, len(self.names))

    def nominal_values(self):
        """Return the names of the values of each nominal feature."""
        return {
            feature.name: [value.decode("utf-8", "replace") for value in feature.places]
            for feature in self._nominal.values()
        }
