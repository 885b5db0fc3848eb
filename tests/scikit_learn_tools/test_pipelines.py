"""Pipelines, unions and their steps."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scikit_learn_tools.by_hand import CV, NO_TABLE, linear, rows, table
from scikit_learn_tools.outcomes import make_data, refused, tool
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skmil import BagStatistics, InstanceTransformer, check_bags

#: Up to this release, FeatureUnion puts anything side by side, collections of bags too.
STACKS_ANYTHING = sklearn.__version__ in ("1.7.0", "1.7.1")


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
