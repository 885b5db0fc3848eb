import gzip
import io
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import raw_path_of

from skmil.datasets import DataFileError
from skmil.datasets.readers._open import inner_suffix, read_bytes

CONTENT = b"bag,label,x\n" + bytes(range(256)) * 5


@pytest.fixture
def save(tmp_path):
    """Return a function that writes bytes to a file."""

    def save_bytes(content, name="bags.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return save_bytes


@pytest.mark.parametrize("content", [b"", b"\x1f", CONTENT, CONTENT * 1000])
def test_a_plain_file_is_read_as_it_is(save, content):
    assert read_bytes(save(content)) == content


@pytest.mark.parametrize("content", [b"", CONTENT, CONTENT * 1000])
@pytest.mark.parametrize("name", ["bags.csv.gz", "bags.csv"])
def test_a_compressed_file_is_decompressed_whatever_its_name(save, content, name):
    assert read_bytes(save(gzip.compress(content), name)) == content


def test_a_plain_file_named_gz_is_read(save):
    assert read_bytes(save(CONTENT, "bags.csv.gz")) == CONTENT


def test_parts_one_after_the_other_are_one_content(save):
    parts = gzip.compress(CONTENT) + gzip.compress(b"") + gzip.compress(b"end")
    assert read_bytes(save(parts + bytes(100))) == CONTENT + b"end"


def test_a_compressed_file_cut_short_anywhere_is_refused(save):
    whole = gzip.compress(CONTENT)
    for n_bytes in range(2, len(whole), 11):
        with pytest.raises(DataFileError, match=r"bags\.csv: the data compressed .* cut short"):
            read_bytes(save(whole[:n_bytes]))


@given(at=st.integers(2, 100_000), value=st.integers(1, 255))
def test_a_damaged_file_is_never_read_as_something_else(tmp_path_factory, at, value):
    damaged = bytearray(gzip.compress(CONTENT, mtime=0))
    damaged[at % (len(damaged) - 2) + 2] ^= value
    path = tmp_path_factory.mktemp("damaged") / "bags.csv.gz"
    path.write_bytes(damaged)
    try:
        content = read_bytes(path)
    except DataFileError:
        return
    assert content == CONTENT  # the damage was to a name or a date


def test_rubbish_after_the_compressed_data_is_refused(save):
    with pytest.raises(DataFileError, match="damaged"):
        read_bytes(save(gzip.compress(CONTENT) + b"rubbish"))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_content_may_be_limited(save, compress):
    path = save(compress(CONTENT))
    assert read_bytes(path, most=len(CONTENT)) == CONTENT
    with pytest.raises(DataFileError, match=f"more than {len(CONTENT) - 1} bytes"):
        read_bytes(path, most=len(CONTENT) - 1)


def test_what_exceeds_the_limit_is_never_held(save):
    path = save(gzip.compress(bytes(100_000_000), 9))
    tracemalloc.start()
    with pytest.raises(DataFileError, match="more than 1000 bytes"):
        read_bytes(path, most=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "bags.csv.gz")
    with pytest.raises(OSError, match="directory"):
        read_bytes(tmp_path)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("fox.mat", ".mat"),
        ("fox.mat.gz", ".mat"),
        ("a.b/fox.v2.MAT.GZ", ".mat"),
        ("fox", ""),
        ("fox.gz", ""),
        (".gz", ""),
    ],
)
def test_the_suffix_is_that_of_the_content(name, suffix):
    assert inner_suffix(name) == suffix


@pytest.mark.parametrize("name", ["musk1.data.gz", "fox_100x100_matlab.mat.gz"])
def test_published_files_are_decompressed(name):
    path = raw_path_of(name)
    content = read_bytes(path)
    assert zlib.crc32(content) == int(np.frombuffer(path.read_bytes()[-8:], "<u4")[0])
    with gzip.GzipFile(fileobj=io.BytesIO(path.read_bytes())) as file:
        assert file.read() == content
