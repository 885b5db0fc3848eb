"""What every estimator on bags must keep, whichever it is; the estimators are discovered."""

import copy
import pickle
import random
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from estimators import brief, public_classifiers, public_estimators, seeded
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skmil import InstanceTransformer, check_bags

ESTIMATORS = public_estimators()
CLASSIFIERS = public_classifiers()
METHODS = ("predict", "predict_proba", "decision_function", "transform", "instance_weights")
# Rounding: estimators may compute in float32, and sums in another order.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}

every_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)
every_classifier = pytest.mark.parametrize("Classifier", CLASSIFIERS)


def make_data(n_classes=2, n_bags=40, seed=0, bag_size=None):
    """Return a list of bags and labels; a bag of class k > 0 has an instance shifted by it."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    sizes = rng.integers(1, 7, size=n_bags) if bag_size is None else [bag_size] * n_bags
    bags = [rng.normal(size=(size, 5)) for size in sizes]
    for bag, label in zip(bags, y, strict=True):
        if label:
            bag[rng.integers(len(bag)), label - 1] += 4
    return bags, y


def fitted(Estimator, n_classes=2):
    X, y = make_data(n_classes)
    return brief(Estimator).fit(X, y)


def outputs(estimator, X):
    """Return what each method says of each bag: a dict of lists with one array per bag."""
    results = {name: getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)}
    assert results
    return {
        name: [_dense(bag) for bag in (result.toarray() if sp.issparse(result) else result)]
        for name, result in results.items()
    }


def assert_same_outputs(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, bags in expected.items():
        assert len(found[name]) == len(bags)
        for actual, wanted in zip(found[name], bags, strict=True):
            if wanted.dtype.kind == "f":
                assert_allclose(actual, wanted, err_msg=name, **(tolerance or CLOSE))
            else:
                assert_array_equal(actual, wanted, err_msg=name)


def _dense(values):
    return values.toarray() if sp.issparse(values) else np.asarray(values)


# --- Same bag, same answer ---------------------------------------------------------------


@every_estimator
def test_a_bag_gets_the_same_answer_alone_and_in_any_company(Estimator):
    estimator = fitted(Estimator)
    X, _ = make_data(seed=1, n_bags=12)
    together = outputs(estimator, X)
    huge = np.random.default_rng(2).normal(scale=3, size=(1000, 5))
    beside_huge = outputs(estimator, [huge, *X])
    assert_same_outputs({k: v[1:] for k, v in beside_huge.items()}, together)
    for i, bag in enumerate(X):
        alone = outputs(estimator, [bag])
        assert_same_outputs(alone, {k: v[i : i + 1] for k, v in together.items()})


@every_estimator
def test_the_order_of_bags_does_not_matter_to_predictions(Estimator):
    estimator = fitted(Estimator)
    X, _ = make_data(seed=1)
    order = np.random.default_rng(0).permutation(len(X))
    expected = {k: [v[i] for i in order] for k, v in outputs(estimator, X).items()}
    assert_same_outputs(outputs(estimator, [X[i] for i in order]), expected)


@every_estimator
def test_the_order_of_instances_does_not_matter(Estimator):
    estimator = fitted(Estimator)
    X, _ = make_data(seed=1)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(bag)) for bag in X]
    found = outputs(estimator, [bag[order] for bag, order in zip(X, orders, strict=True)])
    expected = outputs(estimator, X)
    for name, values in expected.items():
        if all(v.ndim and len(v) == len(bag) for v, bag in zip(values, X, strict=True)):
            expected[name] = [v[order] for v, order in zip(values, orders, strict=True)]
    assert_same_outputs(found, expected)


@every_estimator
def test_instance_order_in_training_bags_matters_only_to_rounding(Estimator):
    X, y = make_data()
    rng = np.random.default_rng(0)
    shuffled = [bag[rng.permutation(len(bag))] for bag in X]
    new, _ = make_data(seed=1)
    estimator = seeded(Estimator)
    if "dropout" in estimator.get_params():  # it is drawn by the place in the bag
        estimator.set_params(dropout=0.0)
    expected = outputs(clone(estimator).fit(X, y), new)
    # Training may amplify rounding, so the bound is wider than for predictions.
    assert_same_outputs(outputs(estimator.fit(shuffled, y), new), expected, rtol=2e-2, atol=2e-2)


# --- Input -------------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize("bag_size", [None, 3], ids=["ragged", "equal"])
def test_all_kinds_of_input_mean_the_same(Estimator, bag_size):
    X, y = make_data(bag_size=bag_size)
    objects = np.empty(len(X), dtype=object)
    objects[:] = X
    kinds = {
        "tuple": tuple(X),
        "object array": objects,
        "Bags": check_bags(X),
        "nested lists": [bag.tolist() for bag in X],
        "tensors": [torch.from_numpy(bag) for bag in X],
        "Fortran order": [np.asfortranarray(bag) for bag in X],
    }
    if bag_size:
        kinds["3-D array"] = np.stack(X)
        kinds["stacked object array"] = np.array(X, dtype=object)
    reference = brief(Estimator).fit(X, y)
    expected = outputs(reference, X)
    for given in kinds.values():
        assert_same_outputs(outputs(reference, given), expected, rtol=0, atol=0)
        assert_same_outputs(outputs(brief(Estimator).fit(given, y), X), expected)


@every_estimator
def test_sparse_bags_mean_the_same_as_dense_ones(Estimator):
    X, y = make_data()
    X = [np.where(np.abs(bag) > 0.7, bag, 0.0) for bag in X]
    sparse_bags = [sp.csr_array(bag) for bag in X]
    if not get_tags(brief(Estimator)).input_tags.sparse:  # then it has to say so
        with pytest.raises((ValueError, TypeError), match="sparse"):
            brief(Estimator).fit(sparse_bags, y)
        return
    sparse = brief(Estimator).fit(sparse_bags, y)
    dense = brief(Estimator).fit(X, y)
    expected = outputs(dense, X)
    assert_same_outputs(outputs(dense, sparse_bags), expected)
    assert_same_outputs(outputs(sparse, [sp.csc_matrix(bag) for bag in X]), expected)


@every_estimator
def test_rows_of_a_table_are_bags_of_one_instance(Estimator):
    estimator = fitted(Estimator)
    table = np.random.default_rng(0).normal(size=(9, 5))
    expected = outputs(estimator, [row.reshape(1, -1) for row in table])
    found = outputs(estimator, table)
    assert_same_outputs(
        {k: [np.reshape(v, -1) for v in values] for k, values in found.items()},
        {k: [np.reshape(v, -1) for v in values] for k, values in expected.items()},
    )


@every_estimator
def test_feature_names_of_frames_are_remembered_and_checked(Estimator):
    X, y = make_data()
    frames = [pd.DataFrame(bag, columns=list("abcde")) for bag in X]
    estimator = brief(Estimator).fit(frames, y)
    assert_array_equal(estimator.feature_names_in_, list("abcde"))
    assert estimator.n_features_in_ == 5
    outputs(estimator, frames)
    with pytest.raises(ValueError, match="feature names should match"):
        outputs(estimator, [frame.rename(columns={"a": "z"}) for frame in frames])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        outputs(estimator, X)


REFUSED = {
    "no bags": ([], "no bags"),
    "empty bag": ([np.ones((2, 5)), np.ones((0, 5))], "Bag 1 is empty"),
    "NaN": ([np.ones((2, 5)), np.full((1, 5), np.nan)], "Bag 1 contains NaN"),
    "infinity": ([np.ones((2, 5)), np.full((1, 5), -np.inf)], "Bag 1 contains infinity"),
    "widths": ([np.ones((2, 5)), np.ones((2, 3))], "Bag 1 has 3 features, but bag 0 has 5"),
    "text": ([np.ones((2, 5)), np.full((1, 5), "a")], "Bag 1 is not numeric"),
    "complex": ([np.ones((2, 5)), np.ones((1, 5)) * 1j], "Complex data not supported. Bag 1"),
    "1-D bag": ([np.ones((2, 5)), np.ones(5)], "Bag 1 is 1-D"),
    "1-D": (np.ones(5), "Expected bags, got a 1-D array"),
    "4-D": (np.ones((2, 2, 2, 5)), "Expected bags, got a 4-D array"),
}


@every_estimator
@pytest.mark.parametrize("case", REFUSED)
def test_bad_bags_are_refused_by_name_and_remedy(Estimator, case):
    bad, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message):
        brief(Estimator).fit(bad, [0, 1][: len(bad)])
    estimator = fitted(Estimator)
    for name in METHODS:
        if hasattr(estimator, name):
            with pytest.raises((ValueError, TypeError), match=message):
                getattr(estimator, name)(bad)


@every_estimator
def test_another_width_than_at_fit_is_refused(Estimator):
    estimator = fitted(Estimator)
    for name in METHODS:
        if hasattr(estimator, name):
            with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5"):
                getattr(estimator, name)([np.ones((2, 4))])


@every_classifier
def test_labels_and_weights_of_another_length_are_refused(Classifier):
    X, y = make_data()
    with pytest.raises(ValueError, match=r"\[40, 39\]. X has 40 bags and y has 39 labels"):
        brief(Classifier).fit(X, y[:-1])
    with pytest.raises(ValueError, match="one weight per bag"):
        brief(Classifier).fit(X, y, sample_weight=np.ones(39))
    with pytest.raises(ValueError, match="must not be negative, but bag 3"):
        brief(Classifier).fit(X, y, sample_weight=np.where(np.arange(40) == 3, -1.0, 1.0))


# --- Labels, weights ---------------------------------------------------------------------


@every_classifier
@pytest.mark.parametrize(
    "names",
    [
        np.array(["absent", "present"]),
        np.array(["absent", "present"], dtype=object),
        np.array([-1, 1]),
        np.array([False, True]),
        np.array([3, 7], dtype=np.int8),
        np.array([0.0, 1.0]),
    ],
    ids=["str", "object", "negative", "bool", "int8", "float"],
)
def test_labels_may_be_of_any_type(Classifier, names):
    X, y = make_data()
    expected = brief(Classifier).fit(X, y)
    found = brief(Classifier).fit(X, names[y])
    assert_array_equal(found.classes_, names)
    assert_array_equal(found.predict(X), names[expected.predict(X)])
    assert found.predict(X).dtype == names.dtype
    assert_allclose(found.decision_function(X), expected.decision_function(X))


@every_classifier
def test_labels_may_be_a_list_or_a_series(Classifier):
    X, y = make_data()
    expected = brief(Classifier).fit(X, y).predict(X)
    assert_array_equal(brief(Classifier).fit(X, y.tolist()).predict(X), expected)
    assert_array_equal(brief(Classifier).fit(X, pd.Series(y)).predict(X), expected)


@every_classifier
@pytest.mark.parametrize("n_classes", [2, 3])
def test_witnesses_are_learnt(Classifier, n_classes):
    X, y = make_data(n_classes, n_bags=120)
    new, truth = make_data(n_classes, n_bags=120, seed=1)
    classifier = seeded(Classifier).fit(X, y)
    assert_array_equal(classifier.classes_, np.arange(n_classes))
    assert classifier.score(new, truth) > 1 / n_classes + 0.25


@every_classifier
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_methods_agree(Classifier, n_classes):
    X, _ = make_data(n_classes)
    classifier = fitted(Classifier, n_classes)
    labels, scores = classifier.predict(X), classifier.decision_function(X)
    codes = (scores > 0).astype(int) if n_classes == 2 else scores.argmax(axis=1)
    assert scores.shape == ((len(X),) if n_classes == 2 else (len(X), n_classes))
    assert_array_equal(labels, classifier.classes_[codes])
    if hasattr(classifier, "predict_proba"):
        probabilities = classifier.predict_proba(X)
        assert probabilities.shape == (len(X), n_classes)
        assert (probabilities >= 0).all()
        assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        assert_array_equal(labels, classifier.classes_[probabilities.argmax(axis=1)])
    if hasattr(classifier, "instance_weights"):
        for bag, weights in zip(X, classifier.instance_weights(X), strict=True):
            assert weights.shape == (len(bag),)
            assert (weights >= 0).all()
            assert weights.sum() == pytest.approx(1, rel=1e-5)


@every_classifier
def test_heavier_bags_pull_predictions_their_way(Classifier):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(4, 5)) for _ in range(60)]  # nothing to learn but the weights
    y = np.arange(60) % 2
    new = [rng.normal(size=(4, 5)) for _ in range(60)]

    def positives(weight):
        sample_weight = np.where(y == 1, weight, 1.0)
        classifier = seeded(Classifier).fit(X, y, sample_weight=sample_weight)
        return classifier.predict(new).sum()

    assert positives(20.0) > positives(1 / 20)


@every_classifier
def test_class_weight_weighs_the_bags_of_a_class(Classifier):
    X, y = make_data()
    y[:15] = 0  # no longer balanced, and some labels wrong
    new, _ = make_data(seed=1)

    def scores(class_weight):
        classifier = brief(Classifier).set_params(class_weight=class_weight)
        return classifier.fit(X, y).decision_function(new)

    counts = np.bincount(y)
    explicit = {k: len(y) / (2 * counts[k]) for k in (0, 1)}
    assert_allclose(scores("balanced"), scores(explicit), **CLOSE)
    assert_allclose(scores({1: 1.0}), scores(None), **CLOSE)
    assert scores({1: 20.0}).mean() > scores(None).mean() > scores({0: 20.0}).mean()
    with pytest.raises(ValueError, match="class_weight"):
        scores({7: 1.0})


# --- No side effects, and again the same -------------------------------------------------


@every_estimator
def test_global_state_is_left_alone(Estimator):
    X, y = make_data()

    def state():
        return {
            "numpy": pickle.dumps(np.random.get_state()),  # noqa: NPY002
            "python": random.getstate(),
            "torch": torch.get_rng_state().tolist(),
            "dtype": torch.get_default_dtype(),
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "gradients": torch.is_grad_enabled(),
            "filters": list(warnings.filters),
            "errors": np.geterr(),
        }

    before = state()
    outputs(seeded(Estimator).fit(X, y), X)
    assert state() == before


@every_estimator
def test_inputs_and_parameters_are_left_alone(Estimator):
    X, y = make_data()
    weight = np.ones(len(y))
    for array in (*X, y, weight):
        array.setflags(write=False)
    estimator = brief(Estimator)
    parameters = copy.deepcopy(estimator.get_params())
    extra = {"sample_weight": weight} if is_classifier(estimator) else {}
    estimator.fit(X, y, **extra)
    outputs(estimator, X)
    assert str(estimator.get_params()) == str(parameters)
    packed = check_bags(X)
    copied = pickle.dumps(packed)
    outputs(brief(Estimator).fit(packed, y), packed)
    assert pickle.dumps(packed) == copied


@every_estimator
def test_the_same_seed_gives_the_same_result(Estimator):
    X, y = make_data()
    estimator = brief(Estimator)
    first = outputs(estimator.fit(X, y), X)
    assert_same_outputs(outputs(estimator.fit(X, y), X), first, rtol=0, atol=0)
    assert_same_outputs(outputs(clone(estimator).fit(X, y), X), first, rtol=0, atol=0)


@every_estimator
def test_one_worker_or_two_give_the_same_result(Estimator):
    X, y = make_data()
    method = "predict" if is_classifier(Estimator()) else "transform"
    halves = [np.arange(20), np.arange(20, 40)]

    def run(n_jobs, **backend):
        return joblib.Parallel(n_jobs=n_jobs, **backend)(
            joblib.delayed(_fit_and_apply)(brief(Estimator), check_bags(X), y, half, method)
            for half in halves
        )

    alone = run(1)
    for parallel in (run(2), run(2, backend="threading")):
        for expected, found in zip(alone, parallel, strict=True):
            for a, b in zip(expected, found, strict=True):
                assert_allclose(a, b, rtol=1e-6)


def _fit_and_apply(estimator, X, y, half, method):
    result = getattr(estimator.fit(X[half], y[half]), method)(X[half])
    return [_dense(bag) for bag in result]


@every_estimator
def test_predictions_survive_pickle(Estimator):
    X, _ = make_data(seed=1)
    estimator = fitted(Estimator)
    found = outputs(pickle.loads(pickle.dumps(estimator)), X)
    assert_same_outputs(found, outputs(estimator, X), rtol=1e-7)


def test_predictions_survive_joblib_in_a_fresh_process(tmp_path):
    X, _ = make_data(seed=1)
    methods = {E: next(name for name in METHODS if hasattr(E, name)) for E in ESTIMATORS}
    models = [(fitted(Estimator), method) for Estimator, method in methods.items()]
    joblib.dump((models, X), tmp_path / "models.joblib")
    script = (
        "import joblib, sys\n"
        "models, X = joblib.load(sys.argv[1])\n"
        "answers = [list(getattr(estimator, method)(X)) for estimator, method in models]\n"
        "joblib.dump(answers, sys.argv[2])\n"
    )
    answer = tmp_path / "answers.joblib"
    command = [sys.executable, "-c", script, tmp_path / "models.joblib", answer]
    subprocess.run(command, check=True, timeout=300)
    for (estimator, method), found in zip(models, joblib.load(answer), strict=True):
        name = f"{type(estimator).__name__}.{method}"
        expected = [_dense(bag) for bag in getattr(estimator, method)(X)]
        assert_same_outputs({name: [*map(_dense, found)]}, {name: expected}, rtol=1e-7)


# --- Inside scikit-learn -----------------------------------------------------------------


@every_classifier
@pytest.mark.parametrize("container", [list, check_bags], ids=["list", "Bags"])
def test_scikit_learn_splits_searches_and_scores(Classifier, container):
    X, y = make_data(n_bags=30)
    X = container(X)
    train, test, y_train, _ = train_test_split(X, y, stratify=y, random_state=0)
    assert len(brief(Classifier).fit(train, y_train).predict(test)) == len(test)
    cv = StratifiedKFold(3)
    scores = cross_val_score(brief(Classifier), X, y, cv=cv, error_score="raise")
    assert scores.shape == (3,)
    assert cross_val_predict(brief(Classifier), X, y, cv=cv).shape == (30,)
    pipeline = make_pipeline(InstanceTransformer(), brief(Classifier))
    prefix = f"{Classifier.__name__.lower()}__"
    grid = {prefix + "class_weight": [None, "balanced"]}
    search = GridSearchCV(pipeline, grid, cv=cv, error_score="raise").fit(X, y)
    assert search.predict(X).shape == (30,)
    assert search.best_params_.keys() == grid.keys()
