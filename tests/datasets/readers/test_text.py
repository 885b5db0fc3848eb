import gzip
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmil.datasets.readers._text import (
    Codes,
    gather_bags,
    parse_labels,
    parse_numbers,
    read_lines,
    shorten,
    string_array,
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_lines_keep_their_numbers(tmp_path, compress):
    path = tmp_path / "text"
    path.write_bytes(compress(b"\xef\xbb\xbf first \r\n\n \t\n\xef\xbb\xbflast"))
    assert list(read_lines(path)) == [(1, b"first"), (4, b"\xef\xbb\xbflast")]


def test_numbers_are_those_of_python():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=200), 10.0 ** rng.integers(-300, 300, size=200)])
    texts = [f"{value!r}".encode() for value in values.tolist()]
    assert_array_equal(parse_numbers(texts), values)
    assert parse_numbers([b" +1", b"-.5e-1 ", b"007", b"2."]) == [1, -0.05, 7, 2]
    assert parse_numbers([]) == []


@pytest.mark.parametrize(
    "text", [b"", b"?", b"x", b"1_0", b"nan", b"-Infinity", b"1e999", b"1 2", b"0x1", b"\xd9\xa1"]
)
def test_other_things_are_no_numbers(text):
    with pytest.raises(ValueError, match="value 2 is "):
        parse_numbers([b"1", text, b"2"])
    with pytest.raises(ValueError, match="the value of 'y' is "):
        parse_numbers([b"1", text, b"2"], names=["x", "y", "z"])


def test_long_fields_are_shortened():
    assert shorten(b"ab'c") == '"ab\'c"'
    assert shorten(b"a" * 50, most=3) == "'aaa...'"
    assert shorten(b"\xff") == "'\ufffd'"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-2", "+3", "4.0", "1e3", "9007199254740991"], "i"),
        (["1", "0.5"], "f"),
        (["1", "9007199254740993"], "U"),
        (["1", "inf"], "U"),
        (["1", "\u0663"], "U"),
    ],
)
def test_labels_are_numbers_only_where_these_are_exact(texts, kind):
    labels = parse_labels(texts)
    assert labels.dtype.kind == kind
    assert_array_equal(labels, texts if kind == "U" else list(map(float, texts)))


def test_strings_of_similar_length_become_an_array():
    names = [f"bag {i}" for i in range(1000)]
    assert_array_equal(string_array(names, "name"), names)
    assert string_array(["a" * 30_000, "b"], "name").tolist() == ["a" * 30_000, "b"]
    with pytest.raises(ValueError, match="one name is a text of 30000 characters"):
        string_array([*names, "a" * 30_000], "name")


def test_rows_are_gathered_in_place():
    rng = np.random.default_rng(0)
    instances = rng.normal(size=(1000, 90))
    codes = Codes()
    for name in rng.integers(7, size=1000).tolist():
        codes.add(name)
    expected = instances[np.argsort(codes.index, kind="stable")]
    tracemalloc.start()
    bags, order = gather_bags(instances, codes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < instances.nbytes / 2
    assert_array_equal(bags.instances, expected)
    assert_array_equal(np.asarray(codes.index)[order], np.repeat(np.arange(7), bags.bag_sizes))
