import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict, train_test_split
from strategies import ragged_bags

from skmil import Bags, check_bags
from skmil.bags import take_rows


def as_list(bags):
    return [np.asarray(bag.todense()) if sp.issparse(bag) else bag for bag in bags]


def assert_same_bags(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(as_list(found), as_list(expected), strict=True):
        assert_array_equal(a, b)


LIST = [np.arange(6.0).reshape(3, 2), np.ones((1, 2)), -np.ones((2, 2))]


# --- The container -----------------------------------------------------------------------


@given(ragged_bags())
def test_packing_a_list_and_unpacking_gives_it_back(bags):
    assert_same_bags(check_bags(list(bags)), bags)
    assert_array_equal(bags.bag_sizes, [len(bag) for bag in bags])
    assert_array_equal(bags.bag_index, np.repeat(range(len(bags)), [len(bag) for bag in bags]))
    assert bags.shape == (bags.n_bags,) == (len(bags),)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_the_size_in_memory_is_that_of_the_instances_and_no_more_for_a_slice(as_sparse):
    instances = np.ones((5000, 10))
    bags = Bags(sp.csr_matrix(instances) if as_sparse else instances, np.arange(0, 5001, 10))
    n_bytes = 5000 * 10 * (12 if as_sparse else 8)  # an index of int32 with each sparse value
    assert n_bytes < sys.getsizeof(bags) < 1.1 * n_bytes
    assert n_bytes / 5 < sys.getsizeof(bags[:100]) < 1.1 * n_bytes / 5


@given(ragged_bags(), st.data())
def test_indexing_bags_is_indexing_the_list(bags, data):
    listed = list(bags)
    n = len(listed)
    indices = data.draw(st.lists(st.integers(-n, n - 1), max_size=8))
    assert_same_bags(bags[np.array(indices, dtype=int)], [listed[i] for i in indices])
    assert_same_bags(bags[np.array(indices, dtype=int), ...], [listed[i] for i in indices])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assert_same_bags(bags[mask], [bag for bag, kept in zip(listed, mask, strict=True) if kept])
    key = data.draw(st.slices(n))
    assert_same_bags(bags[key], listed[key])
    i = data.draw(st.integers(-n, n - 1))
    assert_array_equal(bags[i], listed[i])


@given(ragged_bags(), st.data())
def test_take_rows_lists_the_rows_of_the_chosen_bags(bags, data):
    n = len(bags)
    indices = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=8)), dtype=int)
    rows, offsets = take_rows(bags.offsets, indices)
    expected = [row for i in indices for row in range(bags.offsets[i], bags.offsets[i + 1])]
    assert_array_equal(rows, expected)
    assert_array_equal(np.diff(offsets), bags.bag_sizes[indices])


def test_single_bags_and_ranges_are_views():
    bags = check_bags(LIST)
    assert np.shares_memory(bags[0], bags.instances)
    assert np.shares_memory(bags[1:].instances, bags.instances)
    assert not np.shares_memory(bags[[0, 1]].instances, bags.instances)


def test_iteration_ends_and_out_of_range_is_an_error():
    bags = check_bags(LIST)
    assert len(list(bags)) == 3
    for i in (3, -4):
        with pytest.raises(IndexError, match="does not exist"):
            bags[i]
    with pytest.raises(IndexError, match="one axis"):
        bags[0, 1]
    with pytest.raises(IndexError, match="one axis"):
        bags[np.array([[0, 1]])]


def test_numpy_sees_an_object_array_even_for_equal_sizes():
    bags = check_bags(np.ones((3, 2, 4)))
    array = np.asarray(bags)
    assert array.shape == (3,)
    assert array.dtype == object
    assert_same_bags(check_bags(array), bags)
    with pytest.raises(TypeError, match="object array"):
        np.asarray(bags, dtype=float)
    with pytest.raises(TypeError, match="Bag 0 cannot be read as an array"):
        check_bags([torch.ones((2, 2), dtype=torch.bfloat16)])


def test_repr_says_what_is_inside():
    assert repr(check_bags(LIST)) == "Bags(3 bags, 6 instances, 2 features, float64)"
    sparse = check_bags([sp.csr_matrix(np.eye(2, dtype=np.float32))])
    assert repr(sparse) == "Bags(1 bags, 2 instances, 2 features, float32, sparse)"


@pytest.mark.parametrize(
    ("instances", "offsets", "error", "message"),
    [
        ([[1.0]], [0, 1], TypeError, "a SciPy CSR matrix or stored rows, got list"),
        (sp.csc_matrix(np.eye(2)), [0, 2], TypeError, "CSR"),
        (np.ones(3), [0, 3], ValueError, "must be 2-D"),
        (np.ones((3, 1)), [0, 2], ValueError, "rise from 0 to the number of instances, 3"),
        (np.ones((3, 1)), [1, 3], ValueError, "they go from 1 to 3"),
        (np.ones((3, 1)), [0, 2, 1, 3], ValueError, "fall in between"),
        (np.ones((3, 1)), [0, 2**63 - 1, -2, 3], ValueError, "fall in between"),
        (np.ones((3, 1)), [[0, 3]], ValueError, "1-D array"),
        (np.ones((3, 1)), [0.0, 3.0], ValueError, "integers"),
        (np.ones((3, 1)), [], ValueError, "1-D array"),
    ],
)
def test_parts_that_do_not_fit_are_refused(instances, offsets, error, message):
    with pytest.raises(error, match=message):
        Bags(instances, offsets)


def test_feature_names_must_fit_and_are_kept():
    bags = Bags(np.ones((3, 2)), [0, 1, 3], feature_names=["a", "b"])
    assert_array_equal(bags[[1]].feature_names, ["a", "b"])
    assert_array_equal(bags[:1].feature_names, ["a", "b"])
    with pytest.raises(ValueError, match="2 feature names are needed"):
        Bags(np.ones((3, 2)), [0, 3], feature_names=["a"])


# --- check_bags --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        tuple(LIST),
        np.array(LIST, dtype=object),
        [bag.tolist() for bag in LIST],
        [pd.DataFrame(bag) for bag in LIST],
        [torch.tensor(bag, requires_grad=True) for bag in LIST],
        [np.asfortranarray(bag) for bag in LIST],
        [bag.astype(int) for bag in LIST],
        [bag.astype(object) for bag in LIST],
        [bag.astype(np.float32).astype(">f8") for bag in LIST],
        [sp.csr_matrix(bag) for bag in LIST],
        [sp.coo_array(bag) for bag in LIST],
        check_bags(LIST),
    ],
    ids=lambda X: type(X).__name__,
)
def test_every_kind_of_list_is_read(X):
    bags = check_bags(X)
    assert_same_bags(bags, LIST)
    assert bags.dtype == np.float64
    assert bags.dtype.isnative


def test_a_3d_array_is_bags_of_equal_size():
    array = np.arange(24.0).reshape(4, 3, 2)
    for X in (array, array.astype(object), torch.from_numpy(array), array.tolist()):
        assert_same_bags(check_bags(X), list(array))


@pytest.mark.parametrize(
    "table",
    [
        np.arange(6.0).reshape(3, 2),
        np.arange(6).reshape(3, 2).tolist(),
        pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"]),
        sp.csr_matrix(np.arange(6.0).reshape(3, 2)),
        torch.arange(6.0).reshape(3, 2),
    ],
    ids=["array", "list", "frame", "sparse", "tensor"],
)
def test_a_table_is_bags_of_one_instance(table):
    expected = np.arange(6.0).reshape(3, 1, 2)
    assert_same_bags(check_bags(table), list(expected))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.float16, np.float64),
        (np.int8, np.float64),
        (np.uint64, np.float64),
        (bool, np.float64),
    ],
)
def test_float32_and_float64_are_kept_and_the_rest_becomes_float64(before, after):
    assert check_bags([np.ones((2, 3), dtype=before)]).dtype == after
    if before is not np.float16:  # which sparse matrices cannot hold
        assert check_bags([sp.csr_array(np.ones((2, 3), dtype=before))]).dtype == after


def test_mixed_precision_goes_to_the_wider():
    assert check_bags([np.ones((1, 2), np.float32), np.ones((1, 2))]).dtype == np.float64


def test_input_is_neither_copied_nor_changed_without_need():
    bags = Bags(np.ones((3, 2)), [0, 1, 3])
    assert check_bags(bags).instances is bags.instances
    assert np.shares_memory(check_bags(bags.instances).instances, bags.instances)
    messy = sp.csr_matrix((np.ones(3), [1, 0, 0], [0, 3]), shape=(1, 2))  # unsorted, repeated
    assert_array_equal(check_bags([messy])[0].toarray(), [[2, 1]])
    assert messy.nnz == 3


@pytest.mark.parametrize("wrap", [list, lambda tables: tables[0], lambda t: Bags(t[0], [0, 1, 3])])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_sparse_indices_are_short_and_values_summed(wrap, container):
    messy = container((np.ones(4), [1, 0, 0, 1], [0, 3, 3, 4]), shape=(3, 2))
    for name in ("indices", "indptr"):
        setattr(messy, name, getattr(messy, name).astype(np.int64))
    bags = check_bags(wrap([messy]))
    assert type(bags.instances) is container
    assert bags.instances.indices.dtype == bags.instances.indptr.dtype == np.int32
    assert bags.instances.nnz == 3
    assert_array_equal(bags.instances.toarray(), [[2, 1], [0, 0], [0, 1]])
    assert messy.nnz == 4  # the caller's matrix is left alone
    assert messy.indices.dtype == np.int64
    tidy = Bags(bags.instances, bags.offsets)
    assert check_bags(tidy).instances is tidy.instances


def test_column_names_come_from_frames():
    frames = [pd.DataFrame({"a": [1.0], "b": [2.0]}), pd.DataFrame({"a": [3.0], "b": [4.0]})]
    assert_array_equal(check_bags(frames).feature_names, ["a", "b"])
    assert check_bags([pd.DataFrame([[1.0]])]).feature_names is None
    with pytest.raises(ValueError, match=r"Bag 1 does not have the columns of bag 0.*\['b', 'a'\]"):
        check_bags([frames[0], frames[1][["b", "a"]]])
    with pytest.raises(ValueError, match=r"Bag 1 .*unnamed columns instead of"):
        check_bags([frames[0], np.ones((1, 2))])
    with pytest.raises(TypeError, match="string names"):
        check_bags([pd.DataFrame({"a": [1.0], 2: [2.0]})])


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ([], ValueError, "no bags"),
        (np.empty((0, 3, 2)), ValueError, "no bags"),
        (np.empty((0, 2)), ValueError, "no bags"),
        (check_bags(LIST)[:0], ValueError, "no bags"),
        ([np.ones((2, 2)), np.ones((0, 2)), np.ones((0, 2))], ValueError, "1 is empty.*as 2 of 3"),
        (np.ones((3, 0, 2)), ValueError, "Bag 0 is empty"),
        ([np.ones((2, 0))], ValueError, r"0 feature\(s\)"),
        ([np.ones((2, 5)), np.ones((3, 2))], ValueError, "Bag 1 has 2 features, but bag 0 has 5"),
        ([[1.0, 2.0], [3.0]], ValueError, "Bag 1 has 1 features, but bag 0 has 2"),
        ([np.ones((1, 2)), np.ones(2)], ValueError, r"Bag 1 is 1-D.*Reshape your data"),
        ([np.ones((1, 2)), [[1, 2], [3]]], ValueError, "Bag 1 is not a table"),
        ([np.ones((1, 2)), None], ValueError, "Bag 1 is no table but of type NoneType"),
        (None, ValueError, "got an object of type NoneType"),
        ((x for x in LIST), ValueError, "got an object of type generator"),
        (np.ones(3), ValueError, "got a 1-D array"),
        (np.ones((1, 2, 3, 4)), ValueError, "got a 4-D array"),
        ([np.ones((1, 2)), np.array([["a", "b"]])], TypeError, "1 is not numeric.*dtype is <U1"),
        ([np.array([[1, {}]], dtype=object)], TypeError, "Bag 0 is not numeric"),
        ([np.array([["2020-01-01"]], "datetime64[D]")], TypeError, "Bag 0 is not numeric"),
        ([np.ones((1, 2)), 1j * np.ones((1, 2))], ValueError, "Complex data.*Bag 1"),
        ([np.ones((1, 2)), np.array([[0, np.nan]])], ValueError, "Bag 1 contains NaN: instance 0"),
        ([np.ones((3, 2)), np.array([[0, 0], [np.inf, 0]])], ValueError, "Bag 1 .*: instance 1"),
        ([np.array([[np.inf, -np.inf]])], ValueError, "Bag 0 contains infinity"),
        ([sp.eye(2).tocsr(), sp.csr_matrix([[0, np.nan]])], ValueError, "Bag 1 contains NaN"),
        ([np.ones((1, 2)), sp.csr_matrix(np.ones((1, 2)))], ValueError, "Bag 1 is sparse, but"),
        ([check_bags(LIST)], TypeError, "Bag 0 is itself a collection of bags"),
        (pd.DataFrame({"a": ["x"]}), TypeError, "X is not numeric"),
        # pandas hands its missing integers over as NaN or as an object, by its version
        ([pd.DataFrame({"a": [1, None]}, dtype="Int64")], (TypeError, ValueError), "Bag 0 "),
    ],
)  # fmt: skip
def test_what_is_no_bag_is_refused_by_name_and_remedy(bad, error, message):
    with pytest.raises(error, match=message):
        check_bags(bad)


def test_huge_finite_values_are_not_mistaken_for_infinity():
    assert check_bags([np.full((3, 2), 1e308)]).n_bags == 1
    assert check_bags([np.full((3, 2), 3e38, dtype=np.float32)]).n_bags == 1


# --- from_frame --------------------------------------------------------------------------


def long_table():
    return pd.DataFrame(
        {
            "x": [1.0, 2.0, 3.0, 4.0],
            "molecule": ["b", "a", "b", "a"],
            "label": ["yes", "no", "yes", "no"],
            "z": [5, 6, 7, 8],
        }
    )


def test_from_frame_keeps_the_order_of_first_appearance():
    bags, y = Bags.from_frame(long_table(), bag="molecule", label="label")
    assert_same_bags(bags, [np.array([[1, 5], [3, 7]]), np.array([[2, 6], [4, 8]])])
    assert_array_equal(y, ["yes", "no"])
    assert_array_equal(bags.feature_names, ["x", "z"])


def test_from_frame_without_labels():
    frame = long_table().drop(columns="label")
    frame.index = [7, 7, 8, 9]  # the index plays no part
    bags, y = Bags.from_frame(frame, bag="molecule")
    assert y is None
    assert len(bags) == 2


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_from_frame_equals_grouping(identifiers):
    frame = pd.DataFrame({"bag": identifiers, "x": np.arange(len(identifiers)), "y": 1})
    frame["y"] = frame["bag"] % 2
    bags, y = Bags.from_frame(frame, "bag", "y")
    groups = list(frame.groupby("bag", sort=False))
    assert_same_bags(bags, [group[["x"]].to_numpy() for _, group in groups])
    assert_array_equal(y, [identifier % 2 for identifier, _ in groups])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"columns": {"molecule": "id"}}, ValueError, "no column 'molecule'; its columns are"),
        ({"molecule": ["b", None, "b", "a"]}, ValueError, "Row 1 does not say which bag"),
        ({"label": ["yes", "no", "no", "no"]}, ValueError, "Bag 'b' has more than one value"),
        ({"label": ["yes", "no", None, "no"]}, ValueError, "Row 2 has no label"),
        ({"x": ["1", "2", "3", "four"]}, TypeError, "Column 'x' is not numeric: it holds 'four'"),
        ({"x": [1.0, np.nan, 3.0, 4.0]}, ValueError, "Row 1, of bag 'a', has no value"),
    ],
)
def test_from_frame_refuses_what_makes_no_bags(change, error, message):
    frame = long_table()
    frame = frame.rename(**change) if "columns" in change else frame.assign(**change)
    with pytest.raises(error, match=message):
        Bags.from_frame(frame, bag="molecule", label="label")


def test_from_frame_refuses_an_empty_frame():
    with pytest.raises(ValueError, match="no rows"):
        Bags.from_frame(long_table()[:0], bag="molecule", label="label")


# --- In scikit-learn and joblib ----------------------------------------------------------


class BagMean(ClassifierMixin, BaseEstimator):
    """A classifier that is no skmil estimator, to see what reaches it."""

    def fit(self, X, y):
        assert type(X) is Bags
        self.classes_ = np.unique(y)
        self.mean_ = X.instances.mean()
        return self

    def predict(self, X):
        assert type(X) is Bags
        return np.array([int(bag.mean() > self.mean_) for bag in X])


@pytest.mark.parametrize("sparse", [False, True])
def test_splitters_keep_the_type_and_the_right_bags(sparse):
    rng = np.random.default_rng(0)
    listed = [np.full((rng.integers(1, 5), 2), float(i + 1)) for i in range(12)]
    bags = check_bags([sp.csr_array(bag) for bag in listed] if sparse else listed)
    y = np.arange(12) % 2
    train, test, y_train, _ = train_test_split(bags, y, random_state=0)
    assert type(train) is type(test) is Bags
    assert_array_equal([bag.min() - 1 for bag in as_list(train)], np.arange(12)[_numbers(train)])
    assert_array_equal(y_train, y[_numbers(train)])
    groups = np.arange(12) // 3
    for split in (KFold(4).split(bags, y), GroupKFold(4).split(bags, y, groups)):
        for kept, _ in split:
            assert_same_bags(bags[kept], [listed[i] for i in kept])
    if not sparse:
        predicted = cross_val_predict(BagMean(), bags, y, cv=3)
        assert predicted.shape == (12,)


def _numbers(bags):
    return np.array([int(bag.min()) - 1 for bag in as_list(bags)])


def _memory_of(bags):
    base = bags.instances
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return getattr(base, "filename", None)


def test_workers_share_large_instances_through_a_memory_map():
    bags = Bags(np.ones((20_000, 10)), np.arange(0, 20_001, 100))  # 1.6 MB
    parallel = joblib.Parallel(n_jobs=2, max_nbytes="1M")
    names = parallel(joblib.delayed(_memory_of)(bags) for _ in range(2))
    assert names[0] is not None
    assert names[0] == names[1]
    views = parallel(joblib.delayed(_memory_of)(bags[50:]) for _ in range(2))
    assert views[0] is not None


def test_joblib_maps_dumped_bags(tmp_path):
    bags = check_bags(LIST)
    joblib.dump(bags, tmp_path / "bags.joblib")
    mapped = joblib.load(tmp_path / "bags.joblib", mmap_mode="r")
    assert _memory_of(mapped) is not None
    assert_same_bags(check_bags(mapped), bags)
    assert_same_bags(mapped[[2, 0]], [LIST[2], LIST[0]])


def test_from_frame_takes_the_named_features_in_their_order():
    frame = long_table().assign(file="slide.png")
    bags, y = Bags.from_frame(frame, bag="molecule", label="label", features=["z", "x"])
    assert_same_bags(bags, [np.array([[5, 1], [7, 3]]), np.array([[6, 2], [8, 4]])])
    assert_array_equal(bags.feature_names, ["z", "x"])
    assert_array_equal(y, ["yes", "no"])
    assert_array_equal(Bags.from_frame(frame, "molecule", features=["x"])[0].feature_names, ["x"])


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (["x", "y"], ValueError, "the column 'y', which the frame has not; its columns are"),
        (["x", "z", "x"], ValueError, "column 'x' is there twice"),
        (["x", "label"], ValueError, "'label', which holds the bag or the label"),
        (["molecule"], ValueError, "'molecule', which holds the bag or the label"),
        ([], ValueError, "names no column"),
        ("x", TypeError, "a list of column names, got the string 'x'"),
    ],
)
def test_from_frame_refuses_features_that_cannot_be_chosen(features, error, message):
    with pytest.raises(error, match=message):
        Bags.from_frame(long_table(), bag="molecule", label="label", features=features)


def test_from_frame_refuses_a_feature_that_two_columns_have():
    frame = pd.concat([long_table(), long_table()[["x"]]], axis=1)
    with pytest.raises(ValueError, match="column 'x' is there twice"):
        Bags.from_frame(frame, bag="molecule", label="label", features=["x"])


@pytest.mark.parametrize(
    ("column", "label", "error", "message"),
    [
        ([1.0, 2.0], "bag", ValueError, "The bag and the label are both column 'bag'"),
        ([1.0, np.nan], "label", ValueError, "Row 1, of bag '007', has no value .* column 'x'"),
        (["red", 2.0], "label", TypeError, "Column 'x' is not numeric: it holds 'red'.*features="),
    ],
)
def test_a_frame_that_is_no_bags_names_the_column(column, label, error, message):
    frame = pd.DataFrame({"bag": ["7", "007"], "x": column, "label": [0, 1]})
    with pytest.raises(error, match=message):
        Bags.from_frame(frame, bag="bag", label=label)
