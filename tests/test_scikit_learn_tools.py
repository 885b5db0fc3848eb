"""Which tools of scikit-learn take bags, one test for each, and does the user guide say so?

A tool that works is held against the same done by hand. For one that refuses, the test proves
that it is scikit-learn which does, and that what the guide recommends instead works. Should a
release of scikit-learn change either, the test fails, and table and registry follow.
"""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay, calibration_curve
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import DecisionBoundaryDisplay, partial_dependence, permutation_importance
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    det_curve,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    LearningCurveDisplay,
    LeaveOneGroupOut,
    LeaveOneOut,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    RandomizedSearchCV,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    ValidationCurveDisplay,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import estimator_html_repr, get_tags, resample, shuffle
from tool_outcomes import (
    OUTCOMES,
    PAGE,
    make_data,
    raises,
    read_page,
    refused,
    take,
    tool,
)

from skmil import (
    Bags,
    BagStatistics,
    DPMINNClassifier,
    InstanceTransformer,
    MISVMClassifier,
    check_bags,
)

CV = StratifiedKFold(3)
#: What scikit-learn and NumPy say of bags where they want a table.
NO_TABLE = "setting an array element with a sequence|[Ee]xpected 2D array|with dim 3"
#: Up to this release, FeatureUnion puts anything side by side, collections of bags too.
STACKS_ANYTHING = sklearn.__version__ in ("1.7.0", "1.7.1")


def linear(**params):
    """Return a quick classifier of bags that has scores and no probabilities."""
    return MISVMClassifier(kernel="linear", **params)


def rows():
    """Return a quick classifier of bags that has probabilities."""
    return make_pipeline(BagStatistics(), LogisticRegression())


def table(X):
    """Return what the first step of `rows` makes of the bags."""
    return BagStatistics().fit_transform(list(X))


@pytest.fixture
def refusal():
    """Return a context that expects scikit-learn to refuse bags; it has to be used."""
    used = []

    def context(match=NO_TABLE, error=ValueError, by=("sklearn",)):
        used.append(match)
        return raises(error, match, by)

    yield context
    assert used, "the test registers a refusal and does not prove it"


@pytest.fixture
def ax():
    """Return axes to draw on, without a window."""
    return pytest.importorskip("matplotlib.figure").Figure().subplots()


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def fits_by_hand(model, X, y, cv=CV, groups=None):
    """Return (model fitted to the training bags, test bags, their indices) for each split."""
    splits = list(cv.split(np.zeros(len(y)), y, groups))
    return [
        (clone(model).fit(take(X, train), y[train]), take(X, test), test) for train, test in splits
    ]


def accuracies(model, X, y, cv=CV, groups=None):
    return [
        m.score(held_out, y[test]) for m, held_out, test in fits_by_hand(model, X, y, cv, groups)
    ]


def assert_same_bags(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)


# --- The user guide ----------------------------------------------------------------------


def test_the_user_guide_has_the_tools_and_outcomes_that_are_tested():
    if not PAGE.exists():
        pytest.skip("the user guide is not part of an installed package")
    assert read_page() == OUTCOMES


# --- Splitting ---------------------------------------------------------------------------

SPLITTERS = [
    KFold(3),
    LeaveOneOut(),
    LeavePOut(2),
    PredefinedSplit(np.arange(24) % 4),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
    ShuffleSplit(3, random_state=0),
    StratifiedKFold(3),
    StratifiedShuffleSplit(3, random_state=0),
    TimeSeriesSplit(3),
]
GROUP_SPLITTERS = [
    GroupKFold(3),
    GroupShuffleSplit(3, random_state=0),
    LeaveOneGroupOut(),
    LeavePGroupsOut(2),
    StratifiedGroupKFold(3),
]


@tool(*(type(splitter).__name__ for splitter in SPLITTERS))
def test_splitters_split_bags_as_they_split_rows(container):
    X, y = make_data(container)
    for splitter in SPLITTERS:
        expected = list(splitter.split(np.zeros((24, 1)), y))
        found = list(splitter.split(X, y))
        assert splitter.get_n_splits(X, y) == len(found) == len(expected)
        for pair, expected_pair in zip(found, expected, strict=True):
            for indices, expected_indices in zip(pair, expected_pair, strict=True):
                assert_array_equal(indices, expected_indices)


@tool(*(type(splitter).__name__ for splitter in GROUP_SPLITTERS))
def test_group_splitters_keep_the_bags_of_a_group_together(container):
    X, y = make_data(container)
    patients = np.arange(24) // 4
    for splitter in GROUP_SPLITTERS:
        splits = list(splitter.split(X, y, patients))
        assert splitter.get_n_splits(X, y, patients) == len(splits) > 0
        for train, test in splits:
            assert not set(patients[train]) & set(patients[test])
    model, cv = linear(), StratifiedGroupKFold(3)
    found = cross_val_score(model, X, y, groups=patients, cv=cv)
    assert_array_equal(found, accuracies(model, X, y, cv, patients))


@tool("train_test_split")
def test_train_test_split(container):
    X, y = make_data(container)
    parts = train_test_split(X, y, np.arange(24), stratify=y, random_state=0)
    X_train, X_test, y_train, y_test, train, test = parts
    for part, labels, indices in ((X_train, y_train, train), (X_test, y_test, test)):
        assert type(part) is type(X)
        assert_same_bags(part, take(X, indices))
        assert_array_equal(labels, y[indices])
    assert sorted([*train, *test]) == list(range(24))


@tool("resample", "shuffle")
@pytest.mark.parametrize("draw", [resample, shuffle])
def test_resample_and_shuffle(container, draw):
    X, y = make_data(container)
    drawn, labels, indices = draw(X, y, np.arange(24), random_state=0)
    assert type(drawn) is type(X)
    assert_same_bags(drawn, take(X, indices))
    assert_array_equal(labels, y[indices])
    assert (len(set(indices)) == 24) == (draw is shuffle)


# --- Scoring -----------------------------------------------------------------------------


@tool("cross_validate")
def test_cross_validate(container):
    X, y = make_data(container)
    result = cross_validate(
        rows(),
        X,
        y,
        cv=CV,
        scoring=["roc_auc", "neg_log_loss"],
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    for k, (model, held_out, test) in enumerate(fits_by_hand(rows(), X, y)):
        p = model.predict_proba(held_out)
        assert_array_equal(result["indices"]["test"][k], test)
        assert_allclose(result["test_roc_auc"][k], roc_auc_score(y[test], p[:, 1]))
        assert_allclose(result["test_neg_log_loss"][k], -log_loss(y[test], p))
        assert_allclose(result["estimator"][k].predict_proba(held_out), p)
    assert result["train_roc_auc"].mean() > result["test_roc_auc"].mean() > 0.5


@tool("cross_val_score", "n_jobs")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_cross_val_score_in_one_process_and_in_two(container, n_jobs):
    X, y = make_data(container)
    found = cross_val_score(linear(), X, y, cv=CV, n_jobs=n_jobs)
    assert_array_equal(found, accuracies(linear(), X, y))
    assert 0.5 < found.mean() < 1  # a mistake in the choice of bags would show


@tool("cross_val_predict")
@pytest.mark.parametrize(
    ("model", "method"),
    [(linear(), "predict"), (linear(), "decision_function"), (rows(), "predict_proba")],
)
def test_cross_val_predict(container, model, method):
    X, y = make_data(container)
    found = cross_val_predict(model, X, y, cv=CV, method=method)
    for fitted, held_out, test in fits_by_hand(model, X, y):
        assert_allclose(found[test], getattr(fitted, method)(held_out))


@tool("permutation_test_score")
def test_permutation_test_score(container):
    X, y = make_data(container)
    score, permuted, p = permutation_test_score(
        rows(), X, y, cv=CV, n_permutations=9, random_state=0
    )
    assert_allclose(score, np.mean(accuracies(rows(), X, y)))
    assert p == (np.sum(permuted >= score) + 1) / 10
    assert permuted.mean() < score


@tool("learning_curve", "LearningCurveDisplay")
def test_learning_curve(container, ax):
    X, y = make_data(container)
    sizes, _, found = learning_curve(linear(), X, y, train_sizes=[6, 16], cv=CV)
    assert_array_equal(sizes, [6, 16])
    for k, (train, test) in enumerate(CV.split(np.zeros(24), y)):
        for size, score in zip(sizes, found[:, k], strict=True):
            first = train[:size]
            model = linear().fit(take(X, first), y[first])
            assert score == model.score(take(X, test), y[test])
    display = LearningCurveDisplay.from_estimator(linear(), X, y, train_sizes=[6, 16], cv=CV, ax=ax)
    assert_array_equal(display.test_scores, found)


@tool("validation_curve", "ValidationCurveDisplay")
def test_validation_curve(container, ax):
    X, y = make_data(container)
    values = {"param_name": "C", "param_range": [0.01, 1.0], "cv": CV}
    _, found = validation_curve(linear(), X, y, **values)
    assert_array_equal(found, [accuracies(linear(C=C), X, y) for C in (0.01, 1.0)])
    display = ValidationCurveDisplay.from_estimator(linear(), X, y, ax=ax, **values)
    assert_array_equal(display.test_scores, found)


@tool(
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "DetCurveDisplay",
    "PrecisionRecallDisplay",
    "RocCurveDisplay",
)
def test_displays_of_predictions(container, ax):
    X, y = make_data(container)
    train, test = slice(0, 12), slice(12, 24)
    model = rows().fit(X[train], y[train])
    p = model.predict_proba(X[test])[:, 1]
    given = (model, X[test], y[test])
    roc = RocCurveDisplay.from_estimator(*given, ax=ax)
    assert roc.roc_auc == pytest.approx(roc_auc_score(y[test], p))
    precision = PrecisionRecallDisplay.from_estimator(*given, ax=ax)
    assert precision.average_precision == pytest.approx(average_precision_score(y[test], p))
    det = DetCurveDisplay.from_estimator(*given, drop_intermediate=False, ax=ax)
    assert_allclose(det.fnr, det_curve(y[test], p)[1], atol=1e-9)
    confusion = ConfusionMatrixDisplay.from_estimator(*given, ax=ax)
    assert_array_equal(
        confusion.confusion_matrix, confusion_matrix(y[test], model.predict(X[test]))
    )
    calibration = CalibrationDisplay.from_estimator(*given, ax=ax)
    assert_allclose(calibration.prob_true, calibration_curve(y[test], p)[0])


@tool("get_scorer", "make_scorer")
def test_scorers(container):
    X, y = make_data(container)
    model = rows().fit(X, y)
    p = model.predict_proba(list(X))[:, 1]
    assert get_scorer("roc_auc")(model, X, y) == pytest.approx(roc_auc_score(y, p))
    assert get_scorer("neg_log_loss")(model, X, y) == pytest.approx(-log_loss(y, p))
    scorer = make_scorer(fbeta_score, beta=2)
    assert scorer(model, X, y) == pytest.approx(fbeta_score(y, p > 0.5, beta=2))
    ranking = make_scorer(roc_auc_score, response_method="decision_function")
    svm = linear().fit(X, y)
    expected = roc_auc_score(y, svm.decision_function(list(X)))
    assert ranking(svm, X, y) == pytest.approx(expected)


def test_scores_of_probabilities_need_a_model_that_has_them():
    X, y = make_data("list")
    with pytest.warns(UserWarning, match=r"Scoring failed(?s:.*)predict_proba"):
        scores = cross_val_score(linear(), X, y, cv=CV, scoring="neg_log_loss")
    assert np.isnan(scores).all()
    calibrated = CalibratedClassifierCV(linear(), cv=3)
    assert (cross_val_score(calibrated, X, y, cv=CV, scoring="neg_log_loss") < 0).all()


# --- Searching ---------------------------------------------------------------------------


@tool("GridSearchCV", "RandomizedSearchCV")
@pytest.mark.parametrize(
    ("Search", "options"), [(GridSearchCV, {}), (RandomizedSearchCV, {"n_iter": 3})]
)
def test_searches_score_each_candidate_and_fit_the_best_to_all_bags(container, Search, options):
    X, y = make_data(container)
    values = [1e-4, 0.01, 1.0]
    search = Search(linear(), {"C": values}, cv=CV, error_score="raise", **options).fit(X, y)
    results = search.cv_results_
    assert sorted(results["param_C"]) == values
    for C, mean in zip(results["param_C"], results["mean_test_score"], strict=True):
        assert mean == pytest.approx(np.mean(accuracies(linear(C=C), X, y)))
    assert search.best_score_ == max(results["mean_test_score"]) > 0.5
    best = linear(**search.best_params_).fit(list(X), y)
    assert_allclose(search.decision_function(X), best.decision_function(list(X)))


@tool("HalvingGridSearchCV", "HalvingRandomSearchCV")
@pytest.mark.parametrize("Search", [HalvingGridSearchCV, HalvingRandomSearchCV])
def test_halving_counts_bags(container, Search):
    X, y = make_data(container)
    options = {"n_candidates": 3} if Search is HalvingRandomSearchCV else {}
    search = Search(
        linear(),
        {"C": [1e-4, 0.01, 1.0]},
        min_resources=12,
        factor=2,
        cv=CV,
        random_state=0,
        error_score="raise",
        **options,
    ).fit(X, y)
    assert search.n_resources_ == [12, 24]
    results = search.cv_results_
    for i in np.flatnonzero(results["n_resources"] == 24):  # the round that has all bags
        expected = np.mean(accuracies(linear(C=results["param_C"][i]), X, y))
        assert results["mean_test_score"][i] == pytest.approx(expected)
    best = linear(**search.best_params_).fit(list(X), y)
    assert_allclose(search.decision_function(X), best.decision_function(list(X)))


def test_a_network_is_searched_too():
    X, y = make_data("Bags")
    network = DPMINNClassifier(max_epochs=2, hidden_layer_sizes=(4,), random_state=0)
    pipeline = make_pipeline(InstanceTransformer(), network)
    grid = {"dpminnclassifier__T": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=CV, scoring="roc_auc").fit(X, y)
    best = pipeline.set_params(**search.best_params_).fit(X, y)
    assert_allclose(search.predict_proba(X), best.predict_proba(X), rtol=1e-5)


# --- Steps of a pipeline -----------------------------------------------------------------


@tool("Pipeline")
def test_pipeline(container):
    X, y = make_data(container)
    pipeline = make_pipeline(InstanceTransformer(), linear()).fit(X, y)
    scaler = StandardScaler().fit(np.concatenate(list(X)))
    scaled = [scaler.transform(bag) for bag in X]
    expected = linear().fit(scaled, y).decision_function(scaled)
    assert_allclose(pipeline.decision_function(X), expected)
    pipeline = rows().fit(X, y)
    expected = LogisticRegression().fit(table(X), y).predict_proba(table(X))
    assert_allclose(pipeline.predict_proba(X), expected)
    assert_array_equal(pipeline[:-1].get_feature_names_out()[[0, 3]], ["mean_x0", "std_x0"])


class CountedScaler(TransformerMixin, BaseEstimator):
    """A step that counts, for the class, how often it is fitted."""

    n_fits = 0

    def fit(self, X, y=None):
        CountedScaler.n_fits += 1
        return self

    def transform(self, X):
        bags = check_bags(X)
        return bags.replace_instances(bags.instances / 2)


@tool("Memory")
def test_a_cached_step_is_fitted_once(container, tmp_path):
    X, y = make_data(container)
    memory = joblib.Memory(tmp_path, verbose=0)
    CountedScaler.n_fits = 0
    for C in (0.1, 1.0):
        steps = [("scale", CountedScaler()), ("svm", linear(C=C))]
        cached = Pipeline(steps, memory=memory).fit(X, y)
        expected = linear(C=C).fit([bag / 2 for bag in X], y)
        assert_allclose(
            cached.decision_function(X), expected.decision_function([bag / 2 for bag in X])
        )
    assert CountedScaler.n_fits == 1
    Pipeline(steps, memory=memory).fit(X[:20], y[:20])
    assert CountedScaler.n_fits == 2


@tool("FeatureUnion")
def test_feature_union(container):
    X, _ = make_data(container)
    union = make_union(BagStatistics(["mean"]), BagStatistics(["size"])).fit(X)
    expected = [[*bag.mean(axis=0), len(bag)] for bag in X]
    assert_allclose(union.transform(X), expected)
    assert union.get_feature_names_out()[-1] == "bagstatistics-2__size"


@refused("FeatureUnion of steps that return bags")
def test_feature_union_of_bags(container, refusal):
    X, y = make_data(container)
    steps = [StandardScaler(), MinMaxScaler()]
    union = make_union(*(InstanceTransformer(step) for step in steps))
    if STACKS_ANYTHING:
        with refusal("X has 48 bags and y has 24 labels", by=("skmil",)):
            make_pipeline(union, linear()).fit(X, y)
    else:
        with refusal("1 dimensions, but expected 2"):
            union.fit_transform(X)
    inside = InstanceTransformer(make_union(*steps)).fit_transform(X)
    expected = np.hstack([step.fit_transform(np.concatenate(list(X))) for step in steps])
    assert_allclose(inside.instances, expected)


@refused("ColumnTransformer")
def test_column_transformer(container, refusal):
    X, _ = make_data(container)
    columns = ColumnTransformer([("scale", StandardScaler(), [0]), ("keep", "passthrough", [2])])
    for transformer in (columns, ColumnTransformer([("bags", BagStatistics(), [0])])):
        with refusal(f"{NO_TABLE}|tuple index out of range", error=(ValueError, IndexError)):
            transformer.fit_transform(X)
    instances = np.concatenate(list(X))
    expected = np.column_stack([StandardScaler().fit_transform(instances[:, :1]), instances[:, 2]])
    assert_allclose(InstanceTransformer(columns).fit_transform(X).instances, expected)


@tool("ColumnTransformer on a data frame with a column of bags")
def test_a_data_frame_may_have_a_column_of_bags(container):
    X, y = make_data(container)
    frame = pd.DataFrame({"slide": list(X), "age": np.arange(24.0)})
    columns = ColumnTransformer(
        [("slide", BagStatistics(["max"]), "slide"), ("age", "passthrough", ["age"])]
    )
    expected = [[*bag.max(axis=0), age] for age, bag in enumerate(X)]
    assert_allclose(columns.fit_transform(frame), expected)
    found = cross_val_score(make_pipeline(columns, LogisticRegression()), frame, y, cv=CV)
    for score, (train, test) in zip(found, CV.split(expected, y), strict=True):
        values = np.array(expected)
        model = LogisticRegression().fit(values[train], y[train])
        assert score == model.score(values[test], y[test])


def first_two_features(X):
    bags = check_bags(X)
    return bags.replace_instances(bags.instances[:, :2])


@tool("FunctionTransformer")
def test_function_transformer(container):
    X, y = make_data(container)
    unchanged = FunctionTransformer().fit_transform(X)
    assert unchanged is X
    pipeline = make_pipeline(FunctionTransformer(first_two_features), linear()).fit(X, y)
    expected = linear().fit([bag[:, :2] for bag in X], y)
    assert_allclose(
        pipeline.decision_function(X), expected.decision_function([bag[:, :2] for bag in X])
    )


@refused("FunctionTransformer(validate=True)", "StandardScaler")
@pytest.mark.parametrize("step", [FunctionTransformer(validate=True), StandardScaler()])
def test_transformers_of_rows(container, step, refusal):
    X, _ = make_data(container)
    with refusal():
        step.fit(X)
    found = InstanceTransformer(step).fit_transform(X).instances
    assert_allclose(found, clone(step).fit_transform(np.concatenate(list(X))))


@refused("LogisticRegression", "RandomForestClassifier")
@pytest.mark.parametrize(
    "classifier", [LogisticRegression(), RandomForestClassifier(n_estimators=5, random_state=0)]
)
def test_classifiers_of_rows(container, classifier, refusal):
    X, y = make_data(container)
    # One that asks for values of a certain type hears from Bags what to do.
    with refusal(
        f"{NO_TABLE}|needs BagStatistics", error=(ValueError, TypeError), by=("sklearn", "skmil")
    ):
        clone(classifier).fit(X, y)
    pipeline = make_pipeline(BagStatistics(), classifier).fit(X, y)
    expected = clone(classifier).fit(table(X), y).predict_proba(table(X))
    assert_allclose(pipeline.predict_proba(X), expected)


SELECTORS = [
    RFE(linear(), n_features_to_select=1),
    RFECV(linear(), cv=2),
    SelectFromModel(linear()),
    SequentialFeatureSelector(linear(), n_features_to_select=1, cv=2),
]


@refused(*(type(selector).__name__ for selector in SELECTORS))
@pytest.mark.parametrize("selector", SELECTORS)
def test_selectors_of_features(container, selector, refusal):
    X, y = make_data(container)
    with refusal():
        clone(selector).fit_transform(X, y)
    of_rows = clone(selector).set_params(estimator=LogisticRegression())
    pipeline = make_pipeline(BagStatistics(), of_rows).fit(X, y)
    expected = clone(of_rows).fit(table(X), y)
    assert_array_equal(pipeline[-1].get_support(), expected.get_support())
    of_instances = InstanceTransformer(of_rows).fit(X, y)
    instances, labels = np.concatenate(list(X)), np.repeat(y, [len(bag) for bag in X])
    expected = clone(of_rows).fit(instances, labels)
    assert_array_equal(of_instances.transformer_.get_support(), expected.get_support())


# --- Combining classifiers ---------------------------------------------------------------


@tool("VotingClassifier")
def test_voting_classifier(container):
    X, y = make_data(container)
    members = [("svm", linear()), ("soft", linear(C=0.01)), ("rows", rows())]
    fitted = [clone(member).fit(list(X), y) for _, member in members]
    votes = np.array([member.predict(list(X)) for member in fitted])
    assert len(np.unique(votes, axis=0)) == 3
    hard = VotingClassifier(members).fit(X, y)
    assert_array_equal(hard.predict(X), votes.sum(axis=0) >= 2)
    other = make_pipeline(BagStatistics(["max"]), LogisticRegression())
    soft = VotingClassifier([("rows", rows()), ("max", other)], voting="soft").fit(X, y)
    both = [clone(m).fit(list(X), y).predict_proba(list(X)) for m in (rows(), other)]
    assert_allclose(soft.predict_proba(X), np.mean(both, axis=0))


def test_networks_of_several_seeds_vote():
    X, y = make_data("Bags")
    networks = [
        (f"seed{seed}", DPMINNClassifier(max_epochs=2, hidden_layer_sizes=(4,), random_state=seed))
        for seed in (0, 1)
    ]
    vote = VotingClassifier(networks, voting="soft").fit(X, y)
    each = [clone(network).fit(X, y).predict_proba(X) for _, network in networks]
    assert abs(each[0] - each[1]).max() > 0.01
    assert_allclose(vote.predict_proba(X), np.mean(each, axis=0), rtol=1e-5)


@tool("StackingClassifier")
def test_stacking_classifier(container):
    X, y = make_data(container)
    stack = StackingClassifier([("svm", linear()), ("rows", rows())], cv=CV).fit(X, y)
    columns = [
        cross_val_predict(linear(), list(X), y, cv=CV, method="decision_function"),
        cross_val_predict(rows(), list(X), y, cv=CV, method="predict_proba")[:, 1],
    ]
    final = LogisticRegression().fit(np.column_stack(columns), y)
    scores = linear().fit(list(X), y).decision_function(list(X))
    p = rows().fit(list(X), y).predict_proba(list(X))[:, 1]
    assert_allclose(stack.predict_proba(X), final.predict_proba(np.column_stack([scores, p])))


@refused("StackingClassifier(passthrough=True)")
def test_stacking_classifier_with_passthrough(container, refusal):
    X, y = make_data(container)
    members = [("svm", linear()), ("rows", rows())]
    with refusal(f"{NO_TABLE}|same number of dimensions"):
        StackingClassifier(members, passthrough=True, cv=CV).fit(X, y)
    # Behind BagStatistics there are rows to pass through; its members are classifiers of rows.
    stack = StackingClassifier([("lr", LogisticRegression())], passthrough=True, cv=CV)
    found = make_pipeline(BagStatistics(), stack).fit(X, y).predict_proba(X)
    assert_allclose(found, clone(stack).fit(table(X), y).predict_proba(table(X)))


@refused("BaggingClassifier")
def test_bagging_classifier(container, refusal):
    X, y = make_data(container)
    with refusal():
        BaggingClassifier(linear(), n_estimators=3).fit(X, y)
    bagging = BaggingClassifier(LogisticRegression(), n_estimators=3, random_state=0)
    found = make_pipeline(BagStatistics(), bagging).fit(X, y).predict_proba(X)
    assert_allclose(found, clone(bagging).fit(table(X), y).predict_proba(table(X)))


def numbered(X):
    """Return a table with the number of each bag, and a step that looks the bags up."""
    bags = check_bags(X)

    def look_up(numbers):
        return bags[numbers[:, 0]]

    return np.arange(len(bags)).reshape(-1, 1), FunctionTransformer(look_up)


@pytest.mark.parametrize("container", ["list", "Bags"])
def test_bagging_of_bag_classifiers_by_their_numbers(container):
    X, y = make_data(container)
    numbers, look_up = numbered(X)
    bagging = BaggingClassifier(make_pipeline(look_up, linear()), n_estimators=3, random_state=0)
    bagging.fit(numbers, y)
    assert len(bagging.estimators_samples_) == 3
    votes = []
    for drawn, member in zip(bagging.estimators_samples_, bagging.estimators_, strict=True):
        assert len(set(drawn)) < len(drawn) == 24  # with replacement
        by_hand = linear().fit(take(X, drawn), y[drawn])
        assert_allclose(
            member[-1].decision_function(list(X)), by_hand.decision_function(list(X)), rtol=1e-5
        )
        votes.append(by_hand.predict(list(X)))
    assert_array_equal(bagging.predict(numbers), np.sum(votes, axis=0) >= 2)


@tool("AdaBoostClassifier", given_list="partly", given_bags="refused")
def test_ada_boost_classifier_takes_lists_of_bags_of_equal_size(container, refusal):
    X, y = make_data(container)
    boosting = AdaBoostClassifier(linear(C=10.0), n_estimators=2)
    if container == "list of equal sizes":
        boosting.fit(X, y)
        weight = np.full(24, 1 / 24)
        for member in boosting.estimators_:
            by_hand = linear(C=10.0).fit(X, y, sample_weight=weight)
            assert_allclose(member.decision_function(X), by_hand.decision_function(X))
            wrong = by_hand.predict(X) != y
            error = weight[wrong].sum()
            weight = np.where(wrong, weight * (1 - error) / error, weight)
            weight /= weight.sum()
        assert wrong.any()
        assert_array_equal(boosting.predict(np.stack(X)), boosting.predict(X))
        with refusal():
            boosting.predict([X[0], X[1][:2]])
    else:
        with refusal():
            boosting.fit(X, y)
    boosting = AdaBoostClassifier(LogisticRegression(), n_estimators=2)
    found = make_pipeline(BagStatistics(), boosting).fit(X, y).predict_proba(X)
    assert_allclose(found, clone(boosting).fit(table(X), y).predict_proba(table(X)))


def calibrated_by_hand(model, X, y, cv):
    """Return the mean of the calibrated probabilities of the models of all splits."""
    p = []
    for fitted, held_out, test in fits_by_hand(model, X, y, cv):
        curve = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
        curve.fit(fitted.decision_function(held_out), y[test])
        p.append(curve.predict(fitted.decision_function(list(X))))
    return np.mean(p, axis=0)


@tool("CalibratedClassifierCV")
@pytest.mark.parametrize(
    "cv", [CV, StratifiedShuffleSplit(4, train_size=0.6, random_state=0)], ids=["folds", "random"]
)
def test_calibrated_classifier(container, cv):
    X, y = make_data(container)
    calibrated = CalibratedClassifierCV(linear(), method="isotonic", cv=cv).fit(X, y)
    expected = calibrated_by_hand(linear(), X, y, cv)
    assert_allclose(calibrated.predict_proba(X)[:, 1], expected)


@tool("FrozenEstimator")
def test_a_frozen_classifier_is_calibrated_on_other_bags(container):
    X, y = make_data(container)
    fitted = linear().fit(X[:12], y[:12])
    frozen = FrozenEstimator(fitted).fit(X[12:], y[12:])
    scores = fitted.decision_function(list(X))
    assert_array_equal(frozen.decision_function(X), scores)
    calibrated = CalibratedClassifierCV(frozen, method="isotonic", cv=3).fit(X[12:], y[12:])
    curve = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(scores[12:], y[12:])
    assert_allclose(calibrated.predict_proba(X)[:, 1], curve.predict(scores))


@tool("FixedThresholdClassifier", "TunedThresholdClassifierCV")
def test_thresholds(container):
    X, y = make_data(container)
    scores = linear().fit(list(X), y).decision_function(list(X))
    fixed = FixedThresholdClassifier(linear(), threshold=0.3).fit(X, y)
    assert_array_equal(fixed.predict(X), scores >= 0.3)

    split = next(CV.split(np.zeros(24), y))
    tuned = TunedThresholdClassifierCV(linear(), cv=[split], refit=False).fit(X, y)
    train, test = split
    held_out = linear().fit(take(X, train), y[train]).decision_function(take(X, test))
    accuracy = [balanced_accuracy_score(y[test], held_out >= t) for t in np.sort(held_out)]
    assert tuned.best_score_ == pytest.approx(max(accuracy))
    found = balanced_accuracy_score(y[test], tuned.predict(take(X, test)))
    assert found == pytest.approx(max(accuracy))
    tuned = TunedThresholdClassifierCV(linear(), cv=CV).fit(X, y)
    assert_array_equal(tuned.predict(X), scores >= tuned.best_threshold_)


EVERY_BAG = "Label .* is present in all"


@tool("OneVsRestClassifier", given_list="partly")
def test_one_vs_rest_classifier(container):
    X, y = make_data(container, n_classes=3)
    scores = [linear().fit(list(X), y == k).decision_function(list(X)) for k in range(3)]
    ensemble = OneVsRestClassifier(linear()).fit(X, y)
    assert_array_equal(ensemble.predict(X), np.argmax(scores, axis=0))
    several = np.column_stack([y == 0, y < 2])
    found = OneVsRestClassifier(linear()).fit(X, several).predict(X)
    expected = [linear().fit(list(X), column).predict(list(X)) for column in several.T]
    assert_array_equal(found, np.column_stack(expected))
    several[:, 1] = True  # the label of all bags, for which there is nothing to fit
    ensemble = OneVsRestClassifier(linear())
    if container == "Bags":
        with pytest.warns(UserWarning, match=EVERY_BAG):
            ensemble.fit(X, several)
        assert_array_equal(ensemble.predict(X), np.column_stack([expected[0], np.ones(24)]))
        return
    with pytest.warns(UserWarning, match=EVERY_BAG), raises(ValueError, NO_TABLE):
        ensemble.fit(X, several)


@tool("OutputCodeClassifier", given_list="partly")
def test_output_code_classifier(container):
    X, y = make_data(container, n_classes=3)

    def fit(random_state):
        return OutputCodeClassifier(linear(), code_size=2, random_state=random_state).fit(X, y)

    codes = fit(3)
    assert not (codes.code_book_ == codes.code_book_[0]).all(axis=0).any()
    scores = [
        linear().fit(list(X), column[y]).decision_function(list(X)) for column in codes.code_book_.T
    ]
    distances = [((np.transpose(scores) - code) ** 2).sum(axis=1) for code in codes.code_book_]
    assert_array_equal(codes.predict(X), np.argmin(distances, axis=0))
    if container == "Bags":  # a column of the code may be the same for all classes
        constant = fit(0).code_book_
        assert (constant == constant[0]).all(axis=0).any()
        assert fit(0).score(X, y) > 0.5
    else:
        with raises(ValueError, NO_TABLE):
            fit(0)


@refused("OneVsOneClassifier")
def test_one_vs_one_classifier(container, refusal):
    X, y = make_data(container, n_classes=3)
    with refusal():
        OneVsOneClassifier(linear()).fit(X, y)
    # MISVMClassifier tells several classes apart itself, one against the rest.
    rest = OneVsRestClassifier(linear()).fit(X, y)
    assert_array_equal(linear().fit(X, y).predict(X), rest.predict(X))
    found = make_pipeline(BagStatistics(), OneVsOneClassifier(LogisticRegression())).fit(X, y)
    expected = OneVsOneClassifier(LogisticRegression()).fit(table(X), y).predict(table(X))
    assert_array_equal(found.predict(X), expected)


@tool("MultiOutputClassifier")
def test_multi_output_classifier(container):
    X, y = make_data(container)
    several = np.column_stack([y, np.arange(24) < 8])
    found = MultiOutputClassifier(linear()).fit(X, several).predict(X)
    expected = [linear().fit(list(X), column).predict(list(X)) for column in several.T]
    assert_array_equal(found, np.column_stack(expected))


@refused("ClassifierChain")
def test_classifier_chain(container, refusal):
    X, y = make_data(container)
    several = np.column_stack([y, np.arange(24) < 8])
    with refusal():
        ClassifierChain(linear()).fit(X, several)
    chain = ClassifierChain(LogisticRegression())
    found = make_pipeline(BagStatistics(), chain).fit(X, several).predict(X)
    assert_array_equal(found, clone(chain).fit(table(X), several).predict(table(X)))


@refused("SelfTrainingClassifier")
def test_self_training_classifier(container, refusal):
    X, y = make_data(container)
    some = np.where(np.arange(24) < 12, y, -1)  # -1: no label
    with refusal():
        SelfTrainingClassifier(rows()).fit(X, some)
    training = SelfTrainingClassifier(LogisticRegression(), max_iter=1)
    found = make_pipeline(BagStatistics(), training).fit(X, some).predict_proba(X)
    assert_allclose(found, clone(training).fit(table(X), some).predict_proba(table(X)))

    numbers, look_up = numbered(X)
    model = make_pipeline(look_up, rows())
    found = SelfTrainingClassifier(model, max_iter=1).fit(numbers, some)
    first = rows().fit(take(X, range(12)), y[:12]).predict_proba(list(X))
    chosen = np.flatnonzero((np.arange(24) < 12) | (first.max(axis=1) > 0.75))
    assert 12 < len(chosen) < 24
    labels = np.where(some == -1, first.argmax(axis=1), y)[chosen]
    expected = rows().fit(take(X, chosen), labels).predict_proba(list(X))
    assert_allclose(found.predict_proba(numbers), expected, rtol=1e-5)


@tool("DummyClassifier")
def test_dummy_classifier(container):
    X, y = make_data(container)
    dummy = DummyClassifier(strategy="prior").fit(X[:9], y[:9])
    assert_allclose(dummy.predict_proba(X), np.tile([5 / 9, 4 / 9], (24, 1)))


# --- Inspection --------------------------------------------------------------------------


@refused("permutation_importance")
def test_permutation_importance(container, refusal):
    X, y = make_data(container)
    model = linear().fit(X, y)
    with refusal():
        permutation_importance(model, X, y)
    pipeline = rows().fit(X, y)
    found = permutation_importance(pipeline[-1], pipeline[:-1].transform(X), y, random_state=0)
    assert pipeline[:-1].get_feature_names_out()[found.importances_mean.argmax()] == "max_x1"


@refused("partial_dependence")
def test_partial_dependence(container, refusal):
    X, y = make_data(container)
    model = linear().fit(X, y)
    with refusal(f"{NO_TABLE}|tuple index out of range", error=(ValueError, IndexError)):
        partial_dependence(model, X, [1])
    instances = np.concatenate(list(X))  # as many bags of one instance
    found = partial_dependence(model, instances, [1], grid_resolution=4)
    for value, average in zip(found["grid_values"][0], found["average"][0], strict=True):
        changed = instances.copy()
        changed[:, 1] = value
        assert average == pytest.approx(model.decision_function(changed).mean())


@refused("DecisionBoundaryDisplay")
def test_decision_boundary_display(container, ax, refusal):
    X, y = make_data(container)
    X = check_bags(X)
    two = X.replace_instances(X.instances[:, :2])
    two = two if container == "Bags" else list(two)
    model = linear().fit(two, y)
    with refusal("number of features|must be equal to 2", error=(ValueError, TypeError)):
        DecisionBoundaryDisplay.from_estimator(model, two, ax=ax)
    instances = np.concatenate(list(two))
    display = DecisionBoundaryDisplay.from_estimator(model, instances, grid_resolution=5, ax=ax)
    points = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    found = np.reshape(display.response, -1)
    scores = model.decision_function(points)
    assert_allclose(found, scores)


# --- Metadata ----------------------------------------------------------------------------


@tool("params")
def test_sample_weight_reaches_a_step_by_its_name(container):
    X, y = make_data(container)
    weight = np.where(y == 1, 5.0, 1.0) + np.arange(24) % 3
    model = make_pipeline(InstanceTransformer(), linear())
    found = cross_val_score(model, X, y, cv=CV, params={"misvmclassifier__sample_weight": weight})
    scores = weighted_by_hand(X, y, weight)[0]
    assert_allclose(found, scores)
    assert (found != cross_val_score(model, X, y, cv=CV)).any()


def weighted_by_hand(X, y, weight):
    """Return the accuracies of models fitted with weights, not weighted and weighted."""
    plain, weighted = [], []
    for train, test in CV.split(np.zeros(len(y)), y):
        scaler = InstanceTransformer().fit(take(X, train))
        model = linear().fit(
            scaler.transform(take(X, train)), y[train], sample_weight=weight[train]
        )
        right = model.predict(scaler.transform(take(X, test))) == y[test]
        plain.append(right.mean())
        weighted.append(np.average(right, weights=weight[test]))
    return plain, weighted


@tool("enable_metadata_routing", "set_fit_request", "set_score_request")
@pytest.mark.usefixtures("routing")
def test_sample_weight_is_routed_to_fit_and_to_the_scorer(container):
    X, y = make_data(container)
    weight = np.where(y == 1, 5.0, 1.0) + np.arange(24) % 3
    _, expected = weighted_by_hand(X, y, weight)
    model = make_pipeline(
        InstanceTransformer().set_fit_request(sample_weight=False),
        linear().set_fit_request(sample_weight=True),
    )
    scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
    params = {"sample_weight": weight}
    result = cross_validate(model, X, y, cv=CV, scoring=scorer, params=params)
    assert_allclose(result["test_score"], expected)
    search = GridSearchCV(model, {"misvmclassifier__C": [1.0]}, cv=CV, scoring=scorer)
    assert_allclose(search.fit(X, y, **params).best_score_, np.mean(expected))
    vote = VotingClassifier([("svm", linear().set_fit_request(sample_weight=True))])
    by_hand = linear().fit(list(X), y, sample_weight=weight)
    assert_allclose(vote.fit(X, y, **params).transform(X).ravel(), by_hand.predict(list(X)))


@tool("groups")
@pytest.mark.parametrize("enabled", [False, True])
def test_groups_reach_the_splitter(container, enabled):
    X, y = make_data(container)
    patients = np.arange(24) // 2 % 6
    cv = StratifiedGroupKFold(3)
    expected = accuracies(linear(), X, y, cv, patients)
    assert expected != accuracies(linear(), X, y)
    with sklearn.config_context(enable_metadata_routing=enabled):
        given = {"params": {"groups": patients}} if enabled else {"groups": patients}
        assert_allclose(cross_val_score(linear(), X, y, cv=cv, **given), expected)
        search = GridSearchCV(linear(), {"C": [1.0]}, cv=cv).fit(X, y, groups=patients)
        assert search.best_score_ == pytest.approx(np.mean(expected))


# --- Everything else that is done with an estimator --------------------------------------


@tool("set_output")
def test_set_output_of_a_pipeline_that_returns_rows(container):
    X, y = make_data(container)
    pipeline = make_pipeline(BagStatistics(["mean"]), StandardScaler())
    frame = pipeline.set_output(transform="pandas").fit_transform(X, y)
    assert list(frame.columns) == ["mean_x0", "mean_x1", "mean_x2"]
    expected = StandardScaler().fit_transform([bag.mean(axis=0) for bag in X])
    assert_allclose(frame.to_numpy(), expected)


@refused("set_output of InstanceTransformer")
def test_set_output_of_a_pipeline_with_an_instance_transformer(container, refusal):
    X, y = make_data(container)
    pipeline = make_pipeline(InstanceTransformer(), BagStatistics(["max"]), LogisticRegression())
    with refusal("Unable to configure output for InstanceTransformer"):
        pipeline.set_output(transform="pandas")
    pipeline[1:].set_output(transform="pandas")  # a slice has the same steps
    frame = pipeline.fit(X, y)[:-1].transform(X)
    assert list(frame.columns) == ["max_x0", "max_x1", "max_x2"]
    assert isinstance(pipeline[0].transform(X), Bags)
    assert_array_equal(pipeline[-1].feature_names_in_, frame.columns)


@tool("clone", "estimator_html_repr", "get_tags", "is_classifier")
def test_estimators_around_bags_are_seen_for_what_they_are(container):
    X, y = make_data(container)
    model = make_pipeline(InstanceTransformer(StandardScaler()), linear()).fit(X, y)
    for estimator in (model, GridSearchCV(model, {}), VotingClassifier([("model", model)])):
        assert is_classifier(estimator)
        assert get_tags(estimator).estimator_type == "classifier"
    copied = clone(model)
    assert not hasattr(copied[-1], "classes_")
    assert_array_equal(copied.fit(X, y).decision_function(X), model.decision_function(X))
    html = estimator_html_repr(model)
    for name in ("InstanceTransformer", "StandardScaler", "MISVMClassifier"):
        assert name in html
