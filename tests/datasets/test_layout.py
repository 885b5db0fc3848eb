import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmil.datasets._layout import check_integer, check_number, draw_layout

DEFAULTS = {
    "n_bags": 20,
    "bag_size": (3, 8),
    "positive_fraction": 0.5,
    "witness_rate": 0.25,
    "n_classes": 2,
}


def draw(seed=0, **parameters):
    return draw_layout(**DEFAULTS | parameters, rng=np.random.RandomState(seed))


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
        ({"bag_size": (5, 6, 7)}, TypeError, "an integer or a pair"),
        ({"bag_size": "large"}, TypeError, "an integer or a pair"),
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


def test_check_integer_takes_numpy_integers_but_no_booleans():
    check_integer("n", np.int32(3), 1)
    with pytest.raises(TypeError, match="n must be an integer, got True"):
        check_integer("n", True, 0)


def test_check_number_refuses_infinity():
    check_number("x", np.float32(3), 0)
    with pytest.raises(ValueError, match="x must be a finite number at least 0, got inf"):
        check_number("x", np.inf, 0)
