import gzip

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmil.datasets import DataFileError
from skmil.datasets.readers._numbers import read_integers, read_numbers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "numbers.csv"


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", "\t "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_numbers_are_exact_whatever_parts_them(path, separator, end):
    numbers = np.random.default_rng(0).normal(size=(7, 5)) * 10.0 ** np.arange(-300, 200, 100)
    lines = [separator.join(map(repr, row)) for row in numbers.tolist()]
    path.write_text(end.join(lines) + end, newline="")
    assert_array_equal(read_numbers(path), numbers)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert_array_equal(read_numbers(path), numbers)


def test_a_byte_order_mark_is_no_number(path):
    path.write_bytes(b"\xef\xbb\xbf1,2\r\n3,4\r\n")
    assert read_integers(path).tolist() == [[1, 2], [3, 4]]


def test_a_single_row_and_a_single_column_stay_what_they_are(path):
    path.write_text("1,2e-4,3")
    assert read_numbers(path).tolist() == [[1, 2e-4, 3]]
    path.write_text("1\n2\n3\n")
    assert read_numbers(path).tolist() == [[1], [2], [3]]
    assert read_integers(path).dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"\x1c\n", "no table of numbers"),
        ("\xa0".encode(), "no table of numbers"),
        (b"1,2\n3\n", "the number of columns changed from 2 to 1 at row 2.$"),
        (b"1,2\n3,x\n", "could not convert string 'x' to float64 at row 1, column 2"),
        (b"1,2\n3,\n", "could not convert string '' to float64"),
        (b"1\n1_0\n", "could not convert string '1_0'"),
        (b"1,\xff\n", "no table of numbers"),
        (b"1,2\n3,nan\n", "row 1: there is no finite number but nan"),
        (b"1e999\n", "row 0: there is no finite number but inf"),
    ],
)
def test_text_that_is_no_table_of_numbers_is_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=rf"numbers\.csv.*{message}"):
        read_numbers(path)


@pytest.mark.parametrize("text", ["1.5", "1e300", "9007199254740992"])
def test_integers_are_whole_and_exact(path, text):
    path.write_text(f"1,2\n3,{text}\n")
    with pytest.raises(DataFileError, match="row 1: there is no integer but"):
        read_integers(path)
