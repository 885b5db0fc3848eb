"""BagStatistics against NumPy, one bag at a time."""

import pickle
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator
from strategies import bag_sizes

from skmil import Bags, check_bags
from skmil.datasets import make_bags
from skmil.embedding import BagStatistics, _segments

ALL = ("mean", "std", "min", "max", "sum", "size")


@st.composite
def bags_with_zeros(draw):
    """Bags of different sizes with many zeros."""
    elements = st.just(0.0) | st.floats(-1e3, 1e3, width=32)
    n_features = draw(st.integers(1, 4))
    sizes = draw(bag_sizes())
    return [draw(hnp.arrays(np.float64, (size, n_features), elements=elements)) for size in sizes]


def naive(bag, statistics):
    """The row of one bag."""
    functions = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max, "sum": np.sum}
    return np.concatenate(
        [[len(bag)] if name == "size" else functions[name](bag, axis=0) for name in statistics]
    )


@pytest.mark.parametrize(
    "estimator", [BagStatistics(), BagStatistics(statistics=list(ALL))], ids=repr
)
def test_scikit_learn_checks(estimator):
    check_estimator(estimator, on_skip=None)


@given(bags_with_zeros(), st.permutations(ALL), st.integers(1, len(ALL)))
def test_dense_rows_are_numpys(bags, names, n_names):
    statistics = tuple(names[:n_names])
    rows = BagStatistics(statistics).fit_transform(bags)
    expected = [naive(bag, statistics) for bag in bags]
    np.testing.assert_allclose(rows, expected, rtol=1e-10, atol=1e-9)


@given(bags_with_zeros(), st.permutations(ALL), st.integers(1, len(ALL)))
def test_sparse_rows_are_those_of_dense_bags(bags, names, n_names):
    statistics = tuple(names[:n_names])
    rows = BagStatistics(statistics).fit_transform([sp.csr_array(bag) for bag in bags])
    assert sp.issparse(rows)
    expected = [naive(bag, statistics) for bag in bags]
    np.testing.assert_allclose(rows.toarray(), expected, rtol=1e-10, atol=1e-9)


@given(bags_with_zeros(), st.randoms(use_true_random=False))
def test_order_of_instances_does_not_matter(bags, random):
    shuffled = [bag[random.sample(range(len(bag)), len(bag))] for bag in bags]
    embedding = BagStatistics(ALL).fit(bags)
    np.testing.assert_allclose(
        embedding.transform(shuffled), embedding.transform(bags), rtol=1e-10, atol=1e-9
    )


def test_row_of_a_bag_does_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(size, 3)) for size in (4, 1, 7)]
    embedding = BagStatistics(ALL).fit(bags)
    alone = np.vstack([embedding.transform([bag]) for bag in bags])
    np.testing.assert_array_equal(embedding.transform(bags), alone)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_bags_stay_sparse(container, monkeypatch):
    bags = check_bags([container(np.eye(3)), container(np.zeros((2, 3)))])

    def refuse(self, *args, **kwargs):
        raise AssertionError("made dense")

    with monkeypatch.context() as patch:
        for name in ("toarray", "todense"):
            patch.setattr(container, name, refuse)
        rows = BagStatistics(ALL).fit_transform(bags)
    assert type(rows) is type(bags.instances)
    assert rows.indices.dtype == rows.indptr.dtype == np.int32  # as LinearSVC asks for
    assert rows.shape == (2, 16)
    third, spread = 1 / 3, np.sqrt(2) / 3
    expected = np.repeat([third, spread, 0.0, 1.0, 1.0], 3)
    np.testing.assert_allclose(rows.toarray()[0], [*expected, 3.0])
    np.testing.assert_array_equal(rows.toarray()[1], [0.0] * 15 + [2.0])


def test_stored_zeros_are_zeros():
    stored = sp.csr_array((np.array([0.0, -1.0]), np.array([0, 0]), np.array([0, 1, 2])))
    rows = BagStatistics(["min", "max"]).fit_transform([stored])
    np.testing.assert_array_equal(rows.toarray(), [[-1.0, 0.0]])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_standard_deviation_does_not_cancel(container):
    bag = container(np.array([[1e9], [1e9 + 1.0], [1e9 + 2.0]]))
    rows = BagStatistics(["std"]).fit_transform([bag])
    rows = rows.toarray() if sp.issparse(rows) else rows
    np.testing.assert_allclose(rows, [[np.sqrt(2 / 3)]])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_float32_is_summed_in_float64_and_kept(container):
    values = np.full((100_000, 1), 0.1, dtype=np.float32)
    rows = BagStatistics(["mean", "sum"]).fit_transform([container(values)])
    assert rows.dtype == np.float32
    rows = rows.toarray() if sp.issparse(rows) else rows
    exact = np.float64(np.float32(0.1))
    np.testing.assert_array_equal(rows, np.array([[exact, exact * 100_000]], dtype=np.float32))


def test_names_and_frames():
    frames = [
        pd.DataFrame({"energy": [1.0, 3.0], "radius": [2.0, 2.0]}),
        pd.DataFrame({"energy": [5.0], "radius": [1.0]}),
    ]
    embedding = BagStatistics(["max", "size", "mean"]).set_output(transform="pandas")
    table = embedding.fit_transform(frames)
    assert table.columns.tolist() == [
        "max_energy", "max_radius", "size", "mean_energy", "mean_radius",
    ]  # fmt: skip
    np.testing.assert_array_equal(table, [[3.0, 2.0, 2.0, 2.0, 2.0], [5.0, 1.0, 1.0, 5.0, 1.0]])
    names = BagStatistics(["min"]).fit([np.zeros((2, 2))]).get_feature_names_out()
    assert names.tolist() == ["min_x0", "min_x1"]


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        ((), "statistics is empty. Name at least one of"),
        (("mean", "median"), "statistics has 'median'; choose from"),
        (["mean", "size", "mean"], "statistics names one twice"),
        ("mean", "The 'statistics' parameter"),
        ([["mean"]], "statistics has ['mean']; choose from"),
    ],
)
def test_refuses_wrong_statistics(statistics, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BagStatistics(statistics).fit([np.zeros((2, 2))])


def test_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        BagStatistics().transform([np.zeros((2, 2))])


def test_input_is_not_modified():
    for container in (np.asarray, sp.csr_array):
        bags = check_bags([container(np.eye(3)), container(np.ones((2, 3)))])
        before = bags.instances.copy()
        BagStatistics(ALL).fit_transform(bags)
        assert abs(bags.instances - before).sum() == 0


def test_search_over_a_pipeline():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    bags = [rng.normal(size=(rng.integers(1, 6), 2)) for _ in y]
    for bag, label in zip(bags, y, strict=True):
        bag[0] += 8.0 * label
    grid = {"bagstatistics__statistics": [("min",), ("max", "size")], "svc__C": [1.0, 10.0]}
    search = GridSearchCV(make_pipeline(BagStatistics(), SVC()), grid, cv=3).fit(bags, y)
    assert search.best_score_ > 0.9
    assert search.best_params_["bagstatistics__statistics"] == ("max", "size")
    copy = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(copy.predict(bags), search.predict(bags))
    assert clone(search).estimator[0].statistics == ("mean", "std", "min", "max")


@pytest.mark.parametrize("most_values", [1, 7, 100])
def test_bags_may_be_computed_with_in_groups(monkeypatch, most_values):
    bags = make_bags(n_bags=12, random_state=0).bags
    statistics = ["mean", "std", "min", "max", "sum", "size"]
    expected = BagStatistics(statistics).fit_transform(bags)
    monkeypatch.setattr(_segments, "_MOST_VALUES", most_values)
    got = BagStatistics(statistics).fit_transform(bags)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_allclose(got[3], BagStatistics(statistics).fit_transform([bags[3]])[0])


def test_statistics_take_no_copies_of_all_instances(tmp_path):
    rows = np.random.default_rng(0).normal(size=(2**16, 2**6)).astype(np.float32)  # 16 MiB
    Bags(rows, np.arange(0, 2**16 + 1, 2**9)).save(tmp_path / "bags")
    bags = Bags.load(tmp_path / "bags")
    tracemalloc.start()
    try:
        BagStatistics(["mean", "std", "max"]).fit_transform(bags)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * rows.nbytes
    finally:
        tracemalloc.stop()
