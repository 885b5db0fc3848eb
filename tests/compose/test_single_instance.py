"""SingleInstanceClassifier against the classifier it wraps, bag by bag."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from real_data import load
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    TunedThresholdClassifierCV,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from strategies import ragged_bags

from skmil import check_bags
from skmil.compose import InstanceTransformer, SingleInstanceClassifier

AGGREGATIONS = {"max": np.max, "mean": np.mean}
CLASSIFIERS = [
    LogisticRegression(),
    LinearSVC(random_state=0),
    SVC(),
    KNeighborsClassifier(),
    RandomForestClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10),
    make_pipeline(StandardScaler(), SVC(kernel="linear")),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
]


def make_problem(n_classes=2, n_bags=30, seed=0):
    """Ragged bags; each bag of class k > 0 has one instance shifted along feature k."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    bags = [rng.normal(size=(rng.integers(1, 7), 4)) for _ in range(n_bags)]
    for bag, label in zip(bags, y, strict=True):
        if label > 0:
            bag[rng.integers(len(bag)), label] += 3.0
    return bags, y


@pytest.fixture
def problem():
    return make_problem()


def fitted_to_instances(classifier, bags, y):
    """Return a clone of the classifier fitted to each instance with its bag's label."""
    rows = [row for bag in bags for row in bag]
    labels = [label for bag, label in zip(bags, y, strict=True) for _ in bag]
    return clone(classifier).fit(np.array(rows), np.array(labels))


@pytest.mark.parametrize(
    "estimator",
    [
        SingleInstanceClassifier(aggregation="max"),
        SingleInstanceClassifier(aggregation="vote"),
        SingleInstanceClassifier(GaussianNB()),
    ],
    ids=repr,
)
def test_scikit_learn_checks(estimator):
    check_estimator(estimator, on_skip=None)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=repr)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_two_classes_by_the_definition(problem, classifier, aggregation):
    bags, y = problem
    names = np.array(["no", "yes"])
    model = SingleInstanceClassifier(classifier, aggregation=aggregation).fit(bags, names[y])
    inner = fitted_to_instances(classifier, bags, names[y])
    aggregate = AGGREGATIONS[aggregation]
    scores = model.decision_function(bags)
    if hasattr(inner, "predict_proba"):
        expected = np.array([aggregate(inner.predict_proba(bag)[:, 1]) for bag in bags])
        assert_allclose(model.predict_proba(bags), np.stack([1 - expected, expected], axis=1))
        assert_allclose(scores, expected - 0.5, atol=1e-12)
    else:
        expected = [aggregate(inner.decision_function(bag)) for bag in bags]
        assert_allclose(scores, expected)
        assert not hasattr(model, "predict_proba")
    assert_array_equal(model.predict(bags), names[(scores > 0).astype(int)])


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=repr)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_three_classes_by_the_definition(classifier, aggregation):
    bags, y = make_problem(3)
    names = np.array(["a", "b", "c"])
    model = SingleInstanceClassifier(classifier, aggregation=aggregation).fit(bags, names[y])
    inner = fitted_to_instances(classifier, bags, names[y])
    has_probabilities = hasattr(inner, "predict_proba")
    values = inner.predict_proba if has_probabilities else inner.decision_function
    expected = np.array([AGGREGATIONS[aggregation](values(bag), axis=0) for bag in bags])
    assert_allclose(model.decision_function(bags), expected)
    assert_array_equal(model.predict(bags), names[expected.argmax(axis=1)])
    assert hasattr(model, "predict_proba") == has_probabilities
    if has_probabilities:
        total = expected.sum(axis=1, keepdims=True)
        assert_allclose(model.predict_proba(bags), expected / total)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=repr)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_votes_are_shares_of_predictions(classifier, n_classes):
    bags, y = make_problem(n_classes)
    model = SingleInstanceClassifier(classifier, aggregation="vote").fit(bags, y)
    inner = fitted_to_instances(classifier, bags, y)
    shares = np.array(
        [[np.mean(inner.predict(bag) == label) for label in range(n_classes)] for bag in bags]
    )
    assert_allclose(model.predict_proba(bags), shares)
    scores = shares[:, 1] - 0.5 if n_classes == 2 else shares
    assert_allclose(model.decision_function(bags), scores, atol=1e-12)
    assert_array_equal(model.predict(bags), shares.argmax(axis=1))


@given(bags=ragged_bags())
def test_the_highest_probability_grows_with_the_bag_and_the_mean_stays_inside(bags):
    rows = np.random.default_rng(0).normal(size=(20, bags.n_features))
    y = (rows[:, 0] > 0).astype(int)
    highest = SingleInstanceClassifier(aggregation="max").fit(rows, y).predict_proba(bags)[:, 1]
    mean = SingleInstanceClassifier().fit(rows, y).predict_proba(bags)[:, 1]
    own = SingleInstanceClassifier().fit(rows, y).predict_proba(bags.instances)[:, 1]
    for i in range(bags.n_bags):
        of_bag = own[bags.bag_index == i]
        assert highest[i] == pytest.approx(of_bag.max())
        assert of_bag.min() - 1e-12 <= mean[i] <= of_bag.max() + 1e-12


@pytest.mark.parametrize("aggregation", ["max", "mean", "vote"])
def test_a_bag_of_one_instance_is_classified_as_its_instance(problem, aggregation):
    bags, y = problem
    model = SingleInstanceClassifier(aggregation=aggregation).fit(bags, y)
    rows = np.concatenate(bags)
    assert_array_equal(model.predict(rows), model.estimator_.predict(rows))
    if aggregation != "vote":
        assert_allclose(model.predict_proba(rows), model.estimator_.predict_proba(rows))


def test_one_witness_is_enough_for_the_highest_and_not_for_the_mean():
    bags = [np.zeros((9, 1)), np.ones((9, 1))]
    mixed = [np.array([[0.0]] * 8 + [[1.0]])]
    for aggregation, label in [("max", 1), ("mean", 0), ("vote", 0)]:
        model = SingleInstanceClassifier(SVC(), aggregation=aggregation).fit(bags, [0, 1])
        assert model.predict(mixed) == [label]
    model = SingleInstanceClassifier(aggregation="vote").fit(bags, [0, 1])
    assert_allclose(model.predict_proba(mixed), [[8 / 9, 1 / 9]])


def test_the_default_is_a_logistic_regression(problem):
    model = SingleInstanceClassifier().fit(*problem)
    assert isinstance(model.estimator_, LogisticRegression)
    assert model.estimator is None
    assert model.aggregation == "mean"


def test_the_given_classifier_is_not_fitted(problem):
    classifier = LogisticRegression(C=3.0)
    model = SingleInstanceClassifier(classifier).fit(*problem)
    assert model.estimator is classifier
    assert not hasattr(classifier, "coef_")
    assert model.estimator_.C == 3.0


# --- Weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0}])
@pytest.mark.parametrize("classifier", [None, GaussianNB()])
def test_weights_are_repetitions(problem, classifier, class_weight):
    bags, y = problem
    weight = np.random.default_rng(1).integers(0, 4, size=len(bags))
    repeated = np.repeat(np.arange(len(bags)), weight)
    model = SingleInstanceClassifier(classifier, class_weight=class_weight)
    weighted = clone(model).fit(bags, y, sample_weight=weight)
    plain = clone(model).fit([bags[i] for i in repeated], y[repeated])
    assert_allclose(weighted.predict_proba(bags), plain.predict_proba(bags), rtol=1e-6)
    # At other weights it is another model.
    equal = clone(model).fit(bags, y)
    assert np.abs(weighted.predict_proba(bags) - equal.predict_proba(bags)).max() > 0.01


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what it is fitted to."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(X.shape[0], self.classes_[0])

    def decision_function(self, X):
        return np.zeros((X.shape[0], len(self.classes_)))


def test_each_instance_has_the_label_and_the_weight_of_its_bag():
    bags = [np.full((size, 2), float(size)) for size in (3, 1, 2)]
    y = ["n", "p", "p"]
    model = SingleInstanceClassifier(Recorder()).fit(bags, y)
    rows, labels, weight = model.estimator_.seen_
    assert_array_equal(rows, np.concatenate(bags))
    assert labels.tolist() == ["n", "n", "n", "p", "p", "p"]
    assert weight is None
    model.fit(bags, y, sample_weight=[1.0, 2.0, 5.0])
    assert model.estimator_.seen_[2].tolist() == [1, 1, 1, 2, 5, 5]
    model.set_params(class_weight={"p": 10.0}).fit(bags, y)
    assert model.estimator_.seen_[2].tolist() == [1, 1, 1, 10, 10, 10]
    model.set_params(class_weight="balanced").fit(bags, y)  # of three bags one, not three
    assert_allclose(model.estimator_.seen_[2], [1.5] * 3 + [0.75] * 3)
    model.set_params(class_weight=None).fit(bags, y, sample_weight=[1.0, 0.0, 5.0])
    assert_array_equal(model.estimator_.seen_[0][:, 0], [3, 3, 3, 2, 2])


def test_class_of_zero_weight_is_absent():
    bags, y = make_problem(3)
    model = SingleInstanceClassifier().fit(bags, y, sample_weight=(y != 1).astype(float))
    assert model.classes_.tolist() == [0, 2]
    with pytest.raises(ValueError, match="one class only"):
        model.fit(bags, y, sample_weight=(y == 1).astype(float))


@pytest.mark.parametrize(
    ("classifier", "name"),
    [
        (KNeighborsClassifier(), "KNeighborsClassifier"),
        (make_pipeline(StandardScaler(), SVC()), "Pipeline"),
    ],
)
def test_refuses_weights_the_classifier_does_not_take(problem, classifier, name):
    bags, y = problem
    rest = f"was given, but the fit method of {name} does not take sample_weight.*Instance"
    with pytest.raises(ValueError, match="^sample_weight " + rest):
        SingleInstanceClassifier(classifier).fit(bags, y, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="^class_weight " + rest):
        SingleInstanceClassifier(classifier, class_weight="balanced").fit(bags, y)


def test_scaling_outside_takes_weights(problem):
    bags, y = problem
    model = make_pipeline(InstanceTransformer(), SingleInstanceClassifier(SVC()))
    weight = np.where(y == 1, 3.0, 1.0)
    model.fit(bags, y, singleinstanceclassifier__sample_weight=weight)
    scaled = InstanceTransformer().fit_transform(bags)
    expected = SVC().fit(scaled.instances, y[scaled.bag_index], weight[scaled.bag_index])
    assert_allclose(model[-1].estimator_.dual_coef_, expected.dual_coef_)


# --- Refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": "svm"}, "'estimator' parameter"),
        ({"estimator": LinearRegression()}, "must be a classifier of instances, got LinearReg"),
        ({"aggregation": "sum"}, "'aggregation' parameter"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"class_weight": {5: 1.0}}, "no class of y"),
        ({"estimator": SVC(C=-1.0)}, "'C' parameter of SVC"),
    ],
)
def test_refuses_wrong_parameters(problem, params, message):
    with pytest.raises(ValueError, match=message):
        SingleInstanceClassifier(**params).fit(*problem)


def test_a_classifier_without_scores_can_only_vote(problem):
    majority = VotingClassifier([("a", GaussianNB()), ("b", SVC())], voting="hard")
    with pytest.raises(ValueError, match=r"neither predict_proba nor.*aggregation='vote'"):
        SingleInstanceClassifier(majority).fit(*problem)
    model = SingleInstanceClassifier(majority, aggregation="vote").fit(*problem)
    assert_allclose(model.predict_proba(problem[0]).sum(axis=1), 1)


def test_refuses_scores_of_pairs_of_classes():
    bags, y = make_problem(4, n_bags=40)
    model = SingleInstanceClassifier(SVC(decision_function_shape="ovo")).fit(bags, y)
    n_instances = sum(map(len, bags))
    with pytest.raises(ValueError, match=rf"decision_function of SVC has shape \({n_instances}, 6"):
        model.predict(bags)
    assert len(model.set_params(aggregation="vote").fit(bags, y).predict(bags)) == 40


def test_must_be_fitted_first(problem):
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(SingleInstanceClassifier(), method)(problem[0])


# --- As an estimator ---------------------------------------------------------------------


def test_probabilities_come_and_go_with_the_parameters():
    assert hasattr(SingleInstanceClassifier(), "predict_proba")
    assert not hasattr(SingleInstanceClassifier(LinearSVC()), "predict_proba")
    assert hasattr(SingleInstanceClassifier(LinearSVC(), aggregation="vote"), "predict_proba")


def test_tags_are_those_of_the_classifier():
    for classifier in CLASSIFIERS:
        tags = get_tags(SingleInstanceClassifier(classifier))
        assert tags.input_tags.sparse == get_tags(classifier).input_tags.sparse
        assert tags.input_tags.two_d_array
    assert get_tags(SingleInstanceClassifier()).input_tags.sparse
    assert not get_tags(SingleInstanceClassifier(GaussianNB())).input_tags.sparse


@pytest.mark.parametrize("classifier", [None, SVC(tol=1e-8), LinearSVC(random_state=0)])
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_gives_the_result_of_dense(problem, classifier, container):
    bags, y = problem
    bags = [np.where(np.abs(bag) < 0.7, 0.0, bag) for bag in bags]
    sparse_bags = [container(bag) for bag in bags]
    dense = SingleInstanceClassifier(classifier).fit(bags, y)
    sparse = SingleInstanceClassifier(classifier).fit(sparse_bags, y)
    expected = dense.decision_function(bags)
    assert_allclose(sparse.decision_function(sparse_bags), expected, atol=1e-5)


def test_a_classifier_of_dense_rows_says_that_sparse_ones_do_not_do(problem):
    bags, y = problem
    with pytest.raises((TypeError, ValueError), match=r"[Ss]parse"):
        SingleInstanceClassifier(HistGradientBoostingClassifier()).fit(
            [sp.csr_array(bag) for bag in bags], y
        )


def test_frames_are_no_reason_to_warn(problem):
    bags, y = problem
    frames = [pd.DataFrame(bag, columns=list("abcd")) for bag in bags]
    model = SingleInstanceClassifier(KNeighborsClassifier()).fit(frames, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert_array_equal(
        model.predict(frames),
        SingleInstanceClassifier(KNeighborsClassifier()).fit(bags, y).predict(bags),
    )


def test_search_reaches_the_parameters_of_the_classifier(problem):
    bags, y = problem
    pipeline = make_pipeline(InstanceTransformer(), SingleInstanceClassifier(SVC()))
    grid = {
        "singleinstanceclassifier__estimator__C": [0.1, 10.0],
        "singleinstanceclassifier__estimator": [SVC(kernel="linear")],
        "singleinstanceclassifier__aggregation": ["max"],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(check_bags(bags), y)
    best = search.best_estimator_[-1]
    assert search.best_params_["singleinstanceclassifier__estimator__C"] == best.estimator_.C
    assert best.estimator_.kernel == "linear"
    assert search.predict(bags).shape == (len(bags),)


def test_the_threshold_can_be_tuned():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    bags = [rng.normal(size=(20, 3)) for _ in y]
    for bag, label in zip(bags, y, strict=True):
        bag[0, 0] += 6.0 * label
    model = SingleInstanceClassifier(aggregation="max").fit(bags, y)
    assert model.predict(bags).mean() > 0.9  # nearly all bags seem positive,
    assert model.decision_function(bags)[y == 1].mean() > model.decision_function(bags).mean()
    tuned = TunedThresholdClassifierCV(
        SingleInstanceClassifier(aggregation="max"), scoring="accuracy", cv=3
    ).fit(check_bags(bags), y)
    assert (tuned.predict(bags) == y).mean() > 0.9  # though the order is right
    heavy = SingleInstanceClassifier(aggregation="max", class_weight={0: 2.0}).fit(bags, y)
    assert (heavy.predict(bags) == y).mean() > 0.9  # so does a weight


def test_pickle_and_clone(problem):
    bags, y = problem
    model = SingleInstanceClassifier(
        RandomForestClassifier(n_estimators=5, random_state=3), aggregation="max"
    ).fit(bags, y)
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict_proba(bags), model.predict_proba(bags))
    assert_array_equal(clone(model).fit(bags, y).predict_proba(bags), model.predict_proba(bags))


# --- Real data ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "bound"), [("musk1", 0.75), ("tiger", 0.75)])
@pytest.mark.parametrize("classifier", [None, SVC()])
def test_published_folds(name, bound, classifier):
    bags, y, data = load(name)
    model = make_pipeline(InstanceTransformer(), SingleInstanceClassifier(classifier))
    accuracy = cross_val_score(model, bags, y, cv=PredefinedSplit(data["folds"][0]))
    assert accuracy.mean() >= bound


def test_few_witnesses_need_the_maximum():
    bags, y, _ = load("news_sci_space")
    areas = {
        aggregation: cross_val_score(
            make_pipeline(
                InstanceTransformer(MaxAbsScaler()),
                SingleInstanceClassifier(aggregation=aggregation),
            ),
            bags,
            y,
            cv=5,
            scoring="roc_auc",
        ).mean()
        for aggregation in AGGREGATIONS
    }
    assert areas["max"] > 0.75
    assert areas["max"] > areas["mean"]
