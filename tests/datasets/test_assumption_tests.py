import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm, poisson
from sklearn.metrics import roc_auc_score

from skmil import Bags
from skmil.datasets import make_assumption_test

TESTS = ("single_concept", "multi_concept", "false_frequency")


def parts(data):
    """Yield bags, labels and instance labels of the training and the test part."""
    for part in ("train", "test"):
        yield data[f"bags_{part}"], data[f"target_{part}"], data[f"instance_labels_{part}"]


def count(bags, is_counted):
    return np.add.reduceat(is_counted, bags.offsets[:-1], dtype=np.int64)


@pytest.mark.parametrize("test", TESTS)
def test_the_shape_of_the_data(test):
    data = make_assumption_test(test, n_bags=31, n_features=4, n_background=(2, 5), random_state=0)
    for bags, target, labels in parts(data):
        assert isinstance(bags, Bags)
        assert bags.shape == target.shape == (31,)
        assert target.sum() == 15
        assert bags.n_features == 4
        assert labels.shape == (bags.n_instances,)
        assert set(count(bags, labels == 0)) == {2, 3, 4, 5}
    assert f"unit test of multiple instance learning: {test}\n---" in data.DESCR
    title, line = data.DESCR.splitlines()[:2]
    assert len(title) == len(line)
    assert max(map(len, data.DESCR.splitlines())) <= 99


@pytest.mark.parametrize("test", TESTS)
def test_the_label_is_what_the_assumption_says(test):
    for bags, target, labels in parts(make_assumption_test(test, random_state=1)):
        present = np.column_stack([count(bags, labels == k) > 0 for k in (1, 2)])
        if test == "single_concept":
            assert not present[:, 1].any()
            assert_array_equal(target, present[:, 0])
        else:
            assert_array_equal(target, present.all(axis=1))
            assert present.any(axis=1).all()
            alone = present[target == 0].argmax(axis=1)
            assert 0.3 < alone.mean() < 0.7


@pytest.mark.parametrize("test", ["single_concept", "multi_concept"])
def test_poison_is_in_negative_training_bags_and_in_positive_test_bags(test):
    data = make_assumption_test(test, random_state=1)
    for (bags, target, labels), poisoned in zip(parts(data), (0, 1), strict=True):
        assert_array_equal(count(bags, labels == -1), target == poisoned)
        counts = count(bags, labels == 1)
        assert set(counts[target == 1]) == {1, 2, 3}
        if test == "multi_concept":
            assert_array_equal(counts[target == 1], count(bags, labels == 2)[target == 1])
            assert set(count(bags, labels > 0)[target == 0]) == {1}


def test_false_frequency_is_one_in_training_and_many_in_test():
    data = make_assumption_test("false_frequency", n_bags=400, random_state=1)
    for (bags, target, labels), expected in zip(parts(data), ({1}, range(35, 46)), strict=True):
        assert set(count(bags, labels > 0)[target == 1]) == {2}
        assert set(count(bags, labels > 0)[target == 0]) == set(expected)
        assert labels.min() == 0


@pytest.mark.parametrize("test", TESTS)
def test_means_and_spreads(test):
    data = make_assumption_test(test, n_bags=600, n_features=2, random_state=0)
    expected = {-1: (-10, 0.1), 0: (0, 1), 1: (2, 0.1), 2: (3, 0.1)}
    if test == "single_concept":
        expected[1] = (0.5, np.sqrt(0.25 + (3**2 + 1) / 2))  # half of (0, 3), half of (1, 1)
    for bags, _, labels in parts(data):
        for label in set(labels):
            values = bags.instances[labels == label]
            mean, spread = expected[label]
            assert_allclose(values.mean(axis=0), mean, atol=0.1 * spread)
            assert_allclose(values.std(axis=0), spread, rtol=0.1)


@pytest.mark.parametrize("test", TESTS)
def test_the_instances_of_a_bag_are_in_random_order(test):
    for bags, _, labels in parts(make_assumption_test(test, random_state=0)):
        places = np.arange(bags.n_instances) - bags.offsets[bags.bag_index]
        is_concept = labels > 0
        share = places[is_concept] / (bags.bag_sizes[bags.bag_index[is_concept]] - 1)
        assert share.mean() == pytest.approx(0.5, abs=0.06)


def log_likelihood(bags, mean, spread):
    return norm.logpdf(bags.instances, mean, spread).sum(axis=1)


def test_an_oracle_of_the_concept_passes_from_the_features_alone():
    # The best score of an instance, given the distributions. The maximum is all it takes.
    for bags, target, _ in parts(make_assumption_test("single_concept", random_state=0)):
        scores = np.logaddexp(log_likelihood(bags, 0, 3), log_likelihood(bags, 1, 1))
        scores -= np.logaddexp(log_likelihood(bags, 0, 1), log_likelihood(bags, -10, 0.1))
        assert roc_auc_score(target, np.maximum.reduceat(scores, bags.offsets[:-1])) > 0.99


@pytest.mark.parametrize("test", TESTS)
def test_an_oracle_of_instance_labels_is_perfect(test):
    concepts = [1] if test == "single_concept" else [1, 2]
    for bags, target, labels in parts(make_assumption_test(test, random_state=0)):
        # The maximum over instances for each concept, the minimum over concepts.
        best = [np.maximum.reduceat(labels == k, bags.offsets[:-1]) for k in concepts]
        assert roc_auc_score(target, np.min(best, axis=0)) == 1


@pytest.mark.parametrize("test", ["multi_concept", "false_frequency"])
def test_one_score_per_instance_gets_to_three_quarters(test):
    for bags, target, labels in parts(make_assumption_test(test, n_bags=600, random_state=0)):
        best = np.maximum.reduceat(labels, bags.offsets[:-1])
        assert roc_auc_score(target, best) == pytest.approx(0.75, abs=0.05)


def test_the_best_noisy_score_depends_on_how_many_there_are():
    data = make_assumption_test("false_frequency", n_bags=2000, random_state=0)
    rng = np.random.default_rng(0)
    # The best of two is above one score in two cases of three, above 40 in two cases of 42.
    for (bags, target, labels), expected in zip(parts(data), (2 / 3, 2 / 42), strict=True):
        best = np.maximum.reduceat(
            np.where(labels > 0, rng.uniform(size=len(labels)), 0), bags.offsets[:-1]
        )
        assert roc_auc_score(target, best) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("test", ["single_concept", "multi_concept"])
def test_an_oracle_of_negative_evidence_falls_for_the_poison(test):
    data = make_assumption_test(test, random_state=0)
    areas = []
    for bags, target, _ in parts(data):
        distance = np.linalg.norm(bags.instances + 10, axis=1)
        areas.append(roc_auc_score(target, np.minimum.reduceat(distance, bags.offsets[:-1])))
    assert areas == [1, 0]


def test_an_oracle_that_counts_falls_for_the_frequency():
    data = make_assumption_test("false_frequency", random_state=0)
    areas = [roc_auc_score(y, count(bags, labels > 0)) for bags, y, labels in parts(data)]
    assert areas == [1, 0]


@pytest.mark.parametrize("test", TESTS)
def test_a_seed_determines_the_bags(test):
    first = make_assumption_test(test, n_bags=20, random_state=3)
    again = make_assumption_test(test, n_bags=20, random_state=np.random.RandomState(3))
    other = make_assumption_test(test, n_bags=20, random_state=4)
    for (bags, target, labels), (b, t, k), (c, _, _) in zip(
        parts(first), parts(again), parts(other), strict=True
    ):
        assert_array_equal(bags.instances, b.instances)
        assert_array_equal(target, t)
        assert_array_equal(labels, k)
        assert bags.n_instances != c.n_instances or (bags.instances != c.instances).all()
    assert not np.isin(first.bags_train.instances, first.bags_test.instances).any()


def test_background_from_a_distribution():
    data = make_assumption_test(n_background=poisson(20), random_state=0)
    counts = count(data.bags_train, data.instance_labels_train == 0)
    assert counts.mean() == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"test": "poison"}, ValueError, "one of single_concept, .* got 'poison'"),
        ({"n_bags": 1}, ValueError, "n_bags must be at least 2, got 1"),
        ({"n_features": 0}, ValueError, "n_features must be at least 1, got 0"),
        ({"n_background": (4, 2)}, ValueError, r"n_background is .* got \(4, 2\). Swap"),
        ({"n_background": None}, TypeError, "n_background must be an integer, a pair"),
    ],
)
def test_parameters_without_sense_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        make_assumption_test(**parameters)
