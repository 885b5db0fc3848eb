import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import check_random_state

from skmil import Bags
from skmil.datasets import make_bags


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_bag_is_positive_exactly_if_it_has_a_witness(n_classes):
    data = make_bags(n_classes=n_classes, random_state=0)
    assert isinstance(data.bags, Bags)
    assert data.bags.shape == data.target.shape == (100,)
    assert data.bags.n_features == 20
    largest = np.maximum.reduceat(data.instance_labels, data.bags.offsets[:-1])
    assert_array_equal(data.target, largest)
    assert_array_equal(np.unique(data.target), np.arange(n_classes))


def test_parameters_reach_the_bags():
    data = make_bags(
        n_bags=50,
        n_features=7,
        n_informative=3,
        bag_size=(10, 10),
        positive_fraction=0.2,
        witness_rate=0.3,
        random_state=0,
    )
    assert data.bags.n_bags == 50
    assert data.bags.n_features == 7
    assert set(data.bags.bag_sizes) == {10}
    assert data.target.sum() == 10
    assert data.instance_labels.sum() == 10 * 3


def test_witnesses_lie_around_vertices_of_a_hypercube_and_background_around_zero():
    data = make_bags(
        n_bags=2000, n_features=6, n_informative=3, class_sep=2.5, n_classes=4, random_state=1
    )
    background = data.bags.instances[data.instance_labels == 0]
    assert_allclose(background.mean(axis=0), 0, atol=0.05)
    assert_allclose(np.cov(background, rowvar=False), np.eye(6), atol=0.05)
    vertices = set()
    for k in range(1, 4):
        witnesses = data.bags.instances[data.instance_labels == k]
        centre = witnesses.mean(axis=0)
        assert_allclose(np.abs(centre), [2.5, 2.5, 2.5, 0, 0, 0], atol=0.2)
        assert_allclose(np.cov(witnesses, rowvar=False), np.eye(6), atol=0.2)
        vertices.add(tuple(np.sign(centre[:3])))
    assert len(vertices) == 3


def test_without_separation_witnesses_are_background():
    plain = make_bags(class_sep=0, random_state=3)
    apart = make_bags(class_sep=4, random_state=3)
    is_background = plain.instance_labels == 0
    assert_array_equal(plain.instance_labels, apart.instance_labels)
    assert_array_equal(plain.bags.instances[is_background], apart.bags.instances[is_background])
    difference = apart.bags.instances[~is_background] - plain.bags.instances[~is_background]
    assert_allclose(np.abs(difference[:, :5]), 4)
    assert_allclose(difference[:, 5:], 0, atol=1e-12)


def test_a_seed_determines_the_bags():
    first = make_bags(random_state=5)
    again = make_bags(random_state=np.random.RandomState(5))
    other = make_bags(random_state=6)
    assert_array_equal(first.bags.instances, again.bags.instances)
    assert_array_equal(first.bags.offsets, again.bags.offsets)
    assert_array_equal(first.target, again.target)
    assert_array_equal(first.instance_labels, again.instance_labels)
    assert not np.array_equal(first.target, other.target)


def test_a_seeded_call_leaves_the_global_generator_alone():
    generator = check_random_state(None)
    before = generator.get_state()[1].copy()
    make_bags(random_state=0)
    assert_array_equal(generator.get_state()[1], before)


def test_return_X_y_returns_the_same_data():
    data = make_bags(random_state=2)
    bags, y = make_bags(random_state=2, return_X_y=True)
    assert_array_equal(bags.instances, data.bags.instances)
    assert_array_equal(y, data.target)


def test_as_many_classes_as_the_vertices_allow():
    data = make_bags(n_classes=5, n_informative=2, random_state=0)
    assert len(np.unique(data.target)) == 5
    with pytest.raises(ValueError, match=r"n_informative=2 .* at most 4 .* asks for 5"):
        make_bags(n_classes=6, n_informative=2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_features": 0}, "n_features must be at least 1, got 0"),
        ({"n_informative": 0}, "n_informative must be from 1 to 20, got 0"),
        ({"n_informative": 21}, "n_informative must be from 1 to 20, got 21"),
        ({"class_sep": -1.0}, "class_sep must be a finite number at least 0, got -1.0"),
        ({"n_bags": 0}, "n_bags must be at least 1, got 0"),
    ],
)
def test_parameters_without_sense_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_bags(**parameters)


def test_parameters_are_given_by_name():
    with pytest.raises(TypeError):
        make_bags(100)


def test_flipped_labels_leave_the_bags_and_the_truth_alone():
    clean = make_bags(n_bags=2000, n_classes=4, random_state=0)
    noisy = make_bags(n_bags=2000, n_classes=4, flip_y=0.4, random_state=0)
    assert_array_equal(clean.target, clean.true_target)
    assert_array_equal(clean.target, noisy.true_target)
    assert_array_equal(clean.bags.instances, noisy.bags.instances)
    is_changed = noisy.target != noisy.true_target
    assert is_changed.mean() == pytest.approx(0.4 * 3 / 4, abs=0.04)
    # Whatever the class, and to any other.
    rates = [is_changed[noisy.true_target == k].mean() for k in range(4)]
    assert_allclose(rates, 0.3, atol=0.08)
    counts = np.bincount(noisy.target[is_changed & (noisy.true_target == 0)], minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 70


def test_noise_is_added_to_the_same_bags():
    clean = make_bags(n_bags=500, random_state=0)
    noisy = make_bags(n_bags=500, noise=0.5, random_state=0)
    assert_array_equal(clean.instance_labels, noisy.instance_labels)
    difference = noisy.bags.instances - clean.bags.instances
    assert_allclose(difference.std(axis=0), 0.5, atol=0.03)
    assert_allclose(difference.mean(axis=0), 0, atol=0.03)


def test_the_bags_of_a_seed_stay_what_they_are():
    data = make_bags(n_bags=3, n_features=2, n_informative=1, bag_size=2, random_state=0)
    assert data.target.tolist() == [0, 1, 1]
    assert data.instance_labels.tolist() == [0, 0, 1, 0, 0, 1]
    expected = [
        [0.97873798, 2.2408932],
        [1.86755799, -0.97727788],
        [2.45008842, -0.15135721],
        [-0.10321885, 0.4105985],
        [0.14404357, 1.45427351],
        [2.26103773, 0.12167502],
    ]
    assert_allclose(data.bags.instances, expected, atol=1e-8)


def test_every_concept_has_a_vertex_of_its_own():
    data = make_bags(
        n_bags=500,
        assumption="presence",
        n_concepts=3,
        n_informative=2,
        class_sep=4,
        random_state=0,
    )
    centres = {
        tuple(np.sign(data.bags.instances[data.instance_labels == k, :2].mean(axis=0)))
        for k in (1, 2, 3)
    }
    assert len(centres) == 3
