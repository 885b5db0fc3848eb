import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import ks_2samp, lognorm
from sklearn.metrics import roc_auc_score

from skmil.datasets import make_bags
from skmil.datasets._assumptions import ASSUMPTIONS, make_rule


def label_by_hand(instances, assumption, low, high):
    """Compute the label of one bag from the concepts of its instances."""
    counts = [np.count_nonzero(instances == k + 1) for k in range(len(low))]
    if assumption == "standard":
        return instances.max()
    if assumption == "presence":
        return 0 not in counts
    if assumption == "threshold":
        return all(n >= t for n, t in zip(counts, low, strict=True))
    if assumption == "count":
        return all(t <= n <= z for n, t, z in zip(counts, low, high, strict=True))
    return instances.mean() > 0.5


@st.composite
def parameters(draw, assumption):
    n_concepts = draw(st.integers(2, 3))
    low = draw(st.lists(st.integers(1, 3), min_size=n_concepts, max_size=n_concepts))
    high = [t + draw(st.integers(0, 2)) for t in low]
    return {
        "assumption": assumption,
        "n_concepts": n_concepts,
        "min_count": low,
        "max_count": high,
        "n_classes": draw(st.integers(2, 4)) if assumption == "standard" else 2,
        "bag_size": (smallest := sum(low), smallest + draw(st.integers(0, 8))),
        "witness_rate": draw(st.floats(0.01, 1)),
        "positive_fraction": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "n_bags": draw(st.integers(6, 30)),
        "random_state": draw(st.integers(0, 2**32 - 1)),
    }


@pytest.mark.parametrize("assumption", ASSUMPTIONS)
@given(data=st.data())
def test_the_label_is_what_the_assumption_says(assumption, data):
    settings = data.draw(parameters(assumption))
    made = make_bags(**settings)
    bounds = settings["min_count"], settings["max_count"]
    expected = [
        label_by_hand(instances, assumption, *bounds)
        for instances in np.split(made.instance_labels, made.bags.offsets[1:-1])
    ]
    assert_array_equal(made.target, expected)
    assert_array_equal(made.true_target, expected)
    rule = make_rule(
        **{key: settings[key] for key in ("assumption", "n_classes", "n_concepts")},
        **{key: settings[key] for key in ("min_count", "max_count")},
    )
    assert_array_equal(rule.labels(made.concept_counts, made.bags.bag_sizes), expected)
    assert (made.target > 0).sum() == round(settings["positive_fraction"] * settings["n_bags"])


def test_presence_a_negative_bag_lacks_exactly_one_concept():
    data = make_bags(n_bags=400, assumption="presence", n_concepts=3, random_state=0)
    negative = data.concept_counts[data.target == 0]
    assert set((negative > 0).sum(axis=1)) == {2}
    lacking = np.bincount((negative == 0).argmax(axis=1))
    assert lacking.min() > 40


@pytest.mark.parametrize("assumption", ["presence", "threshold"])
def test_the_number_of_witnesses_is_what_was_asked_for(assumption):
    data = make_bags(
        n_bags=400, assumption=assumption, bag_size=10, witness_rate=0.5, random_state=0
    )
    assert set(data.concept_counts.sum(axis=1)) == {5}


@pytest.mark.parametrize(
    ("bag_size", "witness_rate"),
    [((9, 15), 0.2), ((9, 15), 0.6), (lognorm(1, scale=10), 0.2)],
    ids=["few", "many", "lognormal"],
)
@pytest.mark.parametrize(
    "parameters",
    [
        {"assumption": "presence"},
        {"assumption": "presence", "n_concepts": 3},
        {"assumption": "threshold"},
        {"assumption": "threshold", "n_concepts": 3},
        {"assumption": "threshold", "min_count": (2, 3)},
        {"assumption": "threshold", "min_count": (1, 4)},
        {"assumption": "count"},
        {"assumption": "count", "n_concepts": 3},
        {"assumption": "count", "min_count": (2, 3), "max_count": (3, 5)},
        {"assumption": "count", "min_count": 1, "max_count": 2},
        {"assumption": "count", "max_count": 6},
    ],
    ids=str,
)
def test_the_number_of_witnesses_alone_tells_nothing(parameters, witness_rate, bag_size):
    check_that_the_number_tells_nothing(**parameters, witness_rate=witness_rate, bag_size=bag_size)


@pytest.mark.parametrize("assumption", ["presence", "threshold", "count"])
def test_the_number_of_witnesses_alone_tells_nothing_by_default(assumption):
    check_that_the_number_tells_nothing(assumption=assumption)


def check_that_the_number_tells_nothing(**parameters):
    data = make_bags(n_bags=2000, n_features=5, random_state=0, **parameters)
    number, sizes, target = data.concept_counts.sum(axis=1), data.bags.bag_sizes, data.target
    # With 2000 bags the standard error of an area is about 0.013.
    assert roc_auc_score(target, number) == pytest.approx(0.5, abs=0.05)
    assert roc_auc_score(target, number / sizes) == pytest.approx(0.5, abs=0.05)
    # Not only the order of the numbers, which may agree by a balance of more and fewer.
    assert ks_2samp(number[target == 0], number[target == 1], method="asymp").pvalue > 1e-3
    for size in np.unique(sizes):
        of_size = [set(number[(sizes == size) & (target == k)]) for k in (0, 1)]
        if np.sum(sizes == size) > 200:
            assert of_size[0] == of_size[1]


@pytest.mark.parametrize(
    ("parameters", "matched"),
    [
        ({"assumption": "threshold", "n_concepts": 1}, []),
        ({"assumption": "count", "n_concepts": 1}, []),
        ({"assumption": "count", "max_count": 2}, []),
        # What the first concept lacks or has too much, the second cannot make up for.
        ({"assumption": "count", "max_count": (4, 2)}, [1]),
    ],
)
def test_the_number_tells_only_where_it_must(parameters, matched):
    data = make_bags(n_bags=1000, bag_size=(8, 15), random_state=0, **parameters)
    counts, number = data.concept_counts, data.concept_counts.sum(axis=1)
    usual = set(number[data.target == 1])
    most = parameters.get("max_count", 3) if parameters["assumption"] == "count" else np.inf
    broken = (counts < 2) | (counts > most)
    assert_array_equal(broken.sum(axis=1), 1 - data.target)
    for k in range(counts.shape[1]):
        assert (set(number[broken[:, k]]) <= usual) == (k in matched)


def test_counts_that_both_classes_can_have():
    data = make_bags(n_bags=500, assumption="count", bag_size=(5, 15), random_state=0)
    kinds = [set(map(tuple, data.concept_counts[data.target == k])) for k in (0, 1)]
    assert kinds == [{(1, 3), (3, 1), (2, 4), (4, 2)}, {(2, 2), (3, 3)}]


def test_threshold_needs_more_than_presence():
    data = make_bags(n_bags=300, assumption="threshold", min_count=[2, 3], random_state=0)
    negative = data.concept_counts[data.target == 0]
    assert negative.min() >= 1
    assert set((negative < [2, 3]).sum(axis=1)) == {1}
    assert {1, 2} <= set(negative[:, 1])


def test_count_needs_both_bounds():
    data = make_bags(n_bags=300, assumption="count", random_state=0)
    negative = data.concept_counts[data.target == 0]
    too_few, too_many = negative < 2, negative > 3
    assert set((too_few | too_many).sum(axis=1)) == {1}
    assert too_few.any(axis=1).mean() > 0.3
    assert too_many.any(axis=1).mean() > 0.3
    assert negative.min() >= 1


def test_a_bag_without_room_for_too_many_has_too_few():
    data = make_bags(n_bags=50, assumption="count", bag_size=5, random_state=0)
    negative = data.concept_counts[data.target == 0]
    assert (negative < 2).any(axis=1).all()


def test_one_concept_at_least_twice():
    data = make_bags(assumption="threshold", n_concepts=1, min_count=2, random_state=0)
    assert set(data.concept_counts[data.target == 0].ravel()) == {1}
    assert data.concept_counts[data.target == 1].min() == 2


def test_collective_both_classes_hold_the_concept_and_the_background():
    data = make_bags(n_bags=300, assumption="collective", bag_size=10, random_state=0)
    shares = data.concept_counts[:, 0] / data.bags.bag_sizes
    assert set(np.round(10 * shares[data.target == 0])) == set(range(6))
    assert set(np.round(10 * shares[data.target == 1])) == set(range(6, 11))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"assumption": "strict"}, ValueError, "one of standard, presence, .* got 'strict'"),
        ({"assumption": "count", "n_classes": 3}, ValueError, "makes two classes, got n_classes=3"),
        ({"assumption": "presence", "n_concepts": 1}, ValueError, "n_concepts must be at least 2"),
        ({"assumption": "threshold", "min_count": 0}, ValueError, "min_count must be at least 1"),
        ({"assumption": "threshold", "min_count": [1, 2, 3]}, ValueError, "3 values, .* 2 concep"),
        ({"assumption": "threshold", "min_count": 2.0}, TypeError, "or a sequence of integers"),
        ({"assumption": "threshold", "min_count": "22"}, TypeError, "or a sequence of integers"),
        (
            {"assumption": "threshold", "min_count": [2, 2.0]},
            TypeError,
            "must be an integer, got 2",
        ),
        ({"assumption": "count", "max_count": 1}, ValueError, "max_count=1 is below min_count=2"),
        ({"assumption": "count", "bag_size": 3}, ValueError, "at least 4 instances, but bag_size"),
    ],
)
def test_parameters_without_sense_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        make_bags(**parameters)
