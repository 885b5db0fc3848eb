"""InstanceTransformer against the transformer it wraps."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skmil import Bags, check_bags
from skmil.compose import InstanceTransformer
from skmil.embedding import BagStatistics
from skmil.svm import MISVMClassifier


@pytest.fixture
def bags():
    rng = np.random.default_rng(0)
    return [rng.normal(3.0, 2.0, size=(size, 4)) for size in (2, 1, 5, 3)]


class Mean(BaseEstimator):
    """A transformer with one row for all instances."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.mean(axis=0, keepdims=True)


@pytest.mark.parametrize(
    "estimator",
    [
        InstanceTransformer(),
        InstanceTransformer(StandardScaler(with_mean=False)),  # takes sparse matrices
    ],
    ids=repr,
)
def test_scikit_learn_checks(estimator):
    check_estimator(estimator, on_skip=None)


@pytest.mark.parametrize("transformer", [None, StandardScaler(), PCA(n_components=2)])
def test_transforms_the_stacked_instances(bags, transformer):
    stacked = np.concatenate(bags)
    inner = clone(transformer) if transformer is not None else StandardScaler()
    expected = inner.fit_transform(stacked)
    result = InstanceTransformer(transformer).fit_transform(bags)
    assert isinstance(result, Bags)
    assert result.bag_sizes.tolist() == [2, 1, 5, 3]
    np.testing.assert_allclose(result.instances, expected)


def test_the_given_transformer_is_not_fitted(bags):
    scaler = StandardScaler()
    model = InstanceTransformer(scaler).fit(bags)
    assert model.transformer is scaler
    assert not hasattr(scaler, "mean_")
    np.testing.assert_allclose(model.transformer_.mean_, np.concatenate(bags).mean(axis=0))


@pytest.mark.parametrize(
    "table",
    [
        np.arange(6.0).reshape(3, 2),
        np.arange(6.0).reshape(3, 2).tolist(),
        pd.DataFrame(np.arange(6.0).reshape(3, 2)),
    ],
    ids=["array", "lists", "frame"],
)
def test_a_table_stays_a_table(table):
    model = InstanceTransformer().fit(table)
    result = model.transform(table)
    assert isinstance(result, np.ndarray)
    np.testing.assert_allclose(result, StandardScaler().fit_transform(np.asarray(table)))
    np.testing.assert_allclose(model.inverse_transform(result), np.asarray(table), atol=1e-12)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.coo_array])
def test_a_sparse_table_stays_one(container):
    result = InstanceTransformer(MaxAbsScaler()).fit_transform(container(np.eye(3)))
    assert sp.issparse(result)
    assert result.format == "csr"


@pytest.mark.parametrize(
    "collect",
    [
        list,
        tuple,
        check_bags,
        lambda bags: np.array(bags, dtype=object),
        lambda bags: [pd.DataFrame(bag) for bag in bags],
        lambda bags: [bag.tolist() for bag in bags],
    ],
    ids=["list", "tuple", "Bags", "objects", "frames", "lists"],
)
def test_bags_become_bags(bags, collect):
    result = InstanceTransformer().fit_transform(collect(bags))
    assert isinstance(result, Bags)
    assert len(result) == 4


def test_equal_bags_in_one_array_become_bags():
    result = InstanceTransformer().fit_transform(np.random.default_rng(0).normal(size=(3, 2, 4)))
    assert isinstance(result, Bags)
    assert result.bag_sizes.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "transformer", [MaxAbsScaler(), TruncatedSVD(n_components=2, random_state=0)]
)
def test_sparse_bags(bags, transformer):
    dense = InstanceTransformer(transformer).fit_transform(bags)
    sparse = InstanceTransformer(transformer).fit_transform([sp.csr_array(bag) for bag in bags])
    assert sp.issparse(sparse.instances) == isinstance(transformer, MaxAbsScaler)
    instances = sparse.instances
    instances = instances.toarray() if sp.issparse(instances) else instances
    np.testing.assert_allclose(instances, dense.instances)


def test_a_frame_from_the_transformer_is_read(bags):
    scaler = StandardScaler().set_output(transform="pandas")
    result = InstanceTransformer(scaler).fit_transform(bags)
    assert isinstance(result.instances, np.ndarray)
    np.testing.assert_allclose(result.instances.mean(axis=0), 0.0, atol=1e-12)


def test_each_instance_gets_the_label_of_its_bag(bags):
    y = np.array(["a", "b", "b", "a"])
    for bag, label in zip(bags, y, strict=True):
        bag[:, 2] += 100.0 * (label == "b")
    model = InstanceTransformer(SelectKBest(k=1)).fit(bags, y)
    assert model.transformer_.get_support().tolist() == [False, False, True, False]
    assert model.get_feature_names_out().tolist() == ["x2"]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        InstanceTransformer().fit(bags, y[:2])


def test_a_weight_is_a_repetition(bags):
    weight = [2, 0, 1, 3]
    model = InstanceTransformer().fit(bags, sample_weight=weight)
    repeated = [bag for bag, w in zip(bags, weight, strict=True) for _ in range(w)]
    expected = InstanceTransformer().fit(repeated)
    np.testing.assert_allclose(model.transformer_.mean_, expected.transformer_.mean_)
    np.testing.assert_allclose(model.transformer_.var_, expected.transformer_.var_)


def test_refuses_weights_the_transformer_does_not_take(bags):
    message = "sample_weight was given, but the fit method of PCA does not take it"
    with pytest.raises(ValueError, match=message):
        InstanceTransformer(PCA()).fit(bags, sample_weight=np.ones(4))


@pytest.mark.parametrize(
    ("transformer", "shape"),
    [(Mean(), "(1, 4)"), (FunctionTransformer(lambda rows: rows[:, 0]), "(11,)")],
)
def test_refuses_another_number_of_rows(bags, transformer, shape):
    message = f"made an array of shape {shape} of 11 instances. It must return one row per"
    with pytest.raises(ValueError, match=re.escape(message)):
        InstanceTransformer(transformer).fit_transform(bags)


def test_refuses_what_cannot_transform(bags):
    with pytest.raises(ValueError, match="'transformer' parameter"):
        InstanceTransformer("scale").fit(bags)


def test_inverse_transform(bags):
    model = InstanceTransformer().fit(bags)
    back = model.inverse_transform(model.transform(bags))
    assert isinstance(back, Bags)
    np.testing.assert_allclose(back.instances, np.concatenate(bags))
    assert not hasattr(InstanceTransformer(SelectKBestWithoutInverse()), "inverse_transform")


class SelectKBestWithoutInverse(BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


def test_names(bags):
    frames = [pd.DataFrame(bag, columns=list("abcd")) for bag in bags]
    model = InstanceTransformer(PCA(n_components=2)).fit(frames)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert model.get_feature_names_out().tolist() == ["pca0", "pca1"]
    assert InstanceTransformer().fit(frames).get_feature_names_out().tolist() == list("abcd")
    pipe = make_pipeline(InstanceTransformer(), BagStatistics(["mean"])).fit(frames)
    assert pipe.get_feature_names_out().tolist() == ["mean_a", "mean_b", "mean_c", "mean_d"]
    assert not hasattr(InstanceTransformer(Mean()), "get_feature_names_out")


def test_tags_are_those_of_the_transformer():
    assert not InstanceTransformer().__sklearn_tags__().input_tags.sparse
    for transformer in (PCA(), MaxAbsScaler(), SelectKBest()):
        inner = transformer.__sklearn_tags__()
        tags = InstanceTransformer(transformer).__sklearn_tags__()
        assert tags.input_tags.sparse == inner.input_tags.sparse
        assert tags.target_tags.required == inner.target_tags.required


def test_must_be_fitted_first(bags):
    with pytest.raises(NotFittedError):
        InstanceTransformer().transform(bags)
    with pytest.raises(NotFittedError):
        InstanceTransformer().inverse_transform(bags)


def test_input_is_not_modified(bags):
    stacked = check_bags(bags)
    before = stacked.instances.copy()
    InstanceTransformer().fit_transform(stacked)
    np.testing.assert_array_equal(stacked.instances, before)


def test_pipeline_in_parallel_and_pickled():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    bags = [rng.normal(size=(rng.integers(1, 6), 3)) * [1.0, 10.0, 100.0] for _ in y]
    for bag, label in zip(bags, y, strict=True):
        bag[0, 0] += 6.0 * label
    model = make_pipeline(InstanceTransformer(StandardScaler()), MISVMClassifier(C=10.0))
    scores = cross_val_score(model, bags, y, cv=3, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(model, bags, y, cv=3))
    assert scores.mean() > 0.8
    model.set_params(instancetransformer__transformer__with_std=False).fit(bags, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(bags), model.predict(bags))
