"""What makes sums over bags comparable: the signed power and the norm."""

import numpy as np

__all__ = ["normalize_rows"]


def normalize_rows(rows, power, norm):
    """Raise values to a power, keeping their signs, and divide rows by their lengths.

    Parameters
    ----------
    rows : ndarray of float64 of shape (n_rows, n_columns)
        Rows. They are overwritten.
    power : float
        The exponent.
    norm : {"l2", None}
        "l2" for rows of Euclidean length 1, None to leave the lengths. Zeros stay zeros.

    Returns
    -------
    rows : ndarray of float64 of shape (n_rows, n_columns)
        The argument.
    """
    if power != 1.0:
        np.copysign(np.abs(rows) ** power, rows, out=rows)
    if norm == "l2":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths > 0, lengths, 1.0)
    return rows
