"""Bags that stay in their files, one file each."""

from skmil.bags import StoredRows
from skmil.bags._stored import refuse_changed
from skmil.datasets.readers._feature_files import read_rows


def stored_rows(files, dtype):
    """Return the instances of all bags, bag after bag, to be read when they are looked at.

    Parameters
    ----------
    files : list of Declared
        What `declared_by` returned for each file.
    dtype : dtype
        The type of the instances.

    Returns
    -------
    rows : StoredRows
        The instances.
    """
    last = _LastArray()
    return StoredRows([BagFile(file, last) for file in files], dtype=dtype)


class BagFile:
    """The instances of one bag in its file, which is opened anew for each read.

    No handle stays open, so a source can be pickled, and read in other threads and processes.
    Of an array that cannot be read in parts, the one that was read last is kept: it is mostly
    read from its begin to its end.

    Parameters
    ----------
    declared : Declared
        What `declared_by` returned.
    last : _LastArray
        Shared by all files of a folder.
    """

    is_constant = True  # a file that has changed is refused

    def __init__(self, declared, last):
        self._declared = declared._replace(path=declared.path.absolute())
        self._last = last
        self.shape = (declared.n_instances, declared.n_features)
        self.dtype = declared.dtype

    def read(self, first, last):
        """Return rows as they are stored."""
        n_rows = self.shape[0]
        if self._declared.in_parts or last - first == n_rows:
            return read_rows(self._declared, first, last)
        refuse_changed(self._declared.path, self._declared.signature)
        path, array = self._last.item
        if path != self._declared.path:
            array = read_rows(self._declared, 0, n_rows)
            array.flags.writeable = False  # views of it are handed out
            self._last.item = (self._declared.path, array)
        return array[first:last]


class _LastArray:
    """The array that was read last, and the path of its file; never pickled."""

    def __init__(self):
        self.item = (None, None)

    def __reduce__(self):
        return _LastArray, ()
