"""The heuristics against plain loops over bags and a plain SVC."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC
from strategies import bag_sizes

from skmil import Bags, check_bags
from skmil._instances import as_rows
from skmil.svm._heuristics import (
    HEURISTICS,
    PositiveBags,
    alternate,
    best_instances,
    impute,
    instances_and_means,
    score_bags,
    start_from_means,
    witness_problem,
)

FORMULATIONS = sorted(HEURISTICS)
SVC_PARAMS = {"kernel": "rbf", "gamma": 0.3, "C": 1.0, "tol": 1e-9}


@st.composite
def scored_bags(draw):
    """Scores of ragged bags, with ties."""
    sizes = draw(bag_sizes())
    score = st.integers(-2, 2).map(float)
    scores = draw(st.lists(score, min_size=sum(sizes), max_size=sum(sizes)))
    return np.array(scores), np.concatenate([[0], np.cumsum(sizes)])


def random_problem(seed, n_features=3):
    """Ragged positive and negative bags with weights; positive bags hold a shifted instance."""
    rng = np.random.default_rng(seed)

    def draw_bags():
        return [rng.normal(size=(rng.integers(1, 6), n_features)) for _ in range(6)]

    positive, negative = draw_bags(), draw_bags()
    for bag in positive:
        bag[rng.integers(len(bag))] += 1.0
    weights = rng.uniform(0.5, 2.0, size=(2, 6))
    return check_bags(positive), weights[0], check_bags(negative), weights[1]


def fit_plain_svc(rows, labels, weight):
    return SVC(**SVC_PARAMS).fit(rows, labels, sample_weight=weight)


class PlainSolver:
    """Fits to rows of a table by a function of rows, labels and weights."""

    def __init__(self, table, fit):
        self.table, self.fit_rows = table, fit

    def fit(self, chosen, labels, weight):
        return self.fit_rows(self.table[chosen], labels, weight)

    def score(self, model, chosen):
        return model.decision_function(self.table[chosen])

    def fit_to_features(self, chosen, labels, weight, model):
        return model


def run(formulation, fit, positive, positive_weight, negative, negative_weight, max_iter=100):
    """Alternate on positive and negative bags, which come in turn."""
    heuristic = HEURISTICS[formulation]
    n_positive, n_bags = len(positive), len(positive) + len(negative)
    order = np.argsort([*range(n_positive), *range(n_bags - n_positive)], kind="stable")
    bags = check_bags([*positive, *negative])[order]
    weight = np.concatenate([positive_weight, negative_weight])[order]
    solver = PlainSolver(heuristic.table(bags), fit)
    return alternate(heuristic, solver, bags, order < n_positive, weight, max_iter)


@given(scored_bags())
def test_choices_agree_with_a_loop_over_bags(data):
    scores, offsets = data
    bags = np.split(scores, offsets[1:-1])
    assert score_bags(scores, offsets).tolist() == [max(bag) for bag in bags]
    assert best_instances(scores, offsets).tolist() == [list(bag).index(max(bag)) for bag in bags]
    expected = []
    for bag in bags:
        labels = [score > 0 for score in bag]
        if not any(labels):
            labels[list(bag).index(max(bag))] = True
        expected += labels
    assert impute(scores, offsets).tolist() == expected


def test_first_witness_is_the_mean_of_the_bag():
    bags = check_bags([np.array([[0.0, 1.0], [4.0, 3.0]]), np.array([[5.0, 6.0]])])
    positive = PositiveBags(np.arange(3), bags.offsets, np.array([3, 4]), np.array([1.0, 2.0]))
    state = start_from_means(positive)
    assert state.tolist() == [-1, 0]  # a bag of one instance leaves no choice
    chosen, labels, weight = witness_problem(state, positive)
    for container in (np.asarray, sp.csr_array):
        of_storage = check_bags([container(bag) for bag in bags])
        rows = as_rows(instances_and_means(of_storage))[chosen]
        rows = rows.toarray() if sp.issparse(rows) else rows
        np.testing.assert_array_equal(rows, [[2.0, 2.0], [5.0, 6.0]])
    assert labels.tolist() == [1, 1]
    assert weight.tolist() == [1.0, 2.0]


def flat(labels):
    return [label for of_bag in labels for label in of_bag]


def naive_mi_svm(positive, positive_weight, negative, negative_weight):
    """MI-SVM with nothing but loops; returns witnesses and the number of SVMs."""
    rows_negative = [row for bag in negative for row in bag]
    weight = list(positive_weight)
    for bag, w in zip(negative, negative_weight, strict=True):
        weight += [w] * len(bag)
    labels = [1] * len(positive) + [-1] * len(rows_negative)
    representatives = [bag.mean(axis=0) for bag in positive]
    witnesses = [None if len(bag) > 1 else 0 for bag in positive]
    for n_iter in range(1, 100):
        svc = fit_plain_svc(representatives + rows_negative, labels, weight)
        chosen = [int(np.argmax(svc.decision_function(bag))) for bag in positive]
        if chosen == witnesses:
            return witnesses, n_iter
        witnesses = chosen
        representatives = [bag[i] for bag, i in zip(positive, chosen, strict=True)]
    raise AssertionError("did not converge")


def naive_instance_mi_svm(positive, positive_weight, negative, negative_weight):
    """mi-SVM with nothing but loops; returns the labels of each bag and the number of SVMs."""
    rows = [row for bag in [*positive, *negative] for row in bag]
    weight = []
    for bags, weights in [(positive, positive_weight), (negative, negative_weight)]:
        for bag, w in zip(bags, weights, strict=True):
            weight += [w] * len(bag)
    labels = [[1] * len(bag) for bag in positive]
    fixed = [-1] * sum(len(bag) for bag in negative)
    for n_iter in range(1, 100):
        svc = fit_plain_svc(rows, [*flat(labels), *fixed], weight)
        imputed = []
        for bag in positive:
            scores = svc.decision_function(bag)
            of_bag = [1 if score > 0 else -1 for score in scores]
            if 1 not in of_bag:
                of_bag[int(np.argmax(scores))] = 1
            imputed.append(of_bag)
        if imputed == labels:
            return labels, n_iter
        labels = imputed
    raise AssertionError("did not converge")


@pytest.mark.parametrize("seed", range(15))
def test_mi_svm_agrees_with_a_naive_loop(seed):
    problem = random_problem(seed)
    witnesses, n_iter = naive_mi_svm(*problem)
    result = run("bag", fit_plain_svc, *problem)
    assert result.outcome == "converged"
    assert result.n_iter == n_iter
    positive = problem[0]
    scores = result.model.decision_function(positive.instances)
    np.testing.assert_array_equal(result.scores, scores)
    assert best_instances(scores, positive.offsets).tolist() == witnesses


@pytest.mark.parametrize("seed", range(15))
def test_instance_mi_svm_agrees_with_a_naive_loop(seed):
    problem = random_problem(seed)
    labels, n_iter = naive_instance_mi_svm(*problem)
    result = run("instance", fit_plain_svc, *problem)
    assert result.outcome == "converged"
    assert result.n_iter == n_iter
    positive = problem[0]
    scores = result.model.decision_function(positive.instances)
    assert np.where(impute(scores, positive.offsets), 1, -1).tolist() == flat(labels)


def test_the_problems_above_need_several_iterations():
    for naive in (naive_mi_svm, naive_instance_mi_svm):
        assert max(naive(*random_problem(seed))[1] for seed in range(15)) >= 3


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("seed", range(5))
def test_no_iteration_raises_the_objective(formulation, seed):
    objectives = []

    def fit(rows, labels, weight):
        svc = fit_plain_svc(rows, labels, weight)
        margins = labels * svc.decision_function(rows)
        distances = ((svc.support_vectors_[:, None] - svc.support_vectors_) ** 2).sum(axis=2)
        alpha = svc.dual_coef_.ravel()
        norm = alpha @ np.exp(-SVC_PARAMS["gamma"] * distances) @ alpha
        loss = weight @ np.maximum(0.0, 1.0 - margins)
        objectives.append(norm / 2 + SVC_PARAMS["C"] * loss)
        return svc

    run(formulation, fit, *random_problem(seed))
    # The means that MI-SVM starts from are no choice of witnesses.
    chosen = objectives[1:] if formulation == "bag" else objectives
    assert (np.diff(chosen) < 1e-6).all()


class Scripted:
    """A solver whose models give the scores it was told, one array for each fit."""

    def __init__(self, *scores):
        self.scores = [np.array(values, dtype=float) for values in scores]
        self.models = []

    def fit(self, rows, labels, weight):
        model = Scripted()
        scores = self.scores[len(self.models)]
        model.decision_function = lambda rows: scores
        model.problem = rows, labels, weight
        self.models.append(model)
        return model


def run_scripted(formulation, *scores, max_iter=10):
    positive = Bags(np.arange(3.0)[:, None], [0, 3])
    negative = Bags(np.full((1, 1), -1.0), [0, 1])
    solver = Scripted(*scores)
    one = np.ones(1)
    return run(formulation, solver.fit, positive, one, negative, one, max_iter), solver


def test_stops_when_the_witness_stays():
    result, solver = run_scripted("bag", [0, 1, 0], [0, 0, 1], [0, 0, 2])
    assert (result.outcome, result.n_iter) == ("converged", 3)
    assert result.model is solver.models[-1]
    witness_rows = [model.problem[0][0, 0] for model in solver.models]
    assert witness_rows == [1.0, 1.0, 2.0]  # the mean, then instances 1 and 2


def test_stops_when_a_witness_comes_back():
    result, solver = run_scripted("bag", [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0])
    assert (result.outcome, result.n_iter) == ("cycle", 4)
    assert result.model is solver.models[-1]


def test_stops_when_labels_come_back():
    result, solver = run_scripted("instance", [1, -1, 1], [1, 1, -1], [1, -1, 1])
    assert (result.outcome, result.n_iter) == ("cycle", 3)
    assert solver.models[1].problem[1].tolist() == [1, -1, 1, -1]


def test_stops_after_max_iter():
    result, solver = run_scripted("bag", [1, 0, 0], [0, 1, 0], max_iter=2)
    assert (result.outcome, result.n_iter) == ("max_iter", 2)
    assert result.model is solver.models[-1]
