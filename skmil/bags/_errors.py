"""The one error of all readers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class DataFileError(ValueError):
    """A file that does not hold what it should: damaged, cut short or inconsistent.

    Every reader raises it, and nothing else, for a file that can be opened but not understood.

    Parameters
    ----------
    path : str or path-like
        The file.
    problem : str
        What is wrong and what to do, a sentence or two.
    place : str, default=None
        Where in the file, for example ``"line 12"`` or ``"variable 'data', cell 3"``.

    Attributes
    ----------
    path : str
        The file.
    problem : str
        What is wrong.
    place : str or None
        Where in the file.

    Examples
    --------
    >>> from skmil.datasets import DataFileError
    >>> print(DataFileError("musk.data", "there are 12 values, not 168.", place="line 7"))
    musk.data, line 7: there are 12 values, not 168.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str, place: str | None = None):
        super().__init__(path, problem, place)  # as pickle hands them over again
        self.path = str(path)
        self.problem = _shorten(problem, 600)
        self.place = None if place is None else _shorten(place, 200)

    def __str__(self) -> str:
        path = _printable(self.path)
        where = path if self.place is None else f"{path}, {self.place}"
        return f"{where}: {self.problem}"


def _shorten(text: str, most: int) -> str:
    """Return text fit to be shown: what a damaged file brings in may be long, or no text."""
    text = _printable(text)
    if len(text) <= most:
        return text
    return f"{text[: 2 * most // 3]} ... {text[-most // 3 :]}"


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def open_ordinary(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes, but no pipe or device, which may never end.

    Raises
    ------
    DataFileError
        If it is something else than a file.
    OSError
        If it cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a folder is an OSError
        raise DataFileError(path, "it is no ordinary file.")
    return Path(path).open("rb")


@contextmanager
def errors_name(
    path: str | os.PathLike[str],
    place: str | None = None,
    caught: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Turn ValueError and TypeError of the checks inside into a `DataFileError` of this file.

    Parameters
    ----------
    path : str or path-like
        The file.
    place : str, default=None
        Where in it, if that is known.
    caught : tuple of exception classes, default=()
        What else the code inside raises when a file is damaged. Never MemoryError: sizes are
        checked before anything is allocated.
    """
    turned: tuple[type[Exception], ...] = (ValueError, TypeError, *caught)
    try:
        yield
    except DataFileError:
        raise
    except turned as error:
        raise DataFileError(path, str(error) or type(error).__name__, place) from error
