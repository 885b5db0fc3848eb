"""Whether a file is the published one, and where in a folder that one lies."""

import hashlib

from skmil.datasets.readers import DataFileError
from skmil.datasets.readers._open import read_bytes


def check_content(file, path):
    """Check that a file, compressed with gzip or not, has the content of the published one.

    Parameters
    ----------
    file : DataFile
        The published file.
    path : Path
        The file to check.

    Raises
    ------
    DataFileError
        If size or hash differ.
    OSError
        If the file cannot be opened.
    """
    content = read_bytes(path, most=file.limit)
    if file.bytes is not None and len(content) != file.bytes:
        raise DataFileError(
            path, f"not the published file: it has {len(content)} bytes, not {file.bytes}."
        )
    if file.sha256 is not None:
        kind, expected = "sha256", file.sha256
        found = hashlib.sha256(content).hexdigest()
    else:
        kind, expected = "git blob", file.git_blob
        found = git_blob(content)
    if found != expected:
        raise DataFileError(path, f"not the published file: its {kind} is {found}, not {expected}.")


def git_blob(content):
    """Return the name that git gives to a content.

    Parameters
    ----------
    content : bytes
        The content of a file.

    Returns
    -------
    name : str
        40 hexadecimal digits.
    """
    # SHA-1 is weak against forgers, but a name is all that is known of some files, and to find
    # another content of the same name, length included, is still out of reach.
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def find_file(file, dataset, home):
    """Look for a published file in a folder of data sets.

    It may lie in the sub-folder of its data set or in the folder itself, compressed with gzip
    or not.

    Parameters
    ----------
    file : DataFile
        The published file.
    dataset : str
        The name of the data set.
    home : Path
        The folder of data sets.

    Returns
    -------
    path : Path or None
        Where it is; its content is checked. None if it is not there.
    problems : list of DataFileError
        What is wrong with files of that name that are something else.
    """
    problems = []
    for folder in (home / dataset, home):
        for name in (file.name, f"{file.name}.gz"):
            path = folder / name
            try:
                check_content(file, path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except DataFileError as error:
                problems.append(error)
            except OSError as error:
                problems.append(
                    DataFileError(path, f"it cannot be read: {error.strerror or error}.")
                )
            else:
                return path, problems
    return None, problems
