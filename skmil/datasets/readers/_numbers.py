"""Text that holds numbers and nothing else."""

import io
import warnings

import numpy as np

from skmil.bags._errors import DataFileError
from skmil.datasets.readers._open import BYTE_ORDER_MARK, read_bytes


def read_numbers(path):
    """Read a matrix of numbers from text.

    Parameters
    ----------
    path : Path
        The file, compressed with gzip or not: one row per line, a tab, a comma or blanks
        between the values, no header.

    Returns
    -------
    numbers : ndarray of float64 of shape (n_rows, n_columns)
        The numbers, all of them finite.

    Raises
    ------
    DataFileError
        If the file holds something else, or rows of different lengths.
    OSError
        If the file cannot be opened.
    """
    content = read_bytes(path).removeprefix(BYTE_ORDER_MARK)
    if not content.strip():
        raise DataFileError(path, "the file is empty; there should be numbers.")
    first_line = content.lstrip().split(b"\n", 1)[0]
    separator = next((c for c in "\t," if c.encode() in first_line), None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of text that is nothing but blanks
            numbers = np.loadtxt(
                io.BytesIO(content), delimiter=separator, comments=None, ndmin=2, encoding="utf-8"
            )
    except (ValueError, UserWarning) as error:
        reason = str(error).split(";")[0]  # the rest is about the arguments of loadtxt
        raise DataFileError(path, f"this is no table of numbers: {reason}.") from error
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise DataFileError(
            path, f"there is no finite number but {numbers[row, column]}.", f"row {row}"
        )
    return numbers


def read_integers(path):
    """Read a matrix of integers from text, like `read_numbers`.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    integers : ndarray of int64 of shape (n_rows, n_columns)
        The integers.

    Raises
    ------
    DataFileError
        If the file holds something else, or rows of different lengths.
    OSError
        If the file cannot be opened.
    """
    numbers = read_numbers(path)
    whole = (numbers == np.rint(numbers)) & (np.abs(numbers) < 2**53)
    if not whole.all():
        row, column = np.argwhere(~whole)[0]
        raise DataFileError(path, f"there is no integer but {numbers[row, column]}.", f"row {row}")
    return numbers.astype(np.int64)
