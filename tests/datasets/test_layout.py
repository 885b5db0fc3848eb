import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats

from skmil.datasets._assumptions import make_rule
from skmil.datasets._layout import concept_counts, draw_layout, draw_sizes

DEFAULTS = {
    "n_bags": 20,
    "bag_size": (3, 8),
    "positive_fraction": 0.5,
    "witness_rate": 0.25,
    "n_classes": 2,
}


def draw(seed=0, **parameters):
    parameters = DEFAULTS | parameters
    rule = make_rule("standard", n_classes=parameters["n_classes"])
    return draw_layout(**parameters, rule=rule, rng=np.random.RandomState(seed))


@given(
    n_bags=st.integers(4, 40),
    low=st.integers(1, 6),
    spread=st.integers(0, 6),
    positive_fraction=st.floats(0.5, 1),
    witness_rate=st.floats(0.01, 1),
    n_classes=st.integers(2, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_promise_about_sizes_and_labels(
    n_bags, low, spread, positive_fraction, witness_rate, n_classes, seed
):
    offsets, target, instance_labels = draw(
        seed,
        n_bags=n_bags,
        bag_size=(low, low + spread),
        positive_fraction=positive_fraction,
        witness_rate=witness_rate,
        n_classes=n_classes,
    )

    sizes = np.diff(offsets)
    assert offsets[0] == 0
    assert len(sizes) == len(target) == n_bags
    assert sizes.min() >= low
    assert sizes.max() <= low + spread
    assert (target > 0).sum() == round(positive_fraction * n_bags)
    counts = np.bincount(target, minlength=n_classes)[1:]
    assert counts.max() - counts.min() <= 1
    for i, labels in enumerate(np.split(instance_labels, offsets[1:-1])):
        assert labels.max() == target[i]
        assert set(labels) <= {0, target[i]}
        if target[i]:
            assert np.count_nonzero(labels) == max(1, round(witness_rate * sizes[i]))


def test_every_size_of_the_range_occurs_and_no_other():
    offsets, _, _ = draw(n_bags=500, bag_size=(3, 6))
    assert set(np.diff(offsets)) == {3, 4, 5, 6}


def test_one_size_for_all_bags():
    offsets, _, _ = draw(bag_size=4)
    assert np.diff(offsets).tolist() == [4] * 20


def test_witnesses_lie_anywhere_in_the_bag_and_positive_bags_anywhere_among_bags():
    _, target, labels = draw(n_bags=300, bag_size=5, witness_rate=0.2)
    places = np.flatnonzero(labels) % 5
    assert np.bincount(places).min() > 15
    assert 50 < target[:150].sum() < 100


@pytest.mark.parametrize("distribution", [stats.poisson(9), stats.lognorm(1, scale=20)])
def test_sizes_from_a_distribution(distribution):
    sizes = np.diff(draw(bag_size=distribution, n_bags=2000)[0])
    assert sizes.min() >= 1
    assert np.median(sizes) == pytest.approx(distribution.median(), rel=0.1)
    # The same values, rounded: nothing else is done to them.
    drawn = distribution.rvs(size=50, random_state=np.random.RandomState(7))
    sizes = draw_sizes(distribution, 50, 1, np.random.RandomState(7))
    assert_array_equal(sizes, np.maximum(1, np.rint(drawn)))
    assert sizes.dtype == np.int64


def test_sizes_from_a_distribution_are_raised_to_the_least():
    assert draw_sizes(stats.poisson(0.5), 100, 3, np.random.RandomState(0)).min() == 3


class Broken:
    """A distribution that draws no numbers."""

    def rvs(self, size, random_state):
        return np.full(size, np.nan)


@pytest.mark.parametrize(
    "distribution",
    [
        stats.norm(1e12),
        stats.multivariate_normal([5, 5]),
        Broken(),
    ],
)
def test_sizes_without_bound_or_of_two_dimensions_are_refused(distribution):
    with pytest.raises(ValueError, match="Choose a distribution of one dimension"):
        draw_sizes(distribution, 10, 1, np.random.RandomState(0))


@pytest.mark.parametrize(
    "distribution",
    [stats.norm, stats.lognorm, stats.poisson, stats.multivariate_normal, Broken],
)
def test_distributions_that_are_not_frozen_are_refused(distribution):
    with pytest.raises(TypeError, match=r"bag_size must be a frozen .* scale=10\)"):
        draw(bag_size=distribution)


def test_a_distribution_of_given_values_is_frozen_by_a_call():
    distribution = stats.rv_discrete(values=([5, 9], [0.5, 0.5]))
    with pytest.raises(TypeError, match="frozen"):
        draw(bag_size=distribution)
    assert set(np.diff(draw(bag_size=distribution())[0])) == {5, 9}


def test_concept_counts_against_a_loop():
    rng = np.random.RandomState(0)
    labels = rng.randint(-1, 4, size=30)
    offsets = np.array([0, 1, 9, 10, 30])
    expected = [[(bag == k).sum() for k in (1, 2, 3)] for bag in np.split(labels, offsets[1:-1])]
    assert_array_equal(concept_counts(labels, offsets, 3), expected)


def test_no_positive_bag_if_none_is_asked_for():
    _, target, instance_labels = draw(positive_fraction=0.0)
    assert not target.any()
    assert not instance_labels.any()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_bags": 0}, ValueError, "n_bags must be at least 1, got 0"),
        ({"n_bags": 2.0}, TypeError, "n_bags must be an integer, got 2.0"),
        ({"n_classes": 1}, ValueError, "n_classes must be at least 2, got 1"),
        ({"n_classes": 12}, ValueError, "10 positive bags .* too few for 11 positive classes"),
        ({"bag_size": 0}, ValueError, "bag_size must be at least 1, got 0"),
        ({"bag_size": (0, 3)}, ValueError, "bag_size must be at least 1, got 0"),
        ({"bag_size": (5, 3)}, ValueError, r"got \(5, 3\). Swap the two"),
        ({"bag_size": (5, 6, 7)}, TypeError, "an integer, a pair .* or a frozen"),
        ({"bag_size": "large"}, TypeError, "an integer, a pair .* or a frozen"),
        ({"bag_size": (2, 3.5)}, TypeError, "bag_size must be an integer, got 3.5"),
        ({"positive_fraction": 1.5}, ValueError, "from 0 to 1, got 1.5"),
        ({"positive_fraction": np.nan}, ValueError, "positive_fraction .* got nan"),
        ({"positive_fraction": "half"}, TypeError, "must be a number, got 'half'"),
        ({"witness_rate": 0}, ValueError, "witness_rate must be above 0"),
        ({"witness_rate": -0.1}, ValueError, "witness_rate .* from 0 to 1, got -0.1"),
    ],
)
def test_parameters_without_sense_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        draw(**parameters)
