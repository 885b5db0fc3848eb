"""What explains a fitted model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scikit_learn_tools.by_hand import NO_TABLE, linear, rows
from scikit_learn_tools.outcomes import make_data, refused
from sklearn.inspection import DecisionBoundaryDisplay, partial_dependence, permutation_importance

from skmil import check_bags


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
