"""Everything else that is done with an estimator."""

from numpy.testing import assert_allclose, assert_array_equal
from scikit_learn_tools.by_hand import linear
from scikit_learn_tools.outcomes import make_data, refused, tool
from sklearn.base import clone, is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr, get_tags

from skmil import Bags, BagStatistics, InstanceTransformer


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
