"""EMDDClassifier as an estimator: what goes in and what comes out."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from real_data import load
from scipy.special import logit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline

from skmil import Bags, InstanceTransformer, check_bags
from skmil.diverse_density import EMDDClassifier

TARGET = np.array([1.5, -1.0])


def make_problem(n_bags=40, seed=0, n_features=5, noise=0.2):
    """Return bags of uniform rows; one row of a positive bag is near the target.

    Only the first two features matter: the others of that row are uniform too.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % 2
    bags = [rng.uniform(-3, 3, (rng.integers(2, 6), n_features)) for _ in range(n_bags)]
    for bag, label in zip(bags, y, strict=True):
        if label:
            bag[rng.integers(len(bag)), :2] = TARGET + noise * rng.normal(size=2)
    return bags, y


def make_three_classes(n_bags=45, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % 3
    bags = [rng.normal(size=(rng.integers(1, 5), 3)) for _ in range(n_bags)]
    for bag, label in zip(bags, y, strict=True):
        bag[rng.integers(len(bag)), label] += 4.0
    return bags, y


@pytest.fixture
def problem():
    return make_problem()


@pytest.mark.parametrize("combine", ["mean", "best"])
def test_the_target_and_the_features_that_matter_are_found(combine):
    bags, y = make_problem(300)
    model = EMDDClassifier(combine=combine).fit(bags, y)
    assert_allclose(model.target_[:2], TARGET, atol=0.1)
    assert model.scales_[:2].min() > 10 * model.scales_[2:].max()
    new, truth = make_problem(300, seed=1)
    assert model.score(new, truth) >= 0.9
    is_near = [np.argmin(np.square(bag[:, :2] - TARGET).sum(axis=1)) for bag in bags]
    assert np.mean(model.witnesses_[y == 1] == np.array(is_near)[y == 1]) > 0.95
    assert (model.witnesses_[y == 0] == -1).all()


@pytest.mark.parametrize("combine", ["mean", "best"])
def test_probabilities_are_those_of_the_definition(problem, combine):
    bags, y = problem
    model = EMDDClassifier(combine=combine).fit(bags, y)
    (hypotheses,) = model.hypotheses_
    assert hypotheses.shape == ({"mean": 10, "best": 1}[combine], 2, 5)
    of_bag_and_hypothesis = [
        [np.exp(-np.square(s * (bag - t)).sum(axis=1)).max() for t, s in hypotheses] for bag in bags
    ]
    p = np.mean(of_bag_and_hypothesis, axis=1)
    assert_allclose(model.predict_proba(bags), np.column_stack([1 - p, p]), rtol=1e-10)
    assert_allclose(model.decision_function(bags), logit(p), rtol=1e-8)
    assert_array_equal(model.predict(bags), (p > 0.5).astype(int))
    best = np.array(of_bag_and_hypothesis)[:, 0]
    assert model.log_likelihood_ == pytest.approx(np.log(np.where(y, best, 1 - best)).mean())
    assert_array_equal(hypotheses[0], [model.target_, model.scales_])


def test_best_is_the_first_of_the_hypotheses_of_mean(problem):
    mean, best = EMDDClassifier().fit(*problem), EMDDClassifier(combine="best").fit(*problem)
    assert_array_equal(best.hypotheses_[0][0], mean.hypotheses_[0][0])
    assert best.log_likelihood_ == mean.log_likelihood_
    alone = [
        EMDDClassifier(combine="best", n_starts=n).fit(*problem).log_likelihood_
        for n in (1, 3, 10, "all")
    ]
    assert alone == sorted(alone)
    assert alone[0] < alone[-1]


def test_witnesses_are_the_most_probable_instances(problem):
    bags, y = problem
    model = EMDDClassifier().fit(bags, y)
    for bag, label, witness in zip(bags, y, model.witnesses_, strict=True):
        assert witness == (model.predict_proba(bag)[:, 1].argmax() if label else -1)


def test_witnesses_are_those_of_the_mean_where_hypotheses_disagree():
    bags, y = make_problem(12, noise=1.0)
    model = EMDDClassifier(n_starts="all").fit(bags, y)
    (hypotheses,) = model.hypotheses_
    first = np.full(12, -1)
    for i in np.flatnonzero(y):
        p = [np.exp(-np.square(s * (bags[i] - t)).sum(axis=1)) for t, s in hypotheses]
        first[i] = p[0].argmax()
        assert model.witnesses_[i] == np.mean(p, axis=0).argmax()
    assert (model.witnesses_ != first).any()
    best = EMDDClassifier(n_starts="all", combine="best").fit(bags, y)
    assert_array_equal(best.witnesses_, first)


def test_number_of_iterations_is_the_most_of_any_hypothesis(problem):
    model = EMDDClassifier().fit(*problem)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        same = EMDDClassifier(max_iter=int(model.n_iter_)).fit(*problem)
    assert_array_equal(same.hypotheses_, model.hypotheses_)
    with pytest.warns(ConvergenceWarning):
        EMDDClassifier(max_iter=int(model.n_iter_) - 1).fit(*problem)


def test_probabilities_on_the_targets_are_not_less_than_zero(problem):
    bags, y = problem
    model = EMDDClassifier().fit(bags, y)
    for n_hypotheses in range(2, 30):
        # So near that the mean of the probabilities is one but for rounding.
        targets = np.zeros((n_hypotheses, 5))
        targets[n_hypotheses // 2 :] = 1e-9
        model.hypotheses_ = [np.stack([targets, np.ones_like(targets)], axis=1)]
        p = model.predict_proba([np.zeros((3, 5))])
        assert p.min() >= 0
        assert p.max() <= 1


def test_several_classes_are_one_against_the_rest():
    bags, y = make_three_classes()
    labels = np.array(["none", "second", "third"])[y]
    model = EMDDClassifier(class_weight={"third": 2.0}).fit(bags, labels)
    assert model.target_.shape == model.scales_.shape == (3, 3)
    assert model.witnesses_.shape == (3, 45)
    assert model.log_likelihood_.shape == model.n_iter_.shape == (3,)
    assert [len(h) for h in model.hypotheses_] == [10, 10, 10]
    scores, p = model.decision_function(bags), []
    for k, label in enumerate(model.classes_):
        alone = EMDDClassifier().fit(
            bags, labels == label, sample_weight=np.where(y == 2, 2.0, 1.0)
        )
        assert_allclose(scores[:, k], alone.decision_function(bags), rtol=1e-4, atol=1e-4)
        assert_array_equal(model.witnesses_[k], alone.witnesses_)
        assert model.log_likelihood_[k] == pytest.approx(alone.log_likelihood_)
        p.append(alone.predict_proba(bags)[:, 1])
    p = np.column_stack(p)
    probabilities = model.predict_proba(bags)
    assert_allclose(probabilities, p / p.sum(axis=1, keepdims=True), atol=1e-4)
    assert_array_equal(model.predict(bags), model.classes_[probabilities.argmax(axis=1)])
    assert model.score(bags, labels) > 0.9


def test_probabilities_of_far_bags_are_not_lost():
    bags, y = make_three_classes()
    model = EMDDClassifier().fit(bags, y)
    far = [1e3 * np.eye(3)[[k]] for k in range(3)]
    p = model.predict_proba(far)
    assert_allclose(p.sum(axis=1), 1)
    assert_array_equal(model.predict(far), p.argmax(axis=1))
    assert np.isfinite(model.decision_function(far)).all()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 0.3}])
def test_weights_are_repetitions(problem, class_weight, container):
    bags, y = problem
    bags = [container(bag) for bag in bags]
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 4, size=len(bags))
    repeated = rng.permutation(np.repeat(np.arange(len(bags)), weight))
    model = EMDDClassifier(class_weight=class_weight)
    weighted = clone(model).fit(bags, y, sample_weight=weight)
    plain = clone(model).fit([bags[i] for i in repeated], y[repeated])
    assert_array_equal(weighted.hypotheses_, plain.hypotheses_)
    assert_array_equal(weighted.witnesses_[repeated], plain.witnesses_)
    assert (weighted.witnesses_[weight == 0] == -1).all()
    unweighted = clone(model).fit(bags, y)
    assert not np.allclose(unweighted.scales_, weighted.scales_, rtol=1e-2)


def test_the_unit_of_weights_has_no_influence(problem):
    bags, y = problem
    model = EMDDClassifier().fit(bags, y)
    other = EMDDClassifier().fit(bags, y, sample_weight=np.full(len(y), 2.0**-20))
    assert_array_equal(other.hypotheses_, model.hypotheses_)


def test_order_of_bags_and_instances_does_not_matter(problem):
    bags, y = problem
    rng = np.random.default_rng(2)
    order = rng.permutation(len(bags))
    model = EMDDClassifier().fit(bags, y)
    other = EMDDClassifier().fit([rng.permutation(bags[i]) for i in order], y[order])
    assert_array_equal(other.hypotheses_, model.hypotheses_)


@pytest.mark.parametrize("initial_scale", ["scale", 0.5])
def test_the_unit_of_all_features_and_constant_features_have_no_influence(problem, initial_scale):
    bags, y = problem
    model = EMDDClassifier(initial_scale=initial_scale).fit(bags, y)
    unit = 2.0**10
    scale = initial_scale if initial_scale == "scale" else initial_scale / unit
    larger = EMDDClassifier(initial_scale=scale).fit([unit * bag for bag in bags], y)
    assert_allclose(larger.scales_, model.scales_ / unit, rtol=1e-4)
    matters = model.scales_ > 0  # elsewhere the target means nothing
    assert_allclose(larger.target_[matters], unit * model.target_[matters], rtol=1e-4)
    wider = [np.column_stack([bag, np.full(len(bag), 7.0), np.zeros(len(bag))]) for bag in bags]
    wider = EMDDClassifier(initial_scale=initial_scale).fit(wider, y)
    assert_allclose(wider.target_[:5][matters], model.target_[matters], rtol=1e-4)
    assert_allclose(wider.scales_[:5], model.scales_, rtol=1e-4)
    assert_array_equal(wider.scales_[5:], 0.0)


def test_initial_scale_is_in_the_unit_of_the_features(problem):
    # One short step, so that the result still tells where it began.
    bags, y = problem
    few = {"max_iter": 1, "max_step_iter": 1, "tol": 1e9}
    model = EMDDClassifier(initial_scale=0.5, **few).fit(bags, y)
    larger = EMDDClassifier(initial_scale=0.5 / 1024, **few).fit([1024 * bag for bag in bags], y)
    assert_allclose(larger.scales_, model.scales_ / 1024, rtol=1e-9)
    assert_allclose(larger.target_, 1024 * model.target_, rtol=1e-9)


def test_initial_scale(problem):
    bags, y = problem
    instances = check_bags(bags).instances
    scale = float(1 / np.sqrt(instances.var(axis=0).sum()))
    model, given = (EMDDClassifier(initial_scale=s).fit(bags, y) for s in ("scale", scale))
    assert_allclose(given.scales_, model.scales_, rtol=1e-4)
    other = EMDDClassifier(initial_scale=5 * scale).fit(bags, y)
    assert not np.allclose(other.hypotheses_, model.hypotheses_, rtol=1e-2)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_gives_the_result_of_dense(problem, container):
    bags, y = problem
    bags = [np.where(np.abs(bag) < 0.7, 0.0, bag) for bag in bags]
    dense = EMDDClassifier().fit(bags, y)
    sparse_bags = [container(bag) for bag in bags]
    sparse = EMDDClassifier().fit(sparse_bags, y)
    scores = dense.decision_function(bags)
    assert_allclose(dense.decision_function(sparse_bags), scores, rtol=1e-9)
    assert_allclose(sparse.decision_function(sparse_bags), scores, rtol=1e-4, atol=1e-5)
    assert_array_equal(sparse.witnesses_, dense.witnesses_)


def test_repeated_entries_of_sparse_instances_are_summed_in_a_copy(problem):
    bags, y = problem
    whole = sp.csr_matrix(check_bags(bags).instances)
    halves = np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2), 2 * whole.indptr
    repeated = sp.csr_matrix(halves, shape=whole.shape)
    n_stored = repeated.nnz
    offsets = check_bags(bags).offsets
    expected = EMDDClassifier().fit(Bags(whole, offsets), y)
    model = EMDDClassifier().fit(Bags(repeated, offsets), y)
    assert_array_equal(model.hypotheses_, expected.hypotheses_)
    scores = expected.decision_function(Bags(whole, offsets))
    assert_allclose(model.decision_function(Bags(repeated, offsets)), scores, rtol=1e-12)
    assert repeated.nnz == n_stored


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("size", [1e160, 1e200])
def test_refuses_features_whose_squares_leave_float64(problem, container, size):
    bags, y = problem
    large = [container(size * bag) for bag in bags]
    with pytest.raises(ValueError, match=r"The features are too large: .* Scale them"):
        EMDDClassifier().fit(large, y)
    model = EMDDClassifier().fit([container(bag) for bag in bags], y)
    given = [container(bags[0]), large[0]]
    for method in (model.predict_proba, model.decision_function):
        with pytest.raises(ValueError, match=r"features of bag 1 are too large: .* Scale them"):
            method(given)


def test_sparse_instances_are_never_made_dense(problem, monkeypatch):
    bags, y = problem
    sparse = [sp.csr_array(bag) for bag in bags]
    n_features = sparse[0].shape[1]
    original = sp.csr_array.toarray

    def refuse(self, *args, **kwargs):
        assert n_features not in self.shape, "made dense"  # a block of products may be
        return original(self, *args, **kwargs)

    monkeypatch.setattr(sp.csr_array, "toarray", refuse)
    monkeypatch.setattr(sp.csr_array, "todense", refuse)
    model = EMDDClassifier().fit(sparse, y)
    model.predict(sparse)
    model.predict_proba(sparse)


def test_any_number_of_processes_gives_the_same_result(problem):
    one = EMDDClassifier(n_jobs=1).fit(*problem)
    two = EMDDClassifier(n_jobs=2).fit(*problem)
    assert_array_equal(two.hypotheses_, one.hypotheses_)
    with parallel_config("threading", n_jobs=2):
        threads = EMDDClassifier().fit(*problem)
    assert_array_equal(threads.hypotheses_, one.hypotheses_)


def test_number_of_starts(problem):
    bags, y = problem
    n_positive = sum(len(bag) for bag, label in zip(bags, y, strict=True) if label)
    for n_starts, expected in [(1, 1), (30, 30), (10_000, n_positive), ("all", n_positive)]:
        model = EMDDClassifier(n_starts=n_starts, max_step_iter=10).fit(bags, y)
        assert len(model.hypotheses_[0]) == expected
    few = EMDDClassifier(n_starts="all").fit([bags[1], bags[1], bags[0]], [1, 1, 0])
    assert len(few.hypotheses_[0]) == len(bags[1])


def test_identical_and_constant_instances_are_no_problem():
    same = [np.ones((2, 2))] * 4  # nothing tells the classes apart, and there is no scale
    model = EMDDClassifier().fit(same, [1, 1, 0, 0])
    assert np.isfinite(model.decision_function(same)).all()
    bags = [np.ones((3, 2)), np.ones((1, 2)), np.zeros((2, 2)), np.zeros((4, 2))]
    model = EMDDClassifier().fit(bags, [1, 1, 0, 0])
    assert model.witnesses_.tolist() == [0, 0, -1, -1]
    assert model.predict(bags).tolist() == [1, 1, 0, 0]


def test_class_weight_raises_the_scores_of_its_class(problem):
    bags, y = problem
    y = y.copy()
    y[:6] = 1 - y[:6]
    means = [
        EMDDClassifier(class_weight=class_weight).fit(bags, y).predict_proba(bags)[:, 1].mean()
        for class_weight in ({0: 10.0}, None, {1: 10.0})
    ]
    assert means == sorted(means)
    assert means[0] < means[2] - 0.2


def test_class_of_zero_weight_is_absent(problem):
    bags, y = problem
    y = y.copy()
    y[:3] = 2
    model = EMDDClassifier().fit(bags, y, sample_weight=(y != 2).astype(float))
    assert model.classes_.tolist() == [0, 1]


def test_warns_at_max_iter(problem):
    message = "The likelihood still rose after 1 iterations. Increase max_iter"
    with pytest.warns(ConvergenceWarning, match=message) as record:
        model = EMDDClassifier(max_iter=1).fit(*problem)
    assert model.n_iter_ == 1
    assert Path(record[0].filename) == Path(__file__)  # points at the caller


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_starts": 0}, "'n_starts' parameter"),
        ({"n_starts": "some"}, "'n_starts' parameter"),
        ({"combine": "median"}, "'combine' parameter"),
        ({"initial_scale": 0.0}, "'initial_scale' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"max_step_iter": 0}, "'max_step_iter' parameter"),
        ({"tol": -1.0}, "'tol' parameter"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"class_weight": {5: 1.0}}, "no class of y"),
        ({"class_weight": {0: 0, 1: 0}}, "leaves no bag with a weight"),
        ({"n_jobs": 1.5}, "'n_jobs' parameter"),
    ],
)
def test_refuses_wrong_parameters(problem, params, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        EMDDClassifier(**params).fit(*problem)


def test_must_be_fitted_first(problem):
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(EMDDClassifier(), method)(problem[0])


def test_pickle_and_clone(problem):
    bags, y = problem
    model = EMDDClassifier().fit(bags, y)
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.decision_function(bags), model.decision_function(bags))
    assert_array_equal(clone(model).fit(bags, y).hypotheses_, model.hypotheses_)


def test_musk1_on_its_published_folds():
    bags, y, data = load("musk1")
    model = make_pipeline(InstanceTransformer(), EMDDClassifier(n_starts=5))
    scores = cross_val_predict(
        model, bags, y, cv=PredefinedSplit(data["folds"][0]), method="decision_function"
    )
    # Bounds by a margin: figures are in the user guide.
    assert np.mean((scores > 0) == y) >= 0.78
    assert roc_auc_score(y, scores) >= 0.84


def test_sparse_terms_of_web_pages():
    bags, y, data = load("web1")
    train, test = data["split"] == 0, data["split"] == 1
    model = EMDDClassifier(n_starts=3).fit(bags[train], y[train])
    assert roc_auc_score(y[test], model.decision_function(bags[test])) >= 0.6
