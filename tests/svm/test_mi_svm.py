"""MISVMClassifier as an estimator: what goes in and what comes out."""

import itertools
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from real_data import load
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from skmil import check_bags
from skmil.compose import InstanceTransformer
from skmil.svm import MISVMClassifier

FORMULATIONS = ["bag", "instance"]


def make_problem(n_bags=24, seed=0, n_classes=2, n_features=4):
    """Ragged bags; each bag of class k > 0 has one instance shifted along feature k."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    bags = [rng.normal(size=(rng.integers(1, 7), n_features)) for _ in range(n_bags)]
    for bag, label in zip(bags, y, strict=True):
        if label > 0:
            bag[rng.integers(len(bag)), label] += 3.0
    return bags, y


@pytest.fixture
def problem():
    return make_problem()


@pytest.mark.parametrize(
    "estimator",
    [
        MISVMClassifier(),
        MISVMClassifier(formulation="instance"),
        MISVMClassifier(kernel="linear"),
        MISVMClassifier(kernel="poly", class_weight="balanced"),
    ],
    ids=repr,
)
def test_scikit_learn_checks(estimator):
    check_estimator(estimator, on_skip=None)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_bag_score_is_the_highest_instance_score(problem, formulation):
    bags, y = problem
    model = MISVMClassifier(formulation=formulation).fit(bags, y)
    scores = model.decision_function(bags)
    instance_scores = [model.decision_function(bag) for bag in bags]
    np.testing.assert_allclose(scores, [of_bag.max() for of_bag in instance_scores])
    np.testing.assert_array_equal(model.predict(bags), (scores > 0).astype(int))
    for witness, of_bag, label in zip(model.witnesses_, instance_scores, y, strict=True):
        assert witness == (np.argmax(of_bag) if label == 1 else -1)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_learns_what_the_witnesses_have(formulation):
    model = MISVMClassifier(formulation=formulation).fit(*make_problem(80))
    test_bags, test_y = make_problem(80, seed=1)
    assert model.score(test_bags, test_y) >= 0.8


def test_several_classes_are_one_against_the_rest():
    bags, y = make_problem(30, n_classes=3)
    labels = np.array(["none", "second", "third"])[y]
    model = MISVMClassifier(class_weight={"third": 2.0}).fit(bags, labels)
    assert model.classes_.tolist() == ["none", "second", "third"]
    assert model.decision_function(bags).shape == (30, 3)
    assert model.witnesses_.shape == (3, 30)
    assert model.n_iter_.shape == (3,)
    for k, label in enumerate(model.classes_):
        binary = MISVMClassifier().fit(
            bags, labels == label, sample_weight=np.where(y == 2, 2.0, 1.0)
        )
        alone = MISVMClassifier(gamma=model.estimators_[0].gamma).fit(
            bags, labels == label, sample_weight=np.where(y == 2, 2.0, 1.0)
        )
        # Class weights do not enter gamma="scale", sample weights do.
        assert binary.estimators_[0].gamma != alone.estimators_[0].gamma
        np.testing.assert_allclose(
            model.decision_function(bags)[:, k], alone.decision_function(bags), rtol=1e-9
        )
        np.testing.assert_array_equal(model.witnesses_[k], alone.witnesses_)
        assert model.n_iter_[k] == alone.n_iter_
    best = model.decision_function(bags).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(bags), model.classes_[best])


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_gives_the_result_of_dense(problem, formulation, kernel, container):
    bags, y = problem
    bags = [np.where(np.abs(bag) < 0.7, 0.0, bag) for bag in bags]
    sparse_bags = [container(bag) for bag in bags]
    model = MISVMClassifier(formulation=formulation, kernel=kernel, tol=1e-8)
    dense, sparse = clone(model).fit(bags, y), clone(model).fit(sparse_bags, y)
    assert sp.issparse(sparse.estimators_[0].support_vectors_)
    np.testing.assert_array_equal(sparse.witnesses_, dense.witnesses_)
    np.testing.assert_allclose(
        sparse.decision_function(sparse_bags), dense.decision_function(bags), atol=1e-6
    )


def test_sparse_instances_are_never_made_dense(problem, monkeypatch):
    bags, y = problem
    sparse = [sp.csr_array(bag) for bag in bags]

    def refuse(method):
        def checked(self, *args, **kwargs):
            assert self.shape[1] != 4, "instances made dense"
            return method(self, *args, **kwargs)  # kernels of instances are dense

        return checked

    for kind in (sp.csr_array, sp.csr_matrix):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, refuse(getattr(kind, name)))
    for formulation in FORMULATIONS:
        MISVMClassifier(formulation=formulation).fit(sparse, y).predict(sparse)


def test_a_model_fitted_to_dense_bags_takes_sparse_ones(monkeypatch):
    monkeypatch.setattr("skmil.svm._solver._BLOCK_ROWS", 7)
    for n_classes in (2, 3):
        bags, y = make_problem(n_classes=n_classes)
        model = MISVMClassifier().fit(bags, y)
        sparse = [sp.csr_array(bag) for bag in bags]
        np.testing.assert_allclose(model.decision_function(sparse), model.decision_function(bags))


@pytest.mark.parametrize(
    ("params", "kernel"),
    [
        ({"kernel": "rbf", "gamma": 0.2}, lambda a, b: rbf_kernel(a, b, gamma=0.2)),
        (
            {"kernel": "poly", "gamma": 0.5, "degree": 2, "coef0": 1.0},
            lambda a, b: polynomial_kernel(a, b, gamma=0.5, degree=2, coef0=1.0),
        ),
        ({"kernel": "linear"}, lambda a, b: a @ b.T),
    ],
)
@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_callable_kernel_gives_the_result_of_the_named_one(problem, params, kernel, formulation):
    bags, y = problem
    named = MISVMClassifier(formulation=formulation, tol=1e-8, **params).fit(bags, y)
    custom = MISVMClassifier(formulation=formulation, tol=1e-8, kernel=kernel).fit(bags, y)
    np.testing.assert_array_equal(custom.witnesses_, named.witnesses_)
    np.testing.assert_allclose(
        custom.decision_function(bags), named.decision_function(bags), atol=1e-6
    )


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_kept_kernels_change_nothing(kernel, container):
    bags, y = make_problem(60, n_classes=3)
    bags = [container(bag) for bag in bags]
    model = MISVMClassifier(formulation="instance", kernel=kernel)
    kept = clone(model).fit(bags, y)
    anew = clone(model).set_params(cache_size=0.1).fit(bags, y)  # for 111 instances
    assert sum(bag.shape[0] for bag in bags) > 111
    np.testing.assert_allclose(
        kept.decision_function(bags), anew.decision_function(bags), rtol=1e-9
    )
    np.testing.assert_array_equal(kept.witnesses_, anew.witnesses_)
    np.testing.assert_array_equal(kept.n_iter_, anew.n_iter_)
    assert max(kept.n_iter_) > 2


def test_kernels_are_kept_where_they_fit_and_serve(problem, monkeypatch):
    kernels = []

    def fit(svc, rows, *args, **kwargs):
        kernels.append(svc.kernel)
        return original(svc, rows, *args, **kwargs)

    original = SVC.fit
    monkeypatch.setattr(SVC, "fit", fit)
    bags, y = problem

    def kernels_of(X=bags, **params):
        kernels.clear()
        model = MISVMClassifier(**params).fit(X, y)
        assert model.n_iter_ > 1
        return kernels[:-1], kernels[-1], model.n_iter_

    precomputed, last, n_iter = kernels_of(formulation="instance")
    assert (precomputed, last) == (["precomputed"] * n_iter, "rbf")
    anew, last, n_iter = kernels_of(formulation="instance", cache_size=0.01)
    assert (anew, last) == (["rbf"] * (n_iter - 1), "rbf")
    assert "precomputed" not in kernels_of()[0]
    # An instance of bags of both classes would need two columns.
    shared = [np.vstack([bag, np.zeros(4)]) for bag in bags]
    assert "precomputed" not in kernels_of(X=shared, formulation="instance")[0][:1]


def test_callable_kernel_takes_sparse_instances(problem):
    bags, y = problem
    sparse = [sp.csr_array(bag) for bag in bags]
    named = MISVMClassifier(gamma=0.25, tol=1e-8).fit(bags, y)
    custom = MISVMClassifier(kernel=rbf_kernel, tol=1e-8).fit(sparse, y)  # gamma: 1 / 4
    np.testing.assert_allclose(
        custom.decision_function(sparse), named.decision_function(bags), atol=1e-6
    )


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_weights_are_repetitions(problem, formulation, class_weight, container):
    bags, y = problem
    bags = [container(bag) for bag in bags]
    weight = np.random.default_rng(1).integers(0, 4, size=len(bags))
    repeated = np.repeat(np.arange(len(bags)), weight)
    model = MISVMClassifier(formulation=formulation, class_weight=class_weight)
    weighted = clone(model).fit(bags, y, sample_weight=weight)
    plain = clone(model).fit([bags[i] for i in repeated], y[repeated])
    np.testing.assert_allclose(
        weighted.decision_function(bags), plain.decision_function(bags), rtol=1e-9
    )
    np.testing.assert_array_equal(weighted.witnesses_[repeated], plain.witnesses_)
    assert (weighted.witnesses_[weight == 0] == -1).all()


def test_class_of_zero_weight_is_absent(problem):
    bags, y = problem
    y = y.copy()
    y[:3] = 2
    model = MISVMClassifier().fit(bags, y, sample_weight=(y != 2).astype(float))
    assert model.classes_.tolist() == [0, 1]


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_order_of_bags_and_instances_does_not_matter(problem, formulation):
    bags, y = problem
    rng = np.random.default_rng(2)
    order = rng.permutation(len(bags))
    shuffled = [bags[i][rng.permutation(len(bags[i]))] for i in order]
    model = MISVMClassifier(formulation=formulation).fit(bags, y)
    other = MISVMClassifier(formulation=formulation).fit(shuffled, y[order])
    scores = model.decision_function(bags)
    np.testing.assert_allclose(other.decision_function(bags), scores, rtol=1e-6)
    np.testing.assert_allclose(model.decision_function(shuffled), scores[order], rtol=1e-9)


def test_score_of_a_bag_does_not_depend_on_the_others(problem):
    bags, y = problem
    model = MISVMClassifier().fit(bags, y)
    alone = [model.decision_function([bag])[0] for bag in bags]
    np.testing.assert_allclose(alone, model.decision_function(bags), rtol=1e-12)


def test_class_weight_raises_the_scores_of_its_class():
    bags, y = make_problem(40, seed=3)
    means = [
        MISVMClassifier(C=0.1, class_weight=class_weight)
        .fit(bags, y)
        .decision_function(bags)
        .mean()
        for class_weight in ({0: 10.0}, None, {1: 10.0})
    ]
    assert means == sorted(means)
    assert means[0] < means[2]


def test_balanced_counts_bags(problem):
    bags, y = problem
    few = np.flatnonzero(y == 1)[:3]
    keep = np.concatenate([np.flatnonzero(y == 0), few])
    bags, y = [bags[i] for i in keep], y[keep]
    balanced = MISVMClassifier(class_weight="balanced", gamma=0.1).fit(bags, y)
    factors = {0: 15 / (2 * 12), 1: 15 / (2 * 3)}
    given = MISVMClassifier(class_weight=factors, gamma=0.1).fit(bags, y)
    np.testing.assert_allclose(balanced.decision_function(bags), given.decision_function(bags))


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([False, True]), np.array([-7, 3]), [1.0, 2.0]]
)
def test_labels_of_any_type(problem, labels):
    bags, y = problem
    labels = np.asarray(labels)
    model = MISVMClassifier().fit(bags, labels[y])
    assert model.predict(bags).dtype == labels.dtype
    np.testing.assert_array_equal(model.classes_, labels)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_bags_of_one_instance_need_one_svm(formulation):
    bags, y = make_problem()
    rows = np.array([bag[0] for bag in bags])
    model = MISVMClassifier(formulation=formulation).fit(rows, y)
    assert model.n_iter_ == 1
    assert (model.witnesses_ == np.where(y == 1, 0, -1)).all()


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_identical_instances_are_no_problem(formulation):
    bags = [np.ones((3, 2)), np.ones((1, 2)), np.zeros((2, 2)), np.zeros((4, 2))]
    model = MISVMClassifier(formulation=formulation).fit(bags, [1, 1, 0, 0])
    assert model.witnesses_.tolist() == [0, 0, -1, -1]
    assert model.predict(bags).tolist() == [1, 1, 0, 0]
    same = [np.ones((2, 2))] * 4  # nothing tells the classes apart, and gamma has no scale
    assert np.isfinite(
        MISVMClassifier(formulation=formulation).fit(same, [1, 1, 0, 0]).decision_function(same)
    ).all()


def test_warns_at_max_iter(problem):
    message = "The choice of witnesses did not settle in 1 iterations.*Increase max_iter"
    with pytest.warns(ConvergenceWarning, match=message):
        model = MISVMClassifier(max_iter=1).fit(*problem)
    assert model.n_iter_ == 1
    assert (model.witnesses_[problem[1] == 1] >= 0).all()


def test_warns_of_a_cycle(problem, monkeypatch):
    signs = itertools.cycle([-1.0, 1.0])

    def prefer_first_and_last_in_turn(solver, svc, chosen):
        return next(signs) * np.arange(len(chosen))

    monkeypatch.setattr("skmil.svm._mi_svm.Solver.score", prefer_first_and_last_in_turn)
    message = "The choice of witnesses came back to an earlier one.*Decrease tol"
    with pytest.warns(ConvergenceWarning, match=message) as record:
        model = MISVMClassifier().fit(*problem)
    assert model.n_iter_ == 3
    assert Path(record[0].filename) == Path(__file__)  # points at the caller


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"formulation": "MI"}, "'formulation' parameter"),
        ({"kernel": "precomputed"}, "'kernel' parameter"),
        ({"C": 0.0}, "'C' parameter"),
        ({"gamma": "auto-scale"}, "'gamma' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"tol": 0.0}, "'tol' parameter"),
        ({"cache_size": 0.0}, "'cache_size' parameter"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"class_weight": {5: 1.0}}, "no class of y"),
    ],
)
def test_refuses_wrong_parameters(problem, params, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MISVMClassifier(**params).fit(*problem)


def test_gamma(problem):
    bags, y = problem
    instances = check_bags(bags).instances
    for gamma, value in [("scale", 1 / (4 * instances.var())), ("auto", "auto"), (0.7, 0.7)]:
        model = MISVMClassifier(gamma=gamma).fit(bags, y)
        fitted = model.estimators_[0].gamma
        assert fitted == (pytest.approx(value) if gamma == "scale" else value)


def test_must_be_fitted_first(problem):
    with pytest.raises(NotFittedError):
        MISVMClassifier().predict(problem[0])


def test_input_is_not_modified(problem):
    bags, y = problem
    stacked = check_bags(bags)
    instances, weight = stacked.instances.copy(), np.arange(len(y), dtype=float)
    params = MISVMClassifier(class_weight={1: 2.0})
    params.fit(stacked, y, sample_weight=weight).predict(stacked)
    np.testing.assert_array_equal(stacked.instances, instances)
    np.testing.assert_array_equal(weight, np.arange(len(y)))
    assert params.get_params() == MISVMClassifier(class_weight={1: 2.0}).get_params()


def test_pickle_and_clone(problem):
    bags, y = problem
    model = MISVMClassifier().fit(bags, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.decision_function(bags), model.decision_function(bags))
    again = clone(model).fit(bags, y)
    np.testing.assert_array_equal(again.decision_function(bags), model.decision_function(bags))


def test_search_over_a_pipeline(problem):
    bags, y = problem
    model = make_pipeline(InstanceTransformer(StandardScaler()), MISVMClassifier())
    grid = {
        "misvmclassifier__C": [0.1, 10.0],
        "instancetransformer__transformer__with_mean": [False],
    }
    search = GridSearchCV(model, grid, cv=3).fit(check_bags(bags), y)
    assert search.best_params_["instancetransformer__transformer__with_mean"] is False
    assert search.predict(bags).shape == (len(bags),)


@pytest.mark.parametrize(("formulation", "C"), [("bag", 1.0), ("bag", 10.0), ("instance", 10.0)])
def test_musk1_with_the_published_folds(formulation, C):
    bags, y, data = load("musk1")
    model = make_pipeline(
        InstanceTransformer(StandardScaler()), MISVMClassifier(formulation=formulation, C=C)
    )
    accuracy = cross_val_score(model, bags, y, cv=PredefinedSplit(data["folds"][0]))
    assert accuracy.mean() >= 0.80


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_sparse_web_pages(formulation):
    bags, y, data = load("web1")
    train, test = np.flatnonzero(data["split"] == 0), np.flatnonzero(data["split"] == 1)
    model = make_pipeline(
        InstanceTransformer(MaxAbsScaler()),
        MISVMClassifier(formulation=formulation, kernel="linear"),
    )
    model.fit(bags[train], y[train])
    assert roc_auc_score(y[test], model.decision_function(bags[test])) >= 0.75


def test_a_callable_kernel_fitted_to_dense_instances_gets_sparse_ones_dense(problem):
    X, y = problem
    bags = check_bags(X)
    classifier = MISVMClassifier(kernel=lambda a, b: np.dot(a, b.T)).fit(bags, y)
    sparse = bags.replace_instances(sp.csr_array(bags.instances))
    expected = classifier.decision_function(bags)
    np.testing.assert_allclose(classifier.decision_function(sparse), expected, rtol=1e-9)
