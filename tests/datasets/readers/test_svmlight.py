import gzip
import io

import numpy as np
import pytest
import scipy.sparse as sp
from damaged_files import damaged_copies
from numpy.testing import assert_array_equal
from real_data import load
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from skmil.datasets import DataFileError, read_bags, read_svmlight

QUERIES = """\
# made by hand
1 qid:7 1:0.5 4:-2e1 # first
1 qid:7 2:1.5

-1 qid:9 3:1 4:.25
"""
NAMES = """\
one:bag_a:1 1:0.5 4:-20
two:bag_a:1 2:1.5
one:bag_b:-1 3:1 4:0.25
"""
DENSE = [[0.5, 0, 0, -20], [0, 1.5, 0, 0], [0, 0, 1, 0.25]]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file."""

    def write_text(text, name="bags.svm"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


@pytest.fixture
def scattered():
    """Return sparse instances, their labels and their bags, in no order."""
    rng = np.random.default_rng(0)
    instances = sp.random(50, 30, density=0.2, format="csr", random_state=0)
    bags = rng.integers(6, size=50)
    return instances, np.where(bags % 2, 1, -1), bags + 100


def test_lines_with_a_query_become_sparse_bags(write):
    data = read_svmlight(write(QUERIES))
    assert data.bags.instances.format == "csr"
    assert data.bags.dtype == np.float64
    assert_array_equal(data.bags.instances.toarray(), DENSE)
    assert data.bags.bag_sizes.tolist() == [2, 1]
    assert data.target.dtype == np.int64
    assert data.target.tolist() == [1, -1]
    assert data.bag_ids.dtype == np.int64
    assert data.bag_ids.tolist() == [7, 9]
    assert data.instance_ids is None
    assert data.instance_labels is None


def test_lines_with_names_become_sparse_bags(write):
    data = read_svmlight(write(NAMES))
    assert_array_equal(data.bags.instances.toarray(), DENSE)
    assert data.bags.bag_sizes.tolist() == [2, 1]
    assert data.target.tolist() == [1, -1]
    assert data.bag_ids.tolist() == ["bag_a", "bag_b"]
    assert data.instance_ids.tolist() == ["one", "two", "one"]


@pytest.mark.parametrize("zero_based", [True, False])
def test_files_are_parsed_as_scikit_learn_parses_them(write, scattered, zero_based):
    instances, labels, bags = scattered
    content = io.BytesIO()
    dump_svmlight_file(instances, labels, content, query_id=bags, zero_based=zero_based)
    path = write(content.getvalue())
    expected, expected_labels, query = load_svmlight_file(str(path), query_id=True)
    data = read_svmlight(path)
    order = np.concatenate([np.flatnonzero(query == bag) for bag in data.bag_ids])
    assert_array_equal(data.bags.instances.toarray(), expected.toarray()[order])
    assert_array_equal(np.repeat(data.bag_ids, data.bags.bag_sizes), query[order])
    assert_array_equal(np.repeat(data.target, data.bags.bag_sizes), expected_labels[order])
    assert data.bag_ids.tolist() == list(dict.fromkeys(bags.tolist()))


@pytest.mark.parametrize("layout", ["{label} qid:{bag}", "{i}:{bag}:{label}"])
def test_real_bags_come_back_from_either_layout(write, layout):
    bags, y, _ = load("news_alt_atheism")
    labels = np.repeat(y, bags.bag_sizes)
    lines = [
        layout.format(label=label, bag=bag, i=i)
        + "".join(f" {j + 1}:{x!r}" for j, x in enumerate(row.tolist()) if x)
        for i, (label, bag, row) in enumerate(
            zip(labels, bags.bag_index, bags.instances, strict=True)
        )
    ]
    data = read_svmlight(write("\n".join(lines)), n_features=bags.n_features)
    assert_array_equal(data.bags.instances.toarray(), bags.instances)
    assert_array_equal(data.bags.offsets, bags.offsets)
    assert_array_equal(data.target, y)
    assert_array_equal(data.bag_ids.astype(int), np.arange(bags.n_bags))


def test_labels_that_differ_are_those_of_instances(write):
    data = read_svmlight(write("-1 qid:1 1:1\n+1 qid:2 1:2\n1 qid:1 1:3\n-1 qid:2 1:4\n"))
    assert_array_equal(data.bags.instances.toarray().ravel(), [1, 3, 2, 4])
    assert data.target.tolist() == [1, 1]
    assert data.instance_labels.tolist() == [-1, 1, 1, -1]
    data = read_svmlight(write("a:x:0 1:1\nb:x:1 1:2\nc:y:0 1:3\n"))
    assert data.target.tolist() == [1, 0]
    assert data.instance_labels.tolist() == [0, 1, 0]


def test_other_labels_must_agree_in_a_bag(write):
    data = read_svmlight(write("3 qid:1 1:1\n0.5 qid:2 1:2\n3.0 qid:1 1:3\n"))
    assert data.target.dtype == np.float64
    assert data.target.tolist() == [3, 0.5]
    with pytest.raises(DataFileError, match="Bag 1 has more than one value in the label: 3 and 2"):
        read_svmlight(write("3 qid:1 1:1\n2 qid:1 1:3\n"))
    with pytest.raises(DataFileError, match=r"Bag 'x' has more than one value .*: -1 and 0"):
        read_svmlight(write("a:x:-1 1:1\nb:x:0 1:3\nc:y:1 1:1\n"))


def test_an_instance_may_be_zero_everywhere(write):
    data = read_svmlight(write("1 qid:1\n1 qid:1 2:1\n0 qid:2\n"))
    assert_array_equal(data.bags.instances.toarray(), [[0, 0], [0, 1], [0, 0]])
    assert read_svmlight(write("1 qid:1\n0 qid:2\n"), n_features=3).bags.n_features == 3
    with pytest.raises(DataFileError, match=r"no instance has a feature\. Give n_features"):
        read_svmlight(write("1 qid:1\n0 qid:2\n"))


def test_first_index(write):
    one_based, zero_based = write(QUERIES), write("1 qid:1 0:5 2:6\n", "zero.svm")
    assert read_svmlight(one_based, zero_based=False).bags.n_features == 4
    assert read_svmlight(one_based, zero_based=True).bags.n_features == 5
    assert_array_equal(read_svmlight(zero_based).bags.instances.toarray(), [[5, 0, 6]])
    with pytest.raises(DataFileError, match=r"zero\.svm, line 1: the index 0 .* zero_based=True"):
        read_svmlight(zero_based, zero_based=False)


def test_number_of_features(write):
    path = write(QUERIES)
    data = read_svmlight(path, n_features=6)
    assert_array_equal(data.bags.instances.toarray()[:, :4], DENSE)
    assert data.bags.n_features == 6
    assert read_svmlight(path, n_features=np.int64(4)).bags.n_features == 4
    with pytest.raises(DataFileError, match=r"line 2: the index 4 .* too large for n_features=3"):
        read_svmlight(path, n_features=3)


def test_wide_bags_take_no_memory(write):
    data = read_svmlight(write("1 qid:1 2147483646:5 # as wide as can be\n0 qid:2 1:1\n"))
    assert data.bags.n_features == 2147483646
    assert data.bags.instances.nnz == 2
    assert data.bags.instances.indices.tolist() == [2147483645, 0]
    assert data.bags.instances.indices.dtype == np.int32


@pytest.mark.parametrize("index", ["2147483647", "2147483648", "4294967297", "9" * 5000])
def test_wider_bags_are_refused(write, index):
    with pytest.raises(DataFileError, match=r"line 2: the index '\d+' .* above 2147483646"):
        read_svmlight(write(f"0 qid:2 1:1\n1 qid:1 1:2 {index}:5\n"))


def test_an_index_may_begin_with_zeros(write):
    data = read_svmlight(write(f"0 qid:2 1:1 {'0' * 5000}3:2\n"))
    assert_array_equal(data.bags.instances.toarray(), [[1, 0, 2]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_features": 0}, ValueError, "n_features must be from 1"),
        ({"n_features": 2**31}, ValueError, "n_features must be from 1 to 2147483647"),
        ({"n_features": 2.5}, TypeError, "n_features must be an integer"),
        ({"zero_based": "no"}, ValueError, 'zero_based must be True, False or "auto"'),
    ],
)
def test_parameters_are_checked(write, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        read_svmlight(write(QUERIES), **arguments)
    assert not isinstance(caught.value, DataFileError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": it holds no instances"),
        ("# nothing\n", ": it holds no instances"),
        ("1\n", "line 1: the bag of the instance is missing: .*, got ''"),
        ("1 1:0.5\n", "line 1: the bag of the instance is missing: .*, got '1:0.5'"),
        ("1 qid:1 1:1\n1 2:1\n", "line 2: the bag of the instance is missing"),
        ("1 qid:a 1:1\n", "line 1: the bag after 'qid:' must be an integer, got 'a'"),
        ("1 qid:1_0 1:1\n", "line 1: the bag after 'qid:' must be an integer"),
        (f"1 qid:{2**63} 1:1\n", "line 1: the bag after 'qid:' must be an integer"),
        ("x qid:1 1:1\n", "line 1: the value of 'label' is not a number: 'x'"),
        ("nan qid:1 1:1\n", "line 1: the value of 'label' is not finite"),
        ("1 qid:1 1:x\n", "line 1: value 1 is not a number: 'x'"),
        ("1 qid:1 1:1 2:inf\n", "line 1: value 2 is not finite: 'inf'"),
        ("1 qid:1 1:1 2\n", "line 1: value 2 is missing: ''"),
        ("1 qid:1 1:1:1\n", "line 1: value 1 is not a number: '1:1'"),
        ("1 qid:1 -1:1\n", "line 1: the index of a feature must be a whole number, got '-1'"),
        ("1 qid:1 1_0:1\n", "line 1: the index .* got '1_0'"),
        ("1 qid:1 1.5:1\n", "line 1: the index .* got '1.5'"),
        ("1 qid:1 :1\n", "line 1: the index .* got ''"),
        ("1 qid:1 2:1 1:1\n", "line 1: the indices of the features must rise"),
        ("1 qid:1 2:1 2:1\n", "line 1: the indices of the features must rise"),
        ("1:2 3:1\n", "line 1: it must begin with 'instance:bag:label', got '1:2'"),
        ("a:b:1 1:1\na:b:c:1 1:1\n", "line 2: it must begin with 'instance:bag:label'"),
        ("a:b:1 1:1\n1 qid:1 1:1\n", "line 2: it must begin with 'instance:bag:label'"),
        ("a::1 1:1\n", "line 1: the bag name is empty"),
        (b"a:\xff:1 1:1\n", "line 1: the bag name is not text"),
        (b"\x1f\x8b damaged", "gzip"),
    ],
)
def test_lines_that_are_no_instances_are_refused(write, text, message):
    with pytest.raises(DataFileError, match=rf"bags\.svm.*{message}"):
        read_svmlight(write(text))


@pytest.mark.parametrize("text", [QUERIES, NAMES])
def test_a_damaged_file_is_read_or_refused_but_never_crashes(write, text):
    n_refused = 0
    for content in damaged_copies(text.encode(), 400):
        try:
            read_svmlight(write(content))
        except DataFileError:
            n_refused += 1
    assert 100 < n_refused < 400


@pytest.mark.parametrize("suffix", [".svm", ".svmlight", ".libsvm", ".svm.gz", ".LIBSVM.gz"])
def test_the_suffix_chooses_this_reader(write, suffix):
    content = NAMES.encode()
    path = write(gzip.compress(content) if "gz" in suffix else content, f"bags{suffix}")
    assert read_bags(path, n_features=5).bags.n_features == 5
