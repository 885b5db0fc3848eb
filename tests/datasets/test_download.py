import hashlib
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from file_server import compressed, content, endless, file_server, status, with_head, wrong_range

import skmil
from skmil.datasets import DownloadError, _download
from skmil.datasets._catalogue import DataFile
from skmil.datasets._verification import find_file, git_blob

pytest.importorskip("pooch")
pytest.importorskip("filelock")

DATA = np.random.default_rng(0).bytes(100_000)
HALF = 49_152  # whole pieces: of a broken one nothing is kept
FILE = DataFile(
    "some/where", "c0ffee", "a/b.bin", len(DATA), sha256=hashlib.sha256(DATA).hexdigest()
)
BLOB = DataFile("some/where", "c0ffee", "a/b.bin", most_bytes=200_000, git_blob=git_blob(DATA))
OTHER = bytes(len(DATA))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with file_server() as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path):
    """Return a function that downloads from the mirrors of these names."""

    def download(*names, file=FILE, **options):
        mirrors = [server.mirror(name) for name in names or ["good"]]
        _download.download_file(file, tmp_path / "set" / "b.bin", mirrors, **options)

    return download


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_only_the_file(folder):
    assert listing(folder) == ["set", "set/b.bin"]
    assert (folder / "set" / "b.bin").read_bytes() == DATA


def ranges(server):
    return [wanted for _, wanted in server.requests]


def leave(folder, data, name="b.bin.part"):
    (folder / "set").mkdir(exist_ok=True)
    (folder / "set" / name).write_bytes(data)


@pytest.mark.parametrize("file", [FILE, BLOB])
@pytest.mark.parametrize("declared", [True, False])
def test_the_file_and_nothing_else_arrives(server, fetch, tmp_path, file, declared):
    server.answers["good"] = content(DATA, declared=declared)
    fetch(file=file)
    assert_only_the_file(tmp_path)
    assert server.requests == [("/good/some/where/c0ffee/a/b.bin", None)]
    fetch(file=file)  # it is there now
    assert len(server.requests) == 1


def test_a_redirection_is_followed(server, fetch, tmp_path):
    server.answers["moved"] = status(302, Location=server.mirror("good"))
    server.answers["good"] = content(DATA)
    fetch("moved")
    assert_only_the_file(tmp_path)


def test_what_comes_with_a_redirection_is_not_read(server, fetch, tmp_path):
    server.answers["moved"] = endless(302, Location=server.mirror("good"))
    server.answers["good"] = content(DATA)
    fetch("moved")
    assert_only_the_file(tmp_path)
    assert server.n_sent < 20_000_000


def test_a_server_may_compress_although_it_is_asked_not_to(server, fetch, tmp_path):
    server.answers["good"] = compressed(DATA)
    fetch()
    assert_only_the_file(tmp_path)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (status(404), "404 Client Error"),
        (status(503), "503 Server Error"),
        (content(OTHER), "not the published file: its sha256 is"),
        (content(DATA[1:]), "the file there has 99999 bytes, not 100000"),
        (content(DATA + b"!"), "the file there has 100001 bytes, not 100000"),
        (content(DATA[1:], declared=False), "it ended after 99999 of 100000 bytes"),
        (content(DATA + b"!", declared=False), "it sends more than 100000 bytes"),
        (content(DATA, ranges=False, cut=HALF), "Connection broken"),
        (content(DATA, cut=0), "Connection broken"),
        (with_head(Content_Length="9" * 5000), "invalid literal|integer string"),
        (with_head(code=302, Location="http://[::1/b.bin"), "Invalid IPv6 URL|Failed to parse"),
        (with_head(code=302, Location="http://\xff\xfe/"), "decode"),
        (with_head(Content_Encoding="gzip, gzip"), "compressed several times"),
    ],
)
def test_a_bad_mirror_is_passed_over_or_the_error_says_what_is_wrong(
    server, fetch, tmp_path, bad, problem
):
    server.answers |= {"bad": bad, "good": content(DATA)}
    with pytest.raises(DownloadError, match=problem) as caught:
        fetch("bad")
    message = str(caught.value)
    assert server.mirror("bad").partition("{")[0] in message
    assert f"b.bin (100000 bytes, sha256 {FILE.sha256})" in message
    assert f"put the file into {tmp_path / 'set'} by hand" in message
    assert listing(tmp_path) == []
    fetch("bad", "good")
    assert_only_the_file(tmp_path)


def test_a_mirror_that_falls_silent_is_passed_over(server, fetch, tmp_path):
    server.answers |= {"bad": content(DATA, hang=True, cut=0), "good": content(DATA)}
    with pytest.raises(DownloadError, match="timed out"):
        fetch("bad", timeout=0.2)
    assert listing(tmp_path) == []
    fetch("bad", "good", timeout=3)  # enough for the other one on a busy machine
    assert_only_the_file(tmp_path)


def test_mirrors_that_do_not_answer_at_all(fetch, server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mirror = f"http://127.0.0.1:{port}/{{path}}"
    with pytest.raises(DownloadError, match=rf"(?s)No mirror .*{port}/a/b.bin: .*\n.*{port}/a/b"):
        _download.download_file(FILE, tmp_path / "new" / "set" / "b.bin", [mirror, mirror])
    assert listing(tmp_path) == []


def test_a_transfer_that_breaks_off_is_resumed(server, fetch, tmp_path):
    server.answers["good"] = [content(DATA, cut=HALF), content(DATA)]
    fetch()
    assert_only_the_file(tmp_path)
    assert ranges(server) == [None, f"bytes={HALF}-"]
    assert server.n_sent == len(DATA)


def test_another_mirror_sends_the_rest(server, fetch, tmp_path):
    server.answers["bad"] = [content(DATA, cut=HALF), status(503)]
    server.answers["good"] = content(DATA)
    fetch("bad", "good")
    assert_only_the_file(tmp_path)
    assert ranges(server) == [None, f"bytes={HALF}-", f"bytes={HALF}-"]
    assert server.n_sent == len(DATA)


def test_a_file_of_unknown_size_is_resumed_too(server, fetch, tmp_path):
    server.answers["good"] = [content(DATA, cut=HALF), content(DATA)]
    fetch(file=BLOB)
    assert_only_the_file(tmp_path)
    assert server.n_sent == len(DATA)


def test_a_file_of_unknown_size_has_a_bound_and_a_name(server, fetch, tmp_path):
    server.answers["long"] = content(bytes(200_001))
    server.answers["endless"] = content(bytes(50_000_000), declared=False)
    server.answers["other"] = content(OTHER)
    with pytest.raises(DownloadError) as caught:
        fetch("long", "endless", "other", file=BLOB)
    problems = str(caught.value).splitlines()[1:4]
    assert "has 200001 bytes, not at most 200000" in problems[0]
    assert "more than 200000 bytes" in problems[1]
    assert f"git blob is {git_blob(OTHER)}, not {git_blob(DATA)}" in problems[2]
    assert server.n_sent < 40_000_000  # it was hung up on
    assert listing(tmp_path) == []


def test_a_server_without_ranges_begins_again(server, fetch, tmp_path):
    leave(tmp_path, DATA[:HALF])
    server.answers["good"] = content(DATA, ranges=False)
    fetch()
    assert_only_the_file(tmp_path)
    assert ranges(server) == [f"bytes={HALF}-"]


def test_another_range_than_asked_for_is_not_taken(server, fetch, tmp_path):
    leave(tmp_path, DATA[:HALF])
    server.answers["good"] = [wrong_range(DATA), content(DATA)]
    fetch()
    assert_only_the_file(tmp_path)
    assert ranges(server) == [f"bytes={HALF}-", None]


@pytest.mark.parametrize("file", [FILE, BLOB])
@pytest.mark.parametrize(
    ("part", "n_sent"),
    [
        (b"", len(DATA)),
        (DATA[:HALF], len(DATA) - HALF),
        (DATA, 0),
        (DATA + b"!", len(DATA)),
        (OTHER[:HALF], len(DATA) - HALF + len(DATA)),
        (OTHER, len(DATA)),
        (bytes(300_000), len(DATA)),
    ],
)
def test_what_a_killed_process_left_is_taken_over_or_removed(
    server, fetch, tmp_path, file, part, n_sent
):
    leave(tmp_path, part)
    server.answers["good"] = content(DATA)
    fetch(file=file)
    assert_only_the_file(tmp_path)
    assert server.n_sent == n_sent


def test_what_a_killed_process_left_does_not_outlive_a_failure(fetch, tmp_path):
    leave(tmp_path, DATA[:HALF])
    with pytest.raises(DownloadError, match="404"):
        fetch("nowhere")
    assert listing(tmp_path) == []


def test_a_wrong_file_is_replaced_but_not_before_the_right_one_is_there(server, fetch, tmp_path):
    leave(tmp_path, OTHER, "b.bin")
    server.answers["good"] = content(DATA)
    with pytest.raises(DownloadError, match="404"):
        fetch("nowhere")
    assert listing(tmp_path) == ["set", "set/b.bin"]
    assert (tmp_path / "set" / "b.bin").read_bytes() == OTHER
    fetch()
    assert_only_the_file(tmp_path)


def test_a_server_that_is_too_slow_is_given_up(server, fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "_FIRST_MINUTE", -1000.0)
    server.answers["slow"] = content(DATA)
    with pytest.raises(DownloadError, match="slower than 2000 bytes per second"):
        fetch("slow")
    assert listing(tmp_path) == []


def test_an_interruption_leaves_nothing(server, fetch, tmp_path, monkeypatch):
    def write(self, piece):
        raise KeyboardInterrupt

    monkeypatch.setattr(_download._Output, "write", write)
    server.answers["good"] = content(DATA)
    with pytest.raises(KeyboardInterrupt):
        fetch()
    assert listing(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_not_the_fault_of_the_server(server, fetch, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b.bin.part").symlink_to("/dev/full")
    server.answers["good"] = content(DATA)
    with pytest.raises(DownloadError, match=r"Cannot write to .*set: No space left .*SKMIL_DATA"):
        fetch("good", "good")
    assert len(server.requests) == 1
    assert listing(tmp_path) == []


def test_a_folder_that_cannot_be_created(server, tmp_path):
    (tmp_path / "set").write_text("a file, not a folder")
    with pytest.raises(DownloadError, match=r"Cannot write to .*data_home"):
        _download.download_file(FILE, tmp_path / "set" / "b.bin", [server.mirror("good")])
    assert listing(tmp_path) == ["set"]
    assert not server.requests


def test_a_folder_that_is_read_only(server, own_folder):
    server.answers["good"] = content(DATA)
    own_folder.chmod(0o555)
    with pytest.raises(DownloadError, match=r"Cannot write to .*: Permission denied\. .*SKMIL"):
        _download.download_file(FILE, own_folder / "set" / "b.bin", [server.mirror("good")])
    assert listing(own_folder) == []
    assert not server.requests


def test_a_read_only_folder_with_the_file_will_do(server, own_folder):
    (own_folder / "b.bin").write_bytes(DATA)
    own_folder.chmod(0o555)
    path, problems = find_file(FILE, "set", own_folder)
    assert path == own_folder / "b.bin"
    assert problems == []


@pytest.mark.parametrize("name", ["pooch", "filelock"])
def test_a_missing_package(fetch, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{name} is not installed. .*pip install skmil\[data\]"):
        fetch()
    assert listing(tmp_path) == []


def test_progress_is_shown_when_asked_for(server, fetch, tmp_path, capsys):
    server.answers["good"] = content(DATA)
    fetch()  # standard error is no terminal here
    assert capsys.readouterr().err == ""
    (tmp_path / "set" / "b.bin").unlink()
    fetch(progress=True)
    shown = capsys.readouterr()
    assert "b.bin" in shown.err
    assert "/100k" in shown.err
    assert shown.out == ""


def test_nothing_global_is_changed(server, fetch):
    def state():
        names = ("pooch", "urllib3", "requests", "filelock", None)
        loggers = [logging.getLogger(name) for name in names]
        return socket.getdefaulttimeout(), [(log.level, log.handlers[:]) for log in loggers]

    import filelock  # noqa: F401
    import pooch  # noqa: F401

    before = state()
    server.answers["good"] = content(DATA)
    fetch()
    assert state() == before


def in_threads(function, n_threads=4):
    """Return the exceptions that calls of a function end in, each in its own thread."""
    errors = []

    def run():
        try:
            function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_threads_share_one_transfer(server, fetch, tmp_path):
    server.answers["good"] = content(DATA)
    assert in_threads(fetch) == []
    assert_only_the_file(tmp_path)
    assert len(server.requests) == 1


def test_threads_that_fail_do_not_get_in_each_others_way(server, fetch, tmp_path):
    errors = in_threads(lambda: fetch("nowhere"))
    assert len(errors) == 4
    assert all("404 Client Error" in str(error) for error in errors)
    assert listing(tmp_path) == []


SCRIPT = """\
import sys
from pathlib import Path
from skmil.datasets._catalogue import DataFile
from skmil.datasets._download import download_file
n_bytes, sha256, target, mirror = sys.argv[1:]
file = DataFile("some/where", "c0ffee", "a/b.bin", int(n_bytes), sha256=sha256)
download_file(file, Path(target), [mirror])
"""


def start(server, target):
    arguments = [str(len(DATA)), FILE.sha256, str(target), server.mirror("good")]
    environment = os.environ | {"PYTHONPATH": str(Path(skmil.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    )


def test_processes_share_one_transfer(server, fetch, tmp_path, monkeypatch):
    one_downloads, other_waits = threading.Event(), threading.Event()

    def answer(request):
        one_downloads.set()
        other_waits.wait(60)
        content(DATA)(request)

    acquire = _download._acquire

    def acquire_and_tell(*arguments):
        other_waits.set()
        acquire(*arguments)

    monkeypatch.setattr(_download, "_acquire", acquire_and_tell)
    server.answers["good"] = answer
    with start(server, tmp_path / "set" / "b.bin") as process:
        assert one_downloads.wait(60)
        fetch()
        assert process.communicate(timeout=60) == ("", "")
    assert_only_the_file(tmp_path)
    assert len(server.requests) == 1


def test_the_next_call_goes_on_where_a_killed_process_stopped(server, fetch, tmp_path):
    target = tmp_path / "set" / "b.bin"
    server.answers["good"] = [content(DATA, cut=HALF, hang=True), content(DATA)]
    with start(server, target) as process:
        part = tmp_path / "set" / "b.bin.part"
        pause = threading.Event()
        for _ in range(6000):
            if part.exists() and part.stat().st_size > 0:
                break
            pause.wait(0.01)
        process.kill()
    n_left = part.stat().st_size
    assert 0 < n_left <= HALF
    server.n_sent = 0
    fetch()
    assert_only_the_file(tmp_path)
    assert ranges(server) == [None, f"bytes={n_left}-"]
    assert server.n_sent == len(DATA) - n_left
