import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.utils import check_random_state

from skmil import Bags
from skmil.datasets import load_digit_bags


@pytest.mark.parametrize("target_digit", [0, 9])
def test_a_bag_is_positive_exactly_if_it_holds_the_digit(target_digit):
    data = load_digit_bags(target_digit=target_digit, random_state=0)
    assert isinstance(data.bags, Bags)
    assert data.bags.shape == data.target.shape == (200,)
    assert_array_equal(data.instance_labels, data.digits == target_digit)
    largest = np.maximum.reduceat(data.instance_labels, data.bags.offsets[:-1])
    assert_array_equal(data.target, largest)
    assert data.target.sum() == 100


def test_images_are_scikit_learns_with_their_digits_and_none_occurs_twice():
    source = load_digits()
    rows = {row.tobytes(): digit for row, digit in zip(source.data, source.target, strict=True)}
    assert len(rows) == len(source.data) == 1797
    data = load_digit_bags(random_state=3)
    drawn = [row.tobytes() for row in data.bags.instances]
    assert len(set(drawn)) == len(drawn)
    assert [rows[row] for row in drawn] == data.digits.tolist()


def test_by_default_a_positive_bag_has_one_witness():
    data = load_digit_bags(random_state=1)
    witnesses = np.add.reduceat(data.instance_labels, data.bags.offsets[:-1])
    assert_array_equal(witnesses, data.target)
    assert set(data.bags.bag_sizes) == set(range(4, 11))


def test_the_defaults_never_run_out_of_images():
    # 100 of about 180 target digits; others: 200 sizes of mean 7 and variance 4, less 100.
    # 1,300 + 8 standard deviations = 1,526, and at least 1,614 images show another digit.
    counts = np.bincount(load_digits().target)
    assert counts.min() >= 100
    assert 1797 - counts.max() > 1300 + 8 * np.sqrt(200 * 4)


def test_parameters_reach_the_bags():
    data = load_digit_bags(
        n_bags=30, bag_size=10, positive_fraction=0.2, witness_rate=0.5, random_state=0
    )
    assert data.bags.n_bags == 30
    assert set(data.bags.bag_sizes) == {10}
    assert data.target.sum() == 6
    assert data.instance_labels.sum() == 6 * 5


def test_more_images_than_there_are_is_refused():
    with pytest.raises(ValueError, match="need 200 images of the digit 9, but there are 180"):
        load_digit_bags(n_bags=20, bag_size=20, witness_rate=1, random_state=0)
    with pytest.raises(ValueError, match=r"need 1980 images of other digits, .* 1617"):
        load_digit_bags(n_bags=40, bag_size=50, witness_rate=0.02, random_state=0)


def test_all_images_of_the_digit_can_be_used():
    data = load_digit_bags(n_bags=18, bag_size=20, witness_rate=1, random_state=0)
    assert data.instance_labels.sum() == 180


def test_a_seed_determines_the_bags():
    first = load_digit_bags(random_state=5)
    again = load_digit_bags(random_state=5)
    other = load_digit_bags(random_state=6)
    assert_array_equal(first.bags.instances, again.bags.instances)
    assert_array_equal(first.bags.offsets, again.bags.offsets)
    assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.target, other.target)


def test_a_seeded_call_leaves_the_global_generator_alone():
    generator = check_random_state(None)
    before = generator.get_state()[1].copy()
    load_digit_bags(random_state=0)
    assert_array_equal(generator.get_state()[1], before)


def test_return_X_y_returns_the_same_data():
    data = load_digit_bags(random_state=2)
    bags, y = load_digit_bags(random_state=2, return_X_y=True)
    assert_array_equal(bags.instances, data.bags.instances)
    assert_array_equal(y, data.target)


def test_names_and_description():
    data = load_digit_bags(target_digit=4, random_state=0)
    assert data.target_names.tolist() == ["without 4", "with 4"]
    assert data.feature_names == load_digits().feature_names
    assert len(data.feature_names) == data.bags.n_features
    assert f"{data.bags.n_instances}, of which 100 are witnesses" in data.DESCR
    assert "10.24432/C50P49" in data.DESCR


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"target_digit": 10}, ValueError, "target_digit must be from 0 to 9, got 10"),
        ({"target_digit": "9"}, TypeError, "target_digit must be an integer, got '9'"),
        ({"n_bags": 0}, ValueError, "n_bags must be at least 1, got 0"),
    ],
)
def test_parameters_without_sense_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        load_digit_bags(**parameters)
