import pickle
import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator

from skmil import BagDistance, Bags, CitationKNNClassifier, check_bags
from skmil.base import (
    apply_class_weight,
    check_bag_weight,
    check_labels,
    encode_labels,
    split_by_bag,
    validate_bags,
)
from skmil.datasets import make_bags

BAGS = check_bags([np.ones((2, 3)), np.zeros((1, 3)), np.ones((4, 3))])


def test_features_are_remembered_at_fit_and_compared_later():
    estimator = BaseEstimator()
    assert validate_bags(estimator, BAGS, reset=True) is BAGS
    assert estimator.n_features_in_ == 3
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.raises(ValueError, match="X has 2 features, but BaseEstimator is expecting 3"):
        validate_bags(estimator, np.ones((1, 2)))


def test_stored_rows_are_read_for_estimators_that_compute_with_matrices(tmp_path):
    BAGS.save(tmp_path / "bags")
    stored = Bags.load(tmp_path / "bags")[[2, 0]]
    estimator = BaseEstimator()
    bags = validate_bags(estimator, stored, reset=True)
    assert isinstance(bags.instances, np.ndarray)
    assert_array_equal(bags.instances, BAGS[[2, 0]].instances)
    estimator._reads_stored_bags = True
    assert validate_bags(estimator, stored) is stored
    estimator._reads_stored_bags = False
    mapped = Bags.load(tmp_path / "bags")
    found = validate_bags(estimator, mapped).instances
    assert type(found) is np.ndarray
    assert np.shares_memory(found, mapped.instances)


@pytest.mark.parametrize("estimator", [CitationKNNClassifier(), BagDistance()], ids=repr)
def test_a_model_of_bags_on_the_disk_outlives_their_folder(tmp_path, estimator):
    bags, y = make_bags(n_bags=30, random_state=0, return_X_y=True)
    bags.save(tmp_path / "bags")
    text = pickle.dumps(estimator.fit(Bags.load(tmp_path / "bags"), y))
    shutil.rmtree(tmp_path / "bags")
    again = pickle.loads(text)
    expected = estimator.fit(bags, y)
    if hasattr(again, "predict"):
        assert_array_equal(again.predict(bags), expected.predict(bags))
    else:
        assert_array_equal(again.transform(bags), expected.transform(bags))


def test_names_of_an_earlier_fit_are_forgotten():
    estimator = BaseEstimator()
    named = BAGS.replace_instances(BAGS.instances, feature_names=["a", "b", "c"])
    validate_bags(estimator, named, reset=True)
    assert_array_equal(estimator.feature_names_in_, ["a", "b", "c"])
    reordered = BAGS.replace_instances(BAGS.instances, feature_names=["b", "a", "c"])
    with pytest.raises(ValueError, match="same order as they were in fit"):
        validate_bags(estimator, reordered)
    many = BAGS.replace_instances(np.ones((7, 9)), feature_names=list("dxyzuvwst"))
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time:.*- \.\.\..*now missing:.*- a"):
        validate_bags(estimator, many)
    validate_bags(estimator, BAGS, reset=True)
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        validate_bags(estimator, named)


def test_labels_are_checked():
    estimator = BaseEstimator()
    assert_array_equal(check_labels(estimator, ["b", "a", "b"], BAGS), ["b", "a", "b"])
    with pytest.raises(ValueError, match="requires y to be passed"):
        check_labels(estimator, None, BAGS)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        check_labels(estimator, [0, 1], BAGS)
    with pytest.raises(ValueError, match="Unknown label type"):
        check_labels(estimator, [0.1, 0.2, 0.3], BAGS)
    with pytest.raises(ValueError, match="contains NaN"):
        check_labels(estimator, [0, 1, np.nan], BAGS)


def test_labels_are_encoded_by_their_order():
    classes, codes = encode_labels(np.array(["b", "a", "b"]))
    assert_array_equal(classes, ["a", "b"])
    assert_array_equal(codes, [1, 0, 1])
    with pytest.raises(ValueError, match=r"one class only, .*at least two"):
        encode_labels(np.array(["b", "b"]))


def test_bag_weights_are_checked_and_copied():
    given = np.array([1.0, 0.0, 2.0])
    weight = check_bag_weight(given, 3)
    assert_array_equal(weight, given)
    assert not np.shares_memory(weight, given)
    assert_array_equal(check_bag_weight(None, 3), np.ones(3))
    assert_array_equal(check_bag_weight(2, 3), [2, 2, 2])
    for bad, message in (
        ([1, 2], r"one weight per bag, shape \(3,\), got \(2,\)"),
        ([1, -2, 1], "bag 1 has -2"),
        ([0, 0, 0], "zero"),
        ([1, np.nan, 1], "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            check_bag_weight(bad, 3)


def test_class_weights():
    classes, codes, weight = np.array(["a", "b"]), np.array([0, 1, 1, 1]), np.ones(4)
    assert apply_class_weight(None, classes, codes, weight) is weight
    by_label = apply_class_weight({"b": 5.0}, classes, codes, weight)
    assert_array_equal(by_label, [1, 5, 5, 5])
    balanced = apply_class_weight("balanced", classes, codes, weight)
    assert_allclose(balanced, [2, 2 / 3, 2 / 3, 2 / 3])
    assert balanced.sum() == pytest.approx(weight.sum())
    with pytest.raises(ValueError, match="class_weight names 'c', which is no class of y"):
        apply_class_weight({"c": 1.0}, classes, codes, weight)
    for bad in (-1.0, np.nan, np.inf, "much", None):
        with pytest.raises(ValueError, match="class_weight of class 'a' must be a finite number"):
            apply_class_weight({"a": bad}, classes, codes, weight)


def test_balanced_class_weights_do_not_see_bags_without_weight():
    classes = np.array([0, 1, 2])
    codes, weight = np.array([0, 0, 1, 1, 2]), np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    kept = weight > 0
    full = apply_class_weight("balanced", classes, codes, weight)
    assert_allclose(
        full[kept], apply_class_weight("balanced", classes[:2], codes[kept], weight[kept])
    )
    assert_array_equal(full[~kept], 0)


def test_values_per_instance_are_split_by_bag():
    parts = split_by_bag(np.arange(7), BAGS)
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3, 4, 5, 6]]
