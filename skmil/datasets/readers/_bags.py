"""One function for every format: the suffix of a file says how to read it."""

import errno
import os
from pathlib import Path

from skmil.bags._errors import DataFileError
from skmil.bags._storage import is_saved
from skmil.datasets._catalogue import load_catalogue
from skmil.datasets.readers._arff import read_arff
from skmil.datasets.readers._c45 import read_c45
from skmil.datasets.readers._folder import is_feature_folder, read_folder
from skmil.datasets.readers._mat import is_mat_folder, read_mat
from skmil.datasets.readers._miproblems import is_miproblems, read_miproblems
from skmil.datasets.readers._npz import read_npz
from skmil.datasets.readers._open import inner_suffix
from skmil.datasets.readers._saved import read_saved
from skmil.datasets.readers._svmlight import read_svmlight
from skmil.datasets.readers._table import read_table

#: Suffix and the reader of such files. Behind it a file may have .gz, if its format is no
#: archive of its own.
READERS = {
    ".arff": read_arff,
    ".csv": read_table,
    ".data": read_c45,
    ".libsvm": read_svmlight,
    ".mat": read_mat,
    ".npz": read_npz,
    ".parquet": read_table,
    ".svm": read_svmlight,
    ".svmlight": read_svmlight,
    ".tsv": read_table,
}
#: What a folder holds, a function that recognises it, and the reader of such folders. The
#: first that fits is taken.
FOLDERS = [
    ("saved bags", is_saved, read_saved),
    ("data.csv, bagids.csv and labels.csv", is_miproblems, read_miproblems),
    ("X.mat, Bag*.mat and BagI*.mat", is_mat_folder, read_mat),
    ("a file of arrays for each bag", is_feature_folder, read_folder),
]


def read_bags(path, **options):
    r"""Read bags from a file or folder of any known format.

    The suffix of a file and the content of a folder say which reader takes it:

    =====================================  ======================================
    ``.csv``, ``.tsv``, ``.parquet``       :func:`~skmil.datasets.read_table`
    ``.npz``                               :func:`~skmil.datasets.read_npz`
    ``.mat``                               :func:`~skmil.datasets.read_mat`
    ``.data``                              :func:`~skmil.datasets.read_c45`
    ``.arff``                              :func:`~skmil.datasets.read_arff`
    ``.svm``, ``.svmlight``, ``.libsvm``   :func:`~skmil.datasets.read_svmlight`
    a folder of :meth:`skmil.Bags.save`    :func:`~skmil.datasets.read_saved`
    ``data.csv``, ``bagids.csv``, ...      :func:`~skmil.datasets.read_miproblems`
    ``X.mat``, ``Bag.mat``, ``BagI.mat``   :func:`~skmil.datasets.read_mat`
    ``.h5``, ``.npy``, ..., one for a bag  :func:`~skmil.datasets.read_folder`
    =====================================  ======================================

    Text and MATLAB files may be compressed with gzip: ``.csv.gz``.

    Parameters
    ----------
    path : str or path-like
        The file or folder.
    **options
        What the reader of this format takes, for example ``bag="molecule"`` for a table.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        What the reader returns, the same for all: ``bags``, ``target``, ``bag_ids``,
        ``instance_ids``, ``instance_labels``, ``feature_names`` and ``folds``. What a
        format does not have is None.

    Raises
    ------
    DataFileError
        If there is no reader for this suffix, or the reader does not understand the file.
    ImportError
        If a package that the reader needs is not installed.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import read_bags
    >>> path = Path(tempfile.mkdtemp()) / "slides.tsv"
    >>> _ = path.write_text("bag\tlabel\tarea\nleft\t1\t0.5\nleft\t1\t0.7\nright\t0\t0.1\n")
    >>> read_bags(path).bags
    Bags(2 bags, 3 instances, 1 features, float64)
    """
    path = Path(path)
    reader = reader_of(path)
    if reader is not None:
        return reader(path, **options)
    if path.is_dir():
        what = "; ".join(holds for holds, _, _ in FOLDERS)
        raise DataFileError(path, f"bags are read from folders with {what}.")
    if not (path.suffix or path.exists()):
        hint = (
            f"; see fetch_dataset({path.name!r})" if path.name in load_catalogue().entries else ""
        )
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT) + hint, str(path))
    raise DataFileError(path, f"bags are read from {suffixes()} files only.")


def reader_of(path):
    """Return the reader of a file or folder, None if there is none.

    Parameters
    ----------
    path : str or path-like
        The file or folder; a file need not exist.

    Returns
    -------
    reader : callable or None
        The function that reads it.
    """
    path = Path(path)
    if path.is_dir():
        return next((reader for _, fits, reader in FOLDERS if fits(path)), None)
    return READERS.get(inner_suffix(path))


def suffixes(reader=None):
    """Return the suffixes of the files that can be read, with commas and "or".

    Parameters
    ----------
    reader : callable, default=None
        Only those that this reader takes; None for all.

    Returns
    -------
    text : str
        For example ``".csv, .tsv or .parquet"``.
    """
    chosen = sorted(s for s, r in READERS.items() if reader is None or r is reader)
    *others, last = chosen
    return f"{', '.join(others)} or {last}" if others else last
