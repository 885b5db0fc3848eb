"""Sparse rows from text, collected into one CSR matrix without ever being dense."""

from array import array

import numpy as np
import scipy.sparse as sp

from skmil.datasets.readers._text import parse_numbers, shorten

#: The largest index of a feature: what the programs that write such files can count to.
LARGEST_INDEX = 2**31 - 2


class SparseRows:
    """Rows of index and value pairs.

    Attributes
    ----------
    values : array of float
        The values of all rows.
    indices : array of int
        The columns they are in.
    ends : array of int
        Where in `values` each row ends, after a first 0.
    """

    def __init__(self):
        self.values = array("d")
        self.indices = array("i")
        self.ends = array("q", [0])

    def add(self, indices, values):
        """Add a row: rising indices, and values that are fields of bytes."""
        self.values.extend(parse_numbers(values))
        self.indices.extend(indices)
        self.ends.append(len(self.values))

    def matrix(self, n_features, first=0):
        """Return the rows as a CSR matrix of that width; the first column has index `first`."""
        indices = np.frombuffer(self.indices, dtype=np.int32)
        if first:
            indices -= first
        ends = np.frombuffer(self.ends, dtype=np.int64)
        shape = (len(ends) - 1, n_features)
        return sp.csr_matrix((np.frombuffer(self.values), indices, ends), shape=shape)


def parse_indices(fields):
    """Return the rising indices that the fields of a row hold.

    Parameters
    ----------
    fields : list of bytes
        The fields.

    Returns
    -------
    indices : list of int
        The indices, from 0 to `LARGEST_INDEX`.

    Raises
    ------
    ValueError
        If a field is no such index, or they do not rise.
    """
    if not all(map(bytes.isdigit, fields)):
        wrong = next(field for field in fields if not field.isdigit())
        raise ValueError(f"the index of a feature must be a whole number, got {shorten(wrong)}.")
    if max(map(len, fields), default=0) > len(str(LARGEST_INDEX)):
        fields = [field.lstrip(b"0")[:20] or b"0" for field in fields]
    indices = list(map(int, fields))
    if indices and max(indices) > LARGEST_INDEX:
        raise ValueError(
            f"the index {shorten(fields[indices.index(max(indices))])} of a feature is above "
            f"{LARGEST_INDEX}."
        )
    if sorted(set(indices)) != indices:
        raise ValueError("the indices of the features must rise from each value to the next.")
    return indices
