"""Feed damaged copies of real files to the readers, and watch what comes out.

    python tests/fuzz_readers.py FOLDER --copies 10000 --jobs 2

FOLDER holds the files as published, plain or compressed with gzip; those it lacks are left out. A
copy has to end as data that keep the promises of `check_bags`, or as `DataFileError`. All else is
a failure: another exception, a warning, a crash, a read that takes 20 times as long as that of the
honest file (and 5 s), or memory beyond four times the size of the honest file (and 4 MiB, the
noise of an interpreter). The size is that of the content, once decompressed, or of the bags that
it becomes, whichever is larger. A copy is made from its number alone, so that a failure can be
repeated:

    python tests/fuzz_readers.py FOLDER --only musk1.data --first 1234 --copies 1
"""

import argparse
import ctypes
import gzip
import io
import multiprocessing
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skmil import check_bags
from skmil.datasets import DataFileError, read_c45, read_mat, read_miproblems, read_npz, read_table

MEMORY_FACTOR, MEMORY_FLOOR = 4, 2**22
TIME_FACTOR, TIME_FLOOR = 20, 5.0
#: Memory is read from /proc, where Linux has it.
CAN_MEASURE = Path("/proc/self/clear_refs").exists()
#: How many copies a process reads before a fresh one takes over.
CHUNK = 500


@dataclass(frozen=True)
class Case:
    """A file and what reads it: the file itself or, with files beside it, their folder."""

    name: str
    read: Callable
    beside: tuple[str, ...] = ()


def _read_birds(path):
    return read_table(path, header=False, bag=1, label=0)


def _read_cells(path):
    with warnings.catch_warnings():  # that the last column holds labels
        warnings.simplefilter("ignore", UserWarning)
        return read_mat(path)


def _cases():
    classics = ("elephant_100x100_matlab", "fox_100x100_matlab", "tiger_100x100_matlab")
    cells = ("alt_atheism", "comp_graphics", "web1")
    musk2 = ("X.mat", "Bag2.mat", "BagI.mat")
    triple = ("bagids.csv", "labels.csv", "folds_5x10.csv", "data.csv")
    return [
        Case("musk1.data", read_c45),
        Case("musk1.data.gz", read_c45),
        Case("BrownCreeper.csv", _read_birds),
        *(Case(f"{name}.mat", read_mat) for name in classics),
        *(Case(f"{name}.mat", _read_cells) for name in cells),
        *(Case(name, read_mat, tuple(n for n in musk2 if n != name)) for name in musk2),
        *(Case(f"{name}.npz", read_npz) for name in ("musk1", "web1")),
        *(Case(n, read_miproblems, tuple(m for m in triple if m != n)) for n in triple[:3]),
    ]


CASES = {case.name: case for case in _cases()}


# --- Honest files -----------------------------------------------------------------------------


def content_of(name, folder):
    """Return a file of the folder, or of its folder of labels, or None."""
    if name == "data.csv":  # the one made-up file: features to go with real ids and labels
        ids = content_of("bagids.csv", folder)
        return None if ids is None else b"".join(b"%d,1.5\n" % i for i in range(ids.count(b"\n")))
    for place in (folder, folder / "ucsb_breast_labels_only"):
        if (place / name).exists():
            return (place / name).read_bytes()
        if (place / f"{name}.gz").exists():
            return gzip.decompress((place / f"{name}.gz").read_bytes())
    return None


def content_size(name, content):
    """Return how many bytes a file holds, once decompressed."""
    if name.endswith(".gz"):
        return len(gzip.decompress(content))
    if name.endswith(".npz"):
        return sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(content)).infolist())
    if not name.endswith(".mat"):
        return len(content)
    return sum(len(inner) for _, _, inner in _elements(content))


# --- Damage -----------------------------------------------------------------------------------


def damage(name, content, number):
    """Return the copy of that number and the kind of damage done to it."""
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    is_text = name.endswith((".data", ".csv"))
    kinds = [flip_bytes, flip_bytes, cut_short, remove_stretch, repeat_stretch]
    kinds += [change_token, change_token] if is_text else [change_count, change_count]
    if name.endswith(".mat") and len(content) < 2**19:
        kinds += [change_inside] * 3
    kind = kinds[rng.integers(len(kinds))]
    copy = bytearray(content)
    if copy:
        copy = kind(copy, rng)
    return bytes(copy), kind.__name__


def flip_bytes(copy, rng):
    # Half the time near the beginning, where files say what they hold.
    reach = len(copy) if rng.integers(2) else min(len(copy), 512)
    for _ in range(rng.integers(1, 9)):
        copy[rng.integers(reach)] = rng.integers(256)
    return copy


def cut_short(copy, rng):
    return copy[: rng.integers(len(copy))]


def remove_stretch(copy, rng):
    start = rng.integers(len(copy))
    del copy[start : start + int(2 ** rng.uniform(0, 12))]
    return copy


def repeat_stretch(copy, rng):
    start = rng.integers(len(copy))
    stretch = copy[start : start + int(2 ** rng.uniform(0, 12))]
    return copy[:start] + stretch * int(rng.integers(1, 4)) + copy[start:]


def change_count(copy, rng):
    """Overwrite four bytes, mostly of the first few hundred, with a suspicious number."""
    reach = len(copy) if rng.integers(4) == 0 else min(len(copy), 512)
    start = 4 * rng.integers(max(1, reach // 4))
    number = int(rng.choice([2**31 - 1, 2**31, 2**32 - 1, 2**31 - 8, 2**24, 2**16, 1, 0]))
    copy[start : start + 4] = struct.pack("<>"[rng.integers(2)] + "I", number)
    return copy


def change_token(copy, rng):
    """Replace what stands between two separators."""
    start = int(rng.integers(len(copy)))
    ends = [end for end in (copy.find(b",", start), copy.find(b"\n", start)) if end >= 0]
    stop = min(ends, default=len(copy))
    tokens = [b"9" * 40, b"2147483648", b"-1", b"1e999", b"nan", b"1e308", b"0x10", b"", b'"']
    tokens += [b"\x00", b"\xff\xfe", b"1" * 5000, b"," * 300, b"1_0", b"\r", b"'", b"1,1", b"\n"]
    return copy[:start] + tokens[rng.integers(len(tokens))] + copy[stop:]


def change_inside(copy, rng):
    """Change the content of one compressed element, so that its checksum holds again."""
    elements = list(_elements(bytes(copy)))
    chosen = rng.integers(len(elements))
    start, stop, inner = elements[chosen]
    kind = [flip_bytes, change_count, change_count, cut_short][rng.integers(4)]
    inner = zlib.compress(bytes(kind(bytearray(inner), rng)), 1)
    return copy[:start] + struct.pack("<II", 15, len(inner)) + inner + copy[stop:]


def _elements(content):
    """Find the elements of a MATLAB file, each with its start, its end and what it holds."""
    start = 128
    while start + 8 <= len(content):
        kind, n_bytes = struct.unpack_from("<II", content, start)
        stop = start + 8 + n_bytes
        inner = content[start + 8 : stop]
        yield start, stop, zlib.decompress(inner) if kind == 15 else content[start:stop]
        start = stop


# --- One copy ---------------------------------------------------------------------------------


class TooSlowError(BaseException):
    """Not an Exception, so that no reader mistakes it for damage."""


def read_copy(case, path):
    """Return "read" or "refused"; every other outcome is an exception."""
    try:
        data = case.read(path.parent if case.beside else path)
    except DataFileError as error:
        _check_message(str(error), path)
        return "refused"
    bags = check_bags(data.bags)
    assert bags is data.bags, "check_bags would change the bags"
    lengths = {"target": bags.n_bags, "bag_ids": bags.n_bags}
    lengths |= {"instance_ids": bags.n_instances, "instance_labels": bags.n_instances}
    for name, length in lengths.items():
        if data[name] is not None:
            assert len(data[name]) == length, f"{name} has {len(data[name])} of {length} values"
            assert data[name].dtype.kind in "biufU", f"{name} is of type {data[name].dtype}"
    return "read"


def _check_message(message, path):
    assert str(path.parent) in message, f"the error does not name the file: {message}"
    assert len(message) < 2000, "the error is as long as a file"


def _peak_since_reset(reset):
    """Return the peak of the process's memory in bytes, measured from the last reset."""
    if reset:
        ctypes.CDLL(None).malloc_trim(0)  # what the last read has freed is not there for this one
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _watched(case, path, seconds):
    """Return the outcome, what went wrong if anything did, and the memory that it took."""

    def stop(*_):
        raise TooSlowError(f"more than {seconds:.0f} s")

    signal.signal(signal.SIGALRM, stop)
    before = _peak_since_reset(reset=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        outcome, problem = read_copy(case, path), None
    except (Exception, TooSlowError) as error:
        outcome = "failed"
        frames = traceback.format_tb(error.__traceback__)[-3:]
        problem = f"{type(error).__name__}: {str(error)[:300]}\n{''.join(frames)[:1500]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return outcome, problem, _peak_since_reset(reset=False) - before


def _read_chunk(case, contents, numbers, limits, connection):
    """Read copies in this process and report on each; the parent notices if it dies."""
    warnings.simplefilter("error")
    n_bytes, seconds = limits
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as d:
        path = Path(d) / case.name
        for name in case.beside:
            path.with_name(name).write_bytes(contents[name])
        path.write_bytes(contents[case.name])
        read_copy(case, path)  # what is imported and cached is not counted
        *_, used = _watched(case, path, seconds)
        connection.send((None, "honest", None, None, used))
        address_space = 1024 * int(
            Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0]
        )
        # Room to allocate, with a margin for threads; a count that is believed goes far beyond.
        most = address_space + n_bytes + 2**29
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for number in numbers:
            connection.send((number, "begun", None, None, 0))
            copy, kind = damage(case.name, contents[case.name], number)
            path.write_bytes(copy)
            outcome, problem, used = _watched(case, path, seconds)
            if problem is None and used > n_bytes:
                outcome, problem = "failed", f"{used / 2**20:.1f} MiB of memory"
            connection.send((number, outcome, kind, problem, used))
    connection.close()


# --- All copies -------------------------------------------------------------------------------


def _limits(case, contents):
    """Return how much memory and how many seconds a copy may take, and the honest time."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        path = Path(folder) / case.name
        assert read_copy(case, path) == "read", f"the honest {case.name} is refused"
        start = time.perf_counter()
        bags = case.read(path.parent if case.beside else path).bags
        seconds = time.perf_counter() - start
    rows = bags.instances if isinstance(bags.instances, np.ndarray) else bags.instances.data
    size = sum(content_size(name, content) for name, content in contents.items())
    size = max(size, rows.nbytes)
    return (MEMORY_FACTOR * size + MEMORY_FLOOR, TIME_FACTOR * seconds + TIME_FLOOR), size, seconds


def fuzz(case, folder, numbers):
    """Read damaged copies of one file in processes of their own.

    Returns
    -------
    report : dict or None
        Counts of the outcomes, the failures, and the largest use of memory; None if the
        folder lacks the file.
    """
    contents = {name: content_of(name, folder) for name in (case.name, *case.beside)}
    if None in contents.values():
        return None
    limits, size, seconds = _limits(case, contents)
    context = multiprocessing.get_context("spawn")
    outcomes, failures, most, honest = Counter(), [], 0, 0
    numbers = list(numbers)
    while numbers:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_read_chunk, args=(case, contents, numbers[:CHUNK], limits, sender)
        )
        process.start()
        sender.close()
        done, begun = set(), None
        while True:
            try:
                number, outcome, kind, problem, used = receiver.recv()
            except EOFError:
                break
            if outcome == "begun":
                begun = number
                continue
            if outcome == "honest":
                honest = used
                continue
            done.add(number)
            outcomes[outcome] += 1
            most = max(most, used)
            if problem is not None:
                failures.append((number, kind, problem))
        process.join()
        if process.exitcode:
            assert begun is not None, "the process died before it read a copy"
            done.add(begun)
            outcomes["failed"] += 1
            failures.append((begun, "?", f"the process died, exit code {process.exitcode}"))
        numbers = [number for number in numbers if number not in done]
    return {
        "outcomes": outcomes,
        "failures": failures,
        "size": size,
        "memory": most,
        "honest_memory": honest,
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=10_000, help="of each file")
    parser.add_argument("--first", type=int, default=0, help="number of the first copy")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    parser.add_argument("--only", action="append", choices=CASES, help="this file only")
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.copies)
    print(" " * 52 + "MiB: size, peak of a copy, of the honest file", flush=True)
    print(f"{'file':28} {'copies':>7} {'read':>6} {'refused':>7} {'failed':>6}", end="")
    print(f" {'size':>8} {'copy':>6} {'honest':>6} {'ms':>6}", flush=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        chosen = [CASES[name] for name in arguments.only or CASES]
        reports = pool.map(lambda case: fuzz(case, arguments.folder, numbers), chosen)
        n_failed = 0
        for case, report in zip(chosen, reports, strict=True):
            if report is None:
                print(f"{case.name:28} is not there")
                continue
            counts = report["outcomes"]
            sizes = [report[name] / 2**20 for name in ("size", "memory", "honest_memory")]
            print(f"{case.name:28} {counts.total():7} {counts['read']:6}", end="")
            print(f" {counts['refused']:7} {counts['failed']:6}", end="")
            print(" {:8.2f} {:6.1f} {:6.1f}".format(*sizes), end="")
            print(f" {1000 * report['seconds']:6.1f}", flush=True)
            for number, kind, problem in report["failures"][:10]:
                print(f"    copy {number} ({kind}): {problem}", file=sys.stderr)
            n_failed += counts["failed"]
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
