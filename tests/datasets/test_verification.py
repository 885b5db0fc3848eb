import dataclasses
import gzip
import hashlib

import pytest

from skmil.datasets import DataFileError
from skmil.datasets._catalogue import DataFile
from skmil.datasets._verification import check_content, find_file, git_blob

DATA = b"hello\n"
FILE = DataFile("r/r", "c", "a/f.data", bytes=6, sha256=hashlib.sha256(DATA).hexdigest())
BLOB = DataFile("r/r", "c", "a/f.data", most_bytes=10, git_blob=git_blob(DATA))


def test_names_of_git():
    # What `git hash-object` prints.
    assert git_blob(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_blob(DATA) == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("file", [FILE, BLOB])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_the_content_counts_compressed_or_not(tmp_path, file, compress):
    path = tmp_path / "anything"
    path.write_bytes(compress(DATA))
    check_content(file, path)


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        (FILE, b"hellO\n", "its sha256 is"),
        (FILE, b"hello", "it has 5 bytes, not 6"),
        (FILE, b"hello\n\n", "more than 6 bytes"),
        (FILE, gzip.compress(bytes(10**7), mtime=0), "more than 6 bytes"),
        (FILE, gzip.compress(DATA, mtime=0)[:-1], "damaged or cut short"),
        (FILE, b"", "it has 0 bytes"),
        (BLOB, b"hellO\n", "its git blob is .*, not ce0136"),
        (BLOB, b"hello\n world\n", "more than 10 bytes"),
        (dataclasses.replace(FILE, bytes=5, sha256=hashlib.sha256(DATA).hexdigest()), DATA, "5"),
    ],
)
def test_any_other_content_is_refused(tmp_path, file, content, problem):
    path = tmp_path / "f.data"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=problem):
        check_content(file, path)


@pytest.mark.parametrize("place", ["set/f.data", "set/f.data.gz", "f.data", "f.data.gz"])
def test_where_a_file_may_lie(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(DATA) if place.endswith(".gz") else DATA)
    assert find_file(FILE, "set", tmp_path) == (path, [])


def test_the_first_right_file_wins_over_wrong_ones(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "f.data").write_bytes(b"wrong!")
    (tmp_path / "f.data").write_bytes(DATA)
    path, problems = find_file(FILE, "set", tmp_path)
    assert path == tmp_path / "f.data"
    assert [problem.path for problem in problems] == [str(tmp_path / "set" / "f.data")]


def test_there_may_be_nothing(tmp_path):
    assert find_file(FILE, "set", tmp_path) == (None, [])
    assert find_file(FILE, "set", tmp_path / "nowhere") == (None, [])
    (tmp_path / "set").write_bytes(b"a file, not a folder")
    assert find_file(FILE, "set", tmp_path) == (None, [])


def test_what_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "f.data").mkdir()
    path, problems = find_file(FILE, "set", tmp_path)
    assert path is None
    assert "it cannot be read: " in str(problems[0])


def test_a_file_without_permission_is_a_problem(own_folder):
    (own_folder / "f.data").write_bytes(DATA)
    (own_folder / "f.data").chmod(0)
    path, problems = find_file(FILE, "set", own_folder)
    assert path is None
    assert "cannot be read: Permission denied" in str(problems[0])
