"""The content of a file, compressed with gzip or not."""

import gzip
import io
import zlib
from pathlib import Path

from skmil.bags._errors import DataFileError, open_ordinary

#: What some programs put before text in UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAGIC = b"\x1f\x8b"
#: How much is read at a time.
_PIECE = 1 << 18


def read_bytes(path, most=None):
    """Return the content of a file, decompressed if it is in the format of gzip.

    The first bytes of the file say whether it is compressed, not its name, so that a file which
    a browser has decompressed on the way is read as well.

    Parameters
    ----------
    path : str or path-like
        The file.
    most : int, default=None
        How many bytes the content may have. The file is read, and decompressed, not much
        further than that. None for any number; deflate gives at most 1032 bytes for one.

    Returns
    -------
    content : bytes
        The content.

    Raises
    ------
    DataFileError
        If the compressed data are damaged or cut short, the content is longer than `most`, or
        it is a pipe or a device instead of a file.
    OSError
        If the file cannot be opened.
    """
    with open_ordinary(path) as file:
        if not file.peek(2).startswith(_MAGIC):
            return _read_pieces(path, file, most)
        try:
            with gzip.GzipFile(fileobj=file) as inflated:
                return _read_pieces(path, inflated, most)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataFileError(
                path,
                f"the data compressed with gzip are damaged or cut short ({error}). "
                "Fetch the file again.",
            ) from error


def inner_suffix(path):
    """Return the suffix of a file in lower case, that before ``.gz`` if there is one.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    suffix : str
        ``".mat"`` for both ``fox.mat`` and ``fox.MAT.gz``; ``""`` if there is none.
    """
    path = Path(path)
    if path.suffix.lower() == ".gz":
        path = path.with_suffix("")
    return path.suffix.lower()


def _read_pieces(path, file, most):
    content = io.BytesIO()
    while piece := file.read(_PIECE):
        if most is not None and content.tell() + len(piece) > most:
            raise DataFileError(path, f"it holds more than {most} bytes, too many to read.")
        content.write(piece)
    return content.getvalue()
