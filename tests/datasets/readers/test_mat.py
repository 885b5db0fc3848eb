import gzip
import shutil
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import given
from numpy.testing import assert_array_equal
from real_data import path_of, raw_path_of
from scipy.io.matlab import MatlabObject
from strategies import ragged_bags

from skmil.datasets import DataFileError, read_bags, read_mat, read_npz

INSTANCES = np.arange(12.0).reshape(6, 2)
OFFSETS = np.array([0, 1, 4, 6])
TARGET = np.array([0, 1, 1])


def cells_of(bags, labels):
    cells = np.empty((len(labels), 2), dtype=object)
    for i, (bag, label) in enumerate(zip(bags, labels, strict=True)):
        cells[i, 0], cells[i, 1] = bag, label
    return cells


def rows(*rows):
    """Return a cell array of these rows."""
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            cells[i, j] = value
    return cells


@pytest.fixture
def save(tmp_path):
    """Return a function that writes variables to a file."""

    def save_variables(variables, name="bags.mat", **options):
        path = tmp_path / name
        scipy.io.savemat(path, variables, **options)
        return path

    return save_variables


def assert_is_result(data, instances=INSTANCES, offsets=OFFSETS, target=TARGET):
    assert_array_equal(data.bags.instances, instances)
    assert_array_equal(data.bags.offsets, offsets)
    assert_array_equal(data.target, target)
    assert data.target.dtype.kind in "iU"


# Published files against the checked conversions of them.


def assert_is_published(data, name):
    reference = read_npz(path_of(name))
    instances, expected = data.bags.instances, reference.bags.instances
    if sp.issparse(expected):
        for part in ("data", "indices", "indptr"):
            assert getattr(instances, part).tobytes() == getattr(expected, part).tobytes()
        assert instances.shape == expected.shape
        assert instances.dtype == expected.dtype
    else:
        assert instances.astype(expected.dtype).tobytes() == expected.tobytes()
    assert_array_equal(data.bags.offsets, reference.bags.offsets)
    assert_array_equal(data.target, reference.target)
    assert data.target.dtype == np.int64
    if reference.instance_labels is None:
        assert data.instance_labels is None
    else:
        assert_array_equal(data.instance_labels, reference.instance_labels)


@pytest.mark.parametrize("name", ["elephant", "fox", "tiger"])
def test_published_instance_tables_are_read(name):
    data = read_mat(raw_path_of(f"{name}_100x100_matlab.mat.gz"), n_features=230)
    assert_is_published(data, name)
    assert data.bag_ids.tolist() == list(range(1, 201))
    assert data.leak is None


def test_published_files_in_three_parts_are_read():
    paths = [raw_path_of(f"{name}.mat") for name in ("BagI", "X", "Bag2")]
    for path in (paths, paths[0].parent):  # the files, in any order, or their folder
        data = read_mat(path)
        assert_is_published(data, "musk2")
        assert data.bags.dtype == np.float64
        assert data.bag_ids.tolist() == list(range(1, 103))


@pytest.mark.parametrize("name", ["alt_atheism", "comp_graphics"])
def test_published_cell_arrays_with_instance_labels_are_read(name):
    path = raw_path_of(f"{name}.mat.gz")
    with pytest.warns(UserWarning, match=r"last column is not a feature: .* and is dropped"):
        found = read_mat(path)
    told = read_mat(path, instance_label_column="last", n_features=200)  # does not warn
    for data in (found, told):
        assert_is_published(data, f"news_{name}")
        assert_array_equal(data.target_design, data.target)
        assert data.leak == "the last of 201 columns held labels of the instances; it was dropped"


def test_published_sparse_cell_arrays_with_bag_labels_are_read():
    path = raw_path_of("web1.mat.gz")
    with pytest.warns(UserWarning, match="last column"):
        found = read_mat(path)
    told = read_bags(path, instance_label_column="last", n_features=5863)
    for data in (found, told):
        assert_is_published(data, "web1")
        assert data.target_design is None
        assert data.leak == "the last of 5864 columns held the labels of the bags; it was dropped"


def test_a_large_file_that_is_mostly_zero_takes_little_memory():
    path = raw_path_of("web1.mat.gz")  # 160 MB once inflated
    tracemalloc.start()
    read_mat(path, instance_label_column="last")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


# The layouts.


def instance_table(**changes):
    labels = np.repeat(2 * TARGET - 1, np.diff(OFFSETS))
    variables = {
        "features": sp.csc_matrix(INSTANCES),
        "labels": sp.csc_matrix(labels[np.newaxis].astype(float)),
        "bag_ids": np.repeat([5, 7, 9], np.diff(OFFSETS))[np.newaxis],
    }
    return variables | changes


@pytest.mark.parametrize("compressed", [False, True])
def test_instance_tables_are_read(save, compressed):
    data = read_mat(save(instance_table(), do_compression=compressed))
    assert_is_result(data)
    assert data.bag_ids.tolist() == [5, 7, 9]
    dense = instance_table(features=INSTANCES.astype(np.int8), labels=[[0, 1, 1, 1, 1, 1]])
    assert_is_result(read_mat(save(dense)))


def test_rows_of_a_bag_need_not_be_adjacent(save):
    order = [4, 1, 0, 5, 2, 3]
    variables = instance_table()
    shuffled = {
        "features": variables["features"][order],
        "labels": variables["labels"][:, order],
        "bag_ids": variables["bag_ids"][:, order],
    }
    data = read_mat(save(shuffled))
    assert_is_result(data, INSTANCES[[4, 5, 1, 2, 3, 0]], [0, 2, 5, 6], [1, 1, 0])
    assert data.bag_ids.tolist() == [9, 7, 5]


def separate(**changes):
    return {
        "X": INSTANCES.astype(np.int16),
        "Bag2": np.repeat([[1, 2, 3]], np.diff(OFFSETS), axis=1),
        "bagI": TARGET[:, np.newaxis] == 1,
    } | changes


def test_the_three_parts_may_be_one_file_three_or_a_folder(save, tmp_path):
    assert_is_result(read_mat(save(separate())))
    (tmp_path / "bags.mat").unlink()
    paths = [save({name: value}, f"{name}_scaled.mat") for name, value in separate().items()]
    assert_is_result(read_mat(paths))
    assert_is_result(read_mat(tmp_path))
    packed = tmp_path / "X_scaled.mat.gz"
    packed.write_bytes(gzip.compress(paths[0].read_bytes()))
    with pytest.raises(DataFileError, match=r"one file X\.mat, but there are 2"):
        read_mat(tmp_path)
    paths[0].unlink()
    assert_is_result(read_mat(tmp_path))
    with pytest.raises(DataFileError, match=r"'Bag2': another file has a variable of that name"):
        read_mat([*paths[1:], paths[1]])


def test_bags_are_numbered_by_their_labels_not_by_their_place(save):
    variables = separate(Bag2=np.array([[2, 2, 3, 3, 3, 1]]))
    data = read_mat(save(variables))
    assert_is_result(data, offsets=[0, 2, 5, 6], target=[1, 1, 0])
    assert data.bag_ids.tolist() == [2, 3, 1]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_cell_arrays_are_read(save, compressed, dtype):
    cells = cells_of(np.split(INSTANCES.astype(dtype), OFFSETS[1:-1]), TARGET)
    data = read_mat(save({"data": cells}, do_compression=compressed))
    assert_is_result(data)
    assert data.bags.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert data.bag_ids is data.instance_labels is data.leak is data.target_design is None


def test_labels_may_be_text_and_bags_sparse(save):
    bags = [sp.csc_matrix(bag) for bag in np.split(INSTANCES, OFFSETS[1:-1])]
    data = read_mat(save({"bags": cells_of(bags, ["no", "yes ", "yes"])}))
    assert_is_result(data, target=["no", "yes", "yes"])


def dataset(**changes):
    """What struct() makes of a dataset of PRTools; messidor.mat has these fields."""
    lists = rows(
        [np.array(["negative", "positive"]), np.array([[0.3, 0.7]]), np.zeros((0, 0)), "crisp"],
        ["millab ", 1, 0, np.zeros((1, 0))],
    )
    return {
        "data": INSTANCES,
        "lablist": lists,
        "nlab": np.repeat(TARGET + 1, np.diff(OFFSETS))[:, np.newaxis].astype(np.uint8),
        "labtype": "crisp",
        "targets": np.zeros((0, 0)),
        "featlab": np.zeros((0, 0)),
        "objsize": 6,
        "featsize": 2,
        "ident": {
            "ident": np.arange(1, 7, dtype=np.uint16)[:, np.newaxis],
            "milbag": np.repeat([1, 2, 9], np.diff(OFFSETS))[:, np.newaxis].astype(np.uint16),
        },
        "version": rows([{"Name": "Pattern Recognition Tools"}, "15-Dec-2014 11:28:29"]),
        "name": "some eyes",
        "user": {"user": {"mil": {"combinerule": "presence"}}},
    } | changes


def as_object(fields):
    record = np.empty((1, 1), dtype=[(name, object) for name in fields])
    record[0, 0] = tuple(fields.values())
    return MatlabObject(record, "prdataset")


@pytest.mark.parametrize("form", [dict, as_object])
@pytest.mark.parametrize("compressed", [False, True])
def test_datasets_of_prtools_are_read(save, form, compressed):
    data = read_mat(save({"x": form(dataset())}, do_compression=compressed))
    assert_is_result(data, target=["negative", "positive", "positive"])
    assert data.bag_ids.tolist() == [1, 2, 9]
    assert data.instance_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert data.instance_labels is data.feature_names is None


def test_datasets_may_have_one_list_of_labels_and_names_for_all(save):
    fields = dataset(
        lablist=np.array([[-1], [1]]),
        featlab=np.array(["width ", "height"]),
        ident={"milbag": np.repeat(["red", "blue", "red2"], np.diff(OFFSETS))},
    )
    data = read_mat(save({"x": fields}))
    assert_is_result(data)
    assert data.bag_ids.tolist() == ["red", "blue", "red2"]
    assert data.instance_ids is None
    assert data.feature_names == ["width", "height"]


def test_the_current_list_of_labels_is_taken(save):
    lists = rows(
        [np.array(["a", "b"]), 0, 0],
        [rows(["no"], ["yes"]), 0, 0],  # a cell array of text
        [np.array(["first", "last"]), 2, 0],
    )
    nlab = np.column_stack([np.ones(6), np.repeat(TARGET + 1, np.diff(OFFSETS))])
    data = read_mat(save({"x": dataset(lablist=lists, nlab=nlab)}))
    assert_is_result(data, target=["no", "yes", "yes"])


def test_a_bag_is_positive_if_one_instance_is(save):
    fields = dataset(nlab=np.array([[1, 1, 2, 1, 2, 2]]).T)
    data = read_mat(save({"x": fields}))
    assert_is_result(data, target=["negative", "positive", "positive"])
    names = np.array(["negative", "positive"])
    assert data.instance_labels.tolist() == names[[0, 0, 1, 0, 1, 1]].tolist()
    del fields["user"]
    assert_is_result(read_mat(save({"x": fields})), target=["negative", "positive", "positive"])
    fields["user"] = {"mil": {"combinerule": "majority"}}
    with pytest.raises(
        DataFileError, match=r"variable 'x': .*'presence', which here is 'majority'"
    ):
        read_mat(save({"x": fields}))


# The last column.


def labelled_cells(n_bags=40, n_without=0):
    """Bags with the labels of their instances in the last of four columns."""
    rng = np.random.default_rng(0)
    target = np.arange(n_bags) % 2
    bags = []
    for i, label in enumerate(target):
        bag = rng.normal(size=(5, 4))
        bag[:, -1] = 0
        bag[0, -1] = label and i >= 2 * n_without
        bags.append(bag)
    return bags, target


def test_positive_bags_without_a_witness_keep_their_label_as_the_design(save):
    bags, target = labelled_cells(n_without=2)
    path = save({"data": cells_of(bags, target)})
    with pytest.warns(UserWarning, match="dropped"):
        data = read_mat(path)
    assert data.bags.n_features == 3
    assert_array_equal(data.bags.instances, np.vstack(bags)[:, :-1])
    assert_array_equal(data.instance_labels, np.vstack(bags)[:, -1])
    assert_array_equal(data.target_design, target)
    assert np.flatnonzero(data.target != target).tolist() == [1, 3]


def test_the_warning_points_to_the_caller(save):
    path = save({"data": cells_of(*labelled_cells())})
    with pytest.warns(UserWarning, match="dropped") as record:
        read_mat(path)
    assert record[0].filename == __file__


def test_signs_are_labels_too(save):
    bags, target = labelled_cells()
    for bag in bags:
        bag[:, -1] = 2 * bag[:, -1] - 1
    data = read_mat(save({"data": cells_of(bags, 2 * target - 1)}), instance_label_column="last")
    assert_array_equal(data.target, target)
    assert set(data.instance_labels) == {0, 1}


def test_the_last_column_of_every_layout_is_looked_at(save):
    bags, target = labelled_cells()
    stacked = np.vstack(bags)
    order = np.random.default_rng(1).permutation(len(stacked))
    variables = {
        "features": sp.csc_matrix(stacked[order]),
        "labels": np.repeat(target, 5)[order],
        "bag_ids": np.repeat(np.arange(40), 5)[order],
    }
    with pytest.warns(UserWarning, match="dropped"):
        data = read_mat(save(variables))
    assert data.bags.n_features == 3
    for i, bag_id in enumerate(data.bag_ids):
        rows_of_bag = order[variables["bag_ids"] == bag_id]
        assert_array_equal(data.bags[i], stacked[rows_of_bag, :-1])
        assert_array_equal(data.instance_labels[data.bags.bag_index == i], stacked[rows_of_bag, -1])


def test_with_few_bags_the_column_is_kept_and_suspected(save):
    path = save({"data": cells_of(*labelled_cells(n_bags=10))})
    with pytest.warns(UserWarning, match="may hold labels, .* 10 bags it cannot be told"):
        assert read_mat(path).bags.n_features == 4
    assert read_mat(path, instance_label_column=None).bags.n_features == 4
    assert read_mat(path, instance_label_column="last").bags.n_features == 3


def test_a_caller_who_knows_better_keeps_the_column(save):
    bags, target = labelled_cells()
    data = read_mat(save({"data": cells_of(bags, target)}), instance_label_column=None)
    assert_array_equal(data.bags.instances, np.vstack(bags))
    assert data.leak is None


@given(bags=ragged_bags(max_bags=40))
def test_honest_features_are_never_dropped(tmp_path_factory, bags):
    path = tmp_path_factory.mktemp("honest") / "bags.mat"
    target = np.arange(bags.n_bags) % 2
    signs = bags.instances > 0
    for features in (bags.instances, signs):
        scipy.io.savemat(path, {"data": cells_of(np.split(features, bags.offsets[1:-1]), target)})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*it cannot be told")
            data = read_mat(path)
        assert_array_equal(data.bags.instances, features)


def test_a_column_that_cannot_be_labels_is_not_dropped_as_such(save):
    bags, target = labelled_cells()
    bags[0][0, -1] = 0.5
    path = save({"data": cells_of(bags, target)})
    assert read_mat(path).bags.n_features == 4
    with pytest.raises(DataFileError, match=r"0\.5 is the label of no bag"):
        read_mat(path, instance_label_column="last")


def test_the_number_of_features_is_checked(save):
    path = save({"data": cells_of(*labelled_cells())})
    read_mat(path, n_features=3, instance_label_column="last")
    read_mat(path, n_features=4, instance_label_column=None)
    with pytest.raises(DataFileError, match=r"there are 4 features, not 3.*'last'"):
        read_mat(path, n_features=3, instance_label_column=None)


# Sparse or dense.


def test_the_caller_may_choose_sparse_or_dense(save):
    bags = [np.eye(80)[:3], np.eye(80)[3:]]
    path = save({"data": cells_of(bags, [0, 1])})
    for sparse in ("auto", False):
        assert_array_equal(read_mat(path, sparse=sparse).bags.instances, np.eye(80))
    instances = read_mat(path, sparse=True).bags.instances
    assert instances.format == "csr"
    assert instances.nnz == 80
    assert_array_equal(instances.toarray(), np.eye(80))


def test_sparse_files_stay_sparse_if_they_are(save):
    for density, is_sparse in [(0.2, True), (0.3, False)]:
        features = sp.random(6, 100, density, format="csc", random_state=0)
        path = save(instance_table(features=features))
        assert sp.issparse(read_mat(path).bags.instances) == is_sparse
        assert_array_equal(read_mat(path, sparse=False).bags.instances, features.toarray())


def test_negative_zeros_survive_where_they_can(save):
    bag = np.zeros((80, 80))
    bag[3, 5] = -0.0
    path = save({"data": cells_of([bag, bag + 1], [0, 1])})
    instances = read_mat(path).bags.instances
    assert instances.tobytes() == np.vstack([bag, bag + 1]).tobytes()
    assert read_mat(path, sparse=True).bags.instances.nnz == 6400


def test_a_huge_dense_matrix_is_not_made_of_next_to_nothing(save):
    features = sp.hstack([sp.csc_matrix(INSTANCES), sp.csc_matrix((6, 5_000_000))], format="csc")
    path = save(instance_table(features=features))
    assert read_mat(path).bags.n_features == 5_000_002
    with pytest.raises(DataFileError, match=r"dense matrix .* is refused\. Pass sparse=True"):
        read_mat(path, sparse=False)


# What is refused.


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"z": [[1]]}, r"the variables \['z'\] are of no known layout"),
        ({}, "of no known layout"),
        (instance_table(labels=[[1, 1, -1, 1, 1, 1]]), r"Bag 7 has more than one .*: 1 and 0"),
        (instance_table(labels=[[1, 1]]), "'labels' must have 6 values, but has 2"),
        (instance_table(labels=[[1, 1, 1, 1, 1, np.nan]]), "label 6 of 6 is nan"),
        (instance_table(labels=np.eye(6)), "'labels' must be one row or column"),
        (instance_table(labels=sp.csc_matrix(np.eye(6))), "'labels' must be one row or column"),
        (instance_table(labels=sp.csc_matrix((1_000_000, 1))), "1000000 rows for 0 numbers"),
        (instance_table(features=np.ones((2, 3, 4))), "'features' must be a matrix, but has 3"),
        (instance_table(features=INSTANCES * 1j), "'features' must be a matrix of real numbers"),
        (instance_table(features="text"), "'features' must be a matrix of real numbers"),
        (instance_table(features={"a": 1}), "'features' must be a matrix of real numbers"),
        (instance_table(features=INSTANCES * np.nan), "Bag 0 contains"),
        (instance_table(features=np.full((6, 2), 2**53 + 1)), r"beyond 2\*\*53"),
        (instance_table(features=sp.csc_matrix((10_000_000, 2))), "10000000 rows for 0 numbers"),
        (separate(Bag2=[[0, 1, 1, 2, 2, 2]]), "must number the 3 bags"),
        (separate(Bag2=[[1, 2, 2, 2, 2, 2.5]]), "must number the 3 bags"),
        (separate(Bag2=[[1, 1, 1, 1, 2, 2]]), "bag 3 has a label in 'BagI', but no instance"),
        (separate(Bag2=[[1, 2, 3]]), "'Bag' must have 6 values, but has 3"),
        (separate(bagI=[[1, 0]]), "must number the 2 bags"),
        ({"data": np.empty((0, 2), dtype=object)}, "the cell array 'data' is empty"),
        ({"data": rows([INSTANCES, 1], [[[1]], 0])}, "cell {2,1}: the bag has 1 columns"),
        ({"data": rows(["text", 1])}, "cell {1,1}: the bag must be a matrix of real numbers"),
        ({"data": rows([rows([1]), 1])}, "cell {1,1}: the bag must be a matrix of real numbers"),
        ({"data": rows([INSTANCES, [1, 2]])}, "cell {1,2}: a bag has one label, not 2"),
        ({"data": rows([INSTANCES, np.zeros((0, 0))])}, "cell {1,2}: a bag has one label, not 0"),
        ({"data": rows([INSTANCES, 0], [INSTANCES, "a"])}, "partly numbers and partly text"),
        ({"data": rows([INSTANCES, 0], [INSTANCES[:0], 1])}, "Bag 1 is empty"),
        ({"data": rows([INSTANCES[:, :0], 0])}, "0 feature"),
        ({"data": rows([INSTANCES, 0], [INSTANCES + np.inf, 1])}, "Bag 1 contains"),
        ({"data": rows([INSTANCES, np.nan])}, "label 1 of 1 is nan"),
        ({"a": rows([INSTANCES, 0]), "b": rows([INSTANCES, 0])}, "each of 'a', 'b' could be"),
        ({"x": dataset(ident=[[1]])}, "variable 'x': the field 'ident' has no 'milbag'"),
        ({"x": dataset(ident={"milbag": [[1]]})}, "'ident.milbag' must have 6 values"),
        ({"x": dataset(nlab=[[1]])}, "'nlab' has the shape"),
        ({"x": dataset(nlab=sp.csc_matrix(np.eye(6)))}, "'nlab' has the shape"),
        ({"x": dataset(nlab=np.zeros((6, 1)))}, "instance 1 has no label: 'nlab' is 0"),
        ({"x": dataset(nlab=np.full((6, 1), 3))}, "instance 1 has no label: 'nlab' is 3"),
        ({"x": dataset(lablist=rows(["a"]))}, "variable 'x'"),
        ({"x": dataset(lablist=rows([["a", "b"], 1], ["c", 9]))}, "which list is the current"),
        ({"x": dataset(data="text")}, "'data' must be a matrix of real numbers"),
    ],
)
def test_variables_that_are_no_bags_are_refused(save, variables, message):
    message = message.replace("{", r"\{").replace("}", r"\}")
    for sparse in ("auto", True, False):
        with pytest.raises(DataFileError, match=rf"bags\.mat.*{message}"):
            read_mat(save(variables), sparse=sparse)


def test_many_sparse_bags_without_numbers_are_refused(save):
    bags = [sp.csc_matrix((1000, 2))] * 101
    labels = [[[i % 2]] for i in range(len(bags))]
    with pytest.raises(DataFileError, match="have 101000 rows for 0 numbers"):
        read_mat(save({"data": cells_of(bags, labels)}))
    assert read_mat(save({"data": cells_of(bags[:99], labels[:99])})).bags.n_instances == 99_000


def test_one_very_long_text_is_not_repeated(save):
    texts = ["y" * 50_000] + ["no"] * 100
    bags = [np.ones((1, 2))] * len(texts)
    with pytest.raises(DataFileError, match="one label is a text of 50000 characters"):
        read_mat(save({"data": cells_of(bags, texts)}))


def test_variables_that_are_something_else_do_no_harm(save):
    cells = cells_of(np.split(INSTANCES, OFFSETS[1:-1]), TARGET)
    about = {"about": rows(["author", "somebody"], ["year", 2004]), "comment": "old", "n": 3}
    assert_is_result(read_mat(save({"data": cells} | about)))
    assert_is_result(read_mat(save({"x": dataset(lablist=[[0], [1]])} | about | {"x2": 1})))
    assert_is_result(read_mat(save(separate() | about)))
    with pytest.raises(DataFileError, match="each of 'Bag2', 'Bag' could be what is read"):
        read_mat(save(separate() | {"Bag": [[1]]}))


def test_nothing_is_left_of_a_single_column_without_the_last(save):
    path = save({"data": rows([[[1.0]], 1], [[[0.0]], 0])})
    assert read_mat(path).bags.n_features == 1
    with pytest.raises(DataFileError, match="there are 1 columns, so none is left"):
        read_mat(path, instance_label_column="last")


def test_parameters_are_checked(save):
    path = save(instance_table())
    with pytest.raises(ValueError, match=r"instance_label_column must be .* got 'first'"):
        read_mat(path, instance_label_column="first")
    with pytest.raises(ValueError, match=r"sparse must be .* got 'yes'"):
        read_mat(path, sparse="yes")


def test_files_that_are_not_there_say_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_mat(tmp_path / "bags.mat")
    with pytest.raises(DataFileError, match=r"one file X\.mat, but there are 0"):
        read_mat(tmp_path)


def test_the_suffix_of_compressed_files_is_seen_through(save, tmp_path):
    path = save(instance_table())
    packed = tmp_path / "other.MAT.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert_is_result(read_bags(packed))


def damaged_copies(content, n_copies, rng):
    """Yield copies with a few bytes, bits or whole numbers changed, or cut short."""
    numbers = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 20, 14, 15, 5]
    for i in range(n_copies):
        copy = bytearray(content)
        for at in rng.integers(128, len(copy) - 8, rng.integers(1, 4)):
            if i % 3 == 0:
                copy[at] = rng.integers(256)
            elif i % 3 == 1:
                copy[at] ^= 1 << rng.integers(8)
            else:
                copy[at - at % 4 : at - at % 4 + 4] = struct.pack("<I", rng.choice(numbers))
        yield bytes(copy[: rng.integers(len(copy))] if i % 10 == 9 else copy)


@pytest.mark.parametrize("layout", ["table", "parts", "cells", "dataset"])
def test_a_damaged_file_is_read_or_refused_but_never_crashes(save, layout):
    cells = cells_of(np.split(INSTANCES, OFFSETS[1:-1]), TARGET)
    variables = {
        "table": instance_table(),
        "parts": separate(),
        "cells": {"data": cells},
        "dataset": {"x": dataset()},
    }[layout]
    path = save(variables)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    tracemalloc.start()
    for copy in damaged_copies(content, 150, rng):
        path.write_bytes(copy)
        try:
            read_mat(path, instance_label_column=None)
        except DataFileError:
            n_refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_refused > 50
    assert peak < 2_000_000


@pytest.mark.parametrize("name", ["alt_atheism.mat.gz", "elephant_100x100_matlab.mat.gz"])
def test_damaged_copies_of_published_files_are_read_or_refused(tmp_path, name):
    content = gzip.decompress(raw_path_of(name).read_bytes())
    if content[128] == 15:  # damage what is compressed, not the compressed form of it
        content = content[:128] + zlib.decompress(content[136:])
    path = tmp_path / "bags.mat"
    n_refused = 0
    for copy in damaged_copies(content[:400], 40, np.random.default_rng(0)):
        path.write_bytes(copy + content[400:])
        try:
            read_mat(path, instance_label_column=None)
        except DataFileError:
            n_refused += 1
    assert n_refused > 10


def test_a_folder_may_hold_other_files(save, tmp_path):
    save(separate(), "other.mat")
    for name, value in separate().items():
        save({name: value}, f"{name}.mat")
    shutil.copy(tmp_path / "X.mat", tmp_path / "X.txt")
    assert_is_result(read_mat(tmp_path))
