"""Download of one published file: from several mirrors, resumed, verified, placed at once."""

import os
import sys
import time
from contextlib import contextmanager, suppress

from skmil.datasets._verification import check_content
from skmil.datasets.readers import DataFileError

#: Seconds that a server may be silent.
TIMEOUT = 30.0
#: Bytes per second below which a transfer is given up, after a first minute without a demand.
_SLOWEST = 2000
_FIRST_MINUTE = 60.0
#: How often a mirror is asked for what is left, when a transfer breaks off.
_ATTEMPTS = 5
#: Seconds to wait for another process that downloads the same file.
_LONGEST_WAIT = 1800.0
#: How often to create a folder that another process removes, since its download has failed.
_LOCK_ATTEMPTS = 100
#: Bytes that are written at a time.
_PIECE = 8192


class DownloadError(OSError):
    """A data set that could not be downloaded; the message says why, and what to do by hand.

    It is raised when no mirror delivers the published file, or when the folder of data sets
    cannot be written to. Whatever of the file was received is removed.

    Examples
    --------
    >>> from skmil.datasets import DownloadError
    >>> issubclass(DownloadError, OSError)
    True
    """


class _WrongContentError(Exception):
    """The server sends something other than the published file."""


class _CannotWriteError(Exception):
    """The disk, not the network, is in the way."""


def download_file(file, target, mirrors, *, progress=None, timeout=TIMEOUT):
    """Download a published file, unless another process has just done so.

    Parameters
    ----------
    file : DataFile
        The published file.
    target : Path
        Where to put it. Nothing but the complete file, verified, is ever there; a wrong file
        in its place is replaced.
    mirrors : list of str
        Templates of addresses, tried one after the other.
    progress : bool, default=None
        Show a progress bar on standard error; None shows it if that is a terminal.
    timeout : float, default=30.0
        Seconds that a server may be silent.

    Raises
    ------
    DownloadError
        If no mirror delivers the file or it cannot be written. Folder and files are as before.
    ImportError
        If pooch or filelock is not installed.
    """
    downloader_class, locks = _import_tools(file)
    with _alone(file, target, locks):
        with suppress(OSError, DataFileError):
            check_content(file, target)
            return
        part = target.with_name(f"{target.name}.part")
        try:
            _try_mirrors(downloader_class, file, part, mirrors, progress, timeout)
            os.replace(part, target)
        except DownloadError:
            raise
        except (_CannotWriteError, OSError) as error:
            raise _cannot_write(file, target.parent, error) from error
        finally:
            part.unlink(missing_ok=True)


def _import_tools(file):
    try:
        import filelock
        from pooch import HTTPDownloader
    except ImportError as error:
        raise ImportError(
            f"The download of {file.name} needs pooch and filelock, and {error.name} is not "
            "installed. Install them with: pip install skmil[data]"
        ) from error
    return HTTPDownloader, filelock


@contextmanager
def _alone(file, target, locks):
    """Keep other processes and threads out that would download the same file.

    The folder is created if need be. Neither the lock nor, after a failure, an empty folder
    stays behind.
    """
    path = target.with_name(f"{target.name}.lock")
    lock = locks.FileLock(path)
    created = [path.parent]  # perhaps by another process, which fails too
    try:
        _acquire(lock, path.parent, created, file, locks)
        try:
            yield
        finally:
            # Removed before it is released, so that whoever locks it next does so on a file that
            # others see too. Should two processes get past each other nevertheless, the hash
            # still decides what counts as the file.
            with suppress(OSError):
                path.unlink()
            lock.release()
    except BaseException:
        for folder in sorted(set(created), key=lambda folder: -len(folder.parts)):
            with suppress(OSError):
                folder.rmdir()
        raise


def _acquire(lock, folder, created, file, locks):
    """Lock, and note the folders that had to be created for that."""
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            created += [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=_LONGEST_WAIT)
            return
        except locks.Timeout as error:
            raise DownloadError(
                f"Another process has been downloading {file.name} for more than "
                f"{_LONGEST_WAIT / 60:.0f} minutes. If there is none, remove {lock.lock_file}."
            ) from error
        except (OSError, NotImplementedError) as error:
            # As when the process that created the folder has failed and removes it just now.
            passing = isinstance(error, FileNotFoundError | FileExistsError)
            if attempt == _LOCK_ATTEMPTS or not passing:
                raise _cannot_write(file, folder, error) from error


def _try_mirrors(downloader_class, file, part, mirrors, progress, timeout):
    """Fill `part` with the file from the first mirror that has it."""
    problems = []
    for mirror in mirrors:
        address = file.address(mirror)
        for _ in range(_ATTEMPTS):
            n_before = _size(part)
            try:
                if n_before == 0 or not _is_complete(file, part):
                    _transfer(downloader_class, address, file, part, progress, timeout)
                    check_content(file, part)
                return
            except (_WrongContentError, DataFileError) as error:
                problem = error.problem if isinstance(error, DataFileError) else error
                problems.append(f"{address}: {problem}")
                part.unlink(missing_ok=True)
                if n_before == 0:
                    break
                # Perhaps what was there before was wrong: once more, from the beginning.
            # OSError is that of requests; ValueError comes of a head that makes no sense.
            except (OSError, ValueError) as error:
                problems.append(f"{address}: {_reason(error)}")
                if _size(part) <= n_before:
                    break
    raise DownloadError(
        f"No mirror delivered {file}:\n  "
        + "\n  ".join(problems)
        + f"\nTry again later, or put the file into {part.parent} by hand."
    )


def _reason(error):
    """Return what an error of requests comes down to, without the address once more."""
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return str(cause or error).rpartition("): ")[2].partition(" for url: ")[0]


def _is_complete(file, part):
    """Whether only the last step was missing when an earlier call was stopped."""
    try:
        check_content(file, part)
    except DataFileError:
        if _size(part) >= file.limit:
            part.unlink()
        return False
    return True


def _size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _transfer(downloader_class, address, file, part, progress, timeout):
    """Append to `part` what is missing, as long as the server sends it."""
    from tqdm import tqdm

    n_before = _size(part)
    # Uncompressed, so that sizes and ranges are those of the file.
    headers = {"Accept-Encoding": "identity"}
    if n_before:
        headers["Range"] = f"bytes={n_before}-"
    bar = tqdm(
        total=file.bytes,
        initial=n_before,
        desc=file.name,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if progress is None else not progress,
        file=sys.stderr,
    )
    with bar, _Output(part, file, bar) as output:
        # The way of pooch: a file-like object receives the content, and other arguments go to
        # requests, which shows the head of the response before there is any content.
        download = downloader_class(
            chunk_size=_PIECE,
            timeout=timeout,
            headers=headers,
            hooks={"response": output.begin},
        )
        download(address, output, None)
        output.end()


class _Output:
    """The file being filled, as pooch writes to it, and the guard of what is written.

    Parameters
    ----------
    path : Path
        The file; it is appended to.
    file : DataFile
        What it is to become.
    bar : tqdm
        Shows the progress.
    """

    def __init__(self, path, file, bar):
        self.path = path
        self.file = file
        self.bar = bar
        self.n_bytes = self.n_before = _size(path)
        self.n_total = file.bytes
        self.response = None
        allowed = _FIRST_MINUTE + file.limit / _SLOWEST
        self.deadline = time.monotonic() + allowed

    def __enter__(self):
        try:
            self.stream = self.path.open("ab")
        except OSError as error:
            raise _CannotWriteError(error.strerror or error) from error
        return self

    def __exit__(self, *_):
        if self.response is not None:
            self.response.close()
        try:
            self.stream.close()
        except OSError as error:
            raise _CannotWriteError(error.strerror or error) from error

    def begin(self, response, *_, **__):
        """Look at the head of a response; see the hooks of requests."""
        self.response = response
        if "," in response.headers.get("Content-Encoding", ""):
            raise _WrongContentError("it is compressed several times over.")
        if response.is_redirect:
            response.close()  # else requests would read whatever comes, however much
        if response.status_code == 416:
            raise _WrongContentError("what is there already is longer than the file.")
        if response.status_code == 206:
            n_total = self._resume(response.headers.get("Content-Range", ""))
        elif response.status_code == 200:
            if self.n_bytes:  # a server that knows no ranges begins at the beginning
                self.stream.truncate(0)
                self.n_bytes = 0
                self.bar.reset()
            n_total = self._declared(response.headers)
        else:
            return  # a redirection, or an error that pooch raises
        if n_total is None:
            return
        if self.file.bytes not in (None, n_total) or n_total > self.file.limit:
            bound = "at most " if self.file.bytes is None else ""
            raise _WrongContentError(
                f"the file there has {n_total} bytes, not {bound}{self.file.limit}."
            )
        self.n_total = n_total

    def _resume(self, content_range):
        """Return the declared size of the file of which the rest is about to come."""
        unit, _, numbers = content_range.partition(" ")
        span, _, total = numbers.partition("/")
        first = span.partition("-")[0]
        if unit != "bytes" or first != str(self.n_bytes):
            raise _WrongContentError(f"asked for the rest, got the range {content_range!r}.")
        return int(total) if total.isdecimal() else None

    def _declared(self, headers):
        length = headers.get("Content-Length", "")
        plain = headers.get("Content-Encoding", "identity") == "identity"
        return int(length) if plain and length.isdecimal() else None

    def write(self, piece):
        """Write a piece of the content."""
        self.n_bytes += len(piece)
        if self.n_bytes > self.file.limit:
            raise _WrongContentError(f"it sends more than {self.file.limit} bytes.")
        if time.monotonic() > self.deadline:
            raise TimeoutError(f"slower than {_SLOWEST} bytes per second")
        try:
            self.stream.write(piece)
        except OSError as error:
            raise _CannotWriteError(error.strerror or error) from error
        self.bar.update(len(piece))

    def flush(self):
        """Hand what was written to the operating system."""
        try:
            self.stream.flush()
        except OSError as error:
            raise _CannotWriteError(error.strerror or error) from error

    def end(self):
        """Check that all has come."""
        if self.n_total is not None and self.n_bytes < self.n_total:
            raise ConnectionError(f"it ended after {self.n_bytes} of {self.n_total} bytes")


def _cannot_write(file, folder, error):
    problem = getattr(error, "strerror", None) or error
    return DownloadError(
        f"Cannot write to {folder}: {problem}. Name a folder that can be written to with "
        f"data_home or the environment variable SKMIL_DATA, or put {file} there by hand."
    )
