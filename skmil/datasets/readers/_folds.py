"""Folds that were published with a data set."""

from pathlib import Path

import numpy as np

from skmil.bags._errors import DataFileError
from skmil.datasets.readers._numbers import read_integers


def read_folds_csv(path, n_bags):
    r"""Read the folds of repeated cross-validation from text.

    The file has one line for each repeat and in it one number for each bag, in the order in
    which the bags come: the fold in which this bag is tested. Folds are numbered from 0 or
    from 1, without gaps; the numbers are returned as they are.

    Parameters
    ----------
    path : str or path-like
        The file, compressed with gzip or not; a comma, a tab or blanks between the numbers.
    n_bags : int
        The number of bags.

    Returns
    -------
    folds : ndarray of int64 of shape (n_repeats, n_bags)
        In which fold each bag is tested, for each repeat.

    Raises
    ------
    DataFileError
        If the content of the file is not as described.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets.readers._folds import read_folds_csv
    >>> path = Path(tempfile.mkdtemp()) / "folds_2x3.csv"
    >>> _ = path.write_text("0,1,2,2,1\n2,1,0,1,0\n")
    >>> read_folds_csv(path, n_bags=5)
    array([[0, 1, 2, 2, 1],
           [2, 1, 0, 1, 0]])
    """
    path = Path(path)
    folds = read_integers(path)
    if folds.shape[1] != n_bags:
        raise DataFileError(
            path, f"there are folds for {folds.shape[1]} bags, but there are {n_bags} bags."
        )
    for repeat, row in enumerate(folds):
        numbers = np.unique(row)
        if numbers[0] not in (0, 1) or len(numbers) != numbers[-1] - numbers[0] + 1:
            raise DataFileError(
                path,
                "folds are numbered from 0 or from 1 without gaps, but the numbers are "
                f"{', '.join(map(str, numbers[:12]))}{' and more' if len(numbers) > 12 else ''}.",
                f"line {repeat + 1}",
            )
        if len(numbers) < 2:
            raise DataFileError(
                path,
                "all bags are in the same fold, so none is left to train on.",
                f"line {repeat + 1}",
            )
    return folds
