"""BagDistance in front of scikit-learn's estimators of precomputed distances."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skmil.neighbors import BagDistance, bag_distances
from skmil.neighbors._distances import METRICS

every_metric = pytest.mark.parametrize("metric", METRICS)


def make_data(n_bags=30, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % 2
    bags = [rng.normal(size=(rng.integers(1, 6), 3)) for _ in y]
    for bag, label in zip(bags, y, strict=True):
        bag[0] += 6 * label
    return bags, y


@every_metric
def test_scikit_learn_checks(metric):
    check_estimator(BagDistance(metric=metric), on_skip=None)


@every_metric
def test_columns_are_the_training_bags(metric):
    bags, _ = make_data()
    model = BagDistance(metric=metric).fit(bags[:20])
    expected = bag_distances(bags[20:], bags[:20], metric=metric)
    assert_array_equal(model.transform(bags[20:]), expected)
    assert model.bags_.n_bags == 20


@every_metric
def test_fitting_and_transforming_at_once_is_the_same(metric):
    bags, _ = make_data()
    model = BagDistance(metric=metric)
    at_once = model.fit_transform(bags)
    assert_allclose(at_once, clone(model).fit(bags).transform(bags), rtol=1e-11)
    assert_array_equal(at_once, model.fit_transform(bags, np.zeros(len(bags))))


def neighbours_by_hand(train, labels, test, metric):
    distances = bag_distances(test, train, metric=metric)
    return labels[distances.argmin(axis=1)]


@every_metric
def test_nearest_neighbours_in_cross_validation(metric):
    bags, y = make_data()
    nearest = KNeighborsClassifier(n_neighbors=1, metric="precomputed")
    model = make_pipeline(BagDistance(metric=metric), nearest)
    expected = np.empty(len(y), dtype=int)
    for train, test in KFold(3).split(y):
        parts = [[bags[i] for i in part] for part in (train, test)]
        expected[test] = neighbours_by_hand(parts[0], y[train], parts[1], metric)
    assert_array_equal(cross_val_predict(model, bags, y, cv=KFold(3)), expected)


def test_search_finds_the_distance_that_sees_the_witness():
    bags, y = make_data(60)
    model = make_pipeline(BagDistance(), KNeighborsClassifier(metric="precomputed"))
    grid = {"bagdistance__metric": ["minimum", "hausdorff"]}
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(bags, y)
    assert search.best_params_ == {"bagdistance__metric": "hausdorff"}
    assert search.best_score_ > 0.9


def test_clustering_by_distance():
    bags, y = make_data()
    labels = DBSCAN(eps=3.0, metric="precomputed").fit_predict(BagDistance().fit_transform(bags))
    assert len(labels) == len(y)


def test_names_of_columns():
    frames = [pd.DataFrame({"a": [1.0, 3.0]}), pd.DataFrame({"a": [5.0]})]
    model = BagDistance(metric="minimum").set_output(transform="pandas")
    table = model.fit_transform(frames)
    assert table.columns.tolist() == ["bagdistance0", "bagdistance1"]
    assert_array_equal(table, [[0.0, 2.0], [2.0, 0.0]])


def test_single_precision_gives_double_precision():
    bags, _ = make_data()
    single = [bag.astype(np.float32) for bag in bags]
    distances = BagDistance().fit_transform(single)
    assert distances.dtype == np.float64
    assert_array_equal(distances, BagDistance().fit_transform([b.astype(float) for b in single]))


def test_refuses_an_unknown_metric_and_an_unfitted_transformer():
    with pytest.raises(ValueError, match="The 'metric' parameter of BagDistance"):
        BagDistance(metric="euclidean").fit([np.eye(2)])
    with pytest.raises(NotFittedError):
        BagDistance().transform([np.eye(2)])


def test_distances_keep_to_the_metric_of_fit():
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(3, 2)) for _ in range(5)]
    distance = BagDistance(metric="average").fit(bags)
    expected = distance.transform(bags)
    np.testing.assert_array_equal(distance.set_params(metric="minimum").transform(bags), expected)
