import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

from skmil._cli._registry import DEFAULT, ESTIMATORS
from skmil.datasets import make_bags


def test_names_can_be_typed_and_told_apart():
    assert set(DEFAULT) <= set(ESTIMATORS)
    assert "all" not in ESTIMATORS
    for name, entry in ESTIMATORS.items():
        assert name == name.lower().strip()
        assert "," not in name
        assert len(name) <= 16
        assert len(entry.title) <= 10
        assert len(entry.summary) <= 45
    titles = [entry.title for entry in ESTIMATORS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("sparse", [False, True])
def test_each_is_a_new_unfitted_classifier_that_takes_the_bags(name, sparse):
    bags, y = make_bags(n_bags=12, n_features=3, n_informative=2, random_state=0, return_X_y=True)
    if sparse:
        bags = bags.replace_instances(sp.csr_matrix(bags.instances))
    estimator = ESTIMATORS[name].build(sparse, 0)
    assert is_classifier(estimator)
    assert estimator is not ESTIMATORS[name].build(sparse, 0)
    with pytest.raises(NotFittedError):
        estimator.predict(bags)
    labels = np.array(["no", "yes"])[y]
    predicted = clone(estimator).fit(bags, labels).predict(bags)
    assert set(predicted) <= {"no", "yes"}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_seed_reaches_every_random_state(name):
    parameters = ESTIMATORS[name].build(False, 42).get_params()
    for key, value in parameters.items():
        if key.split("__")[-1] == "random_state" and "svc" not in key:
            assert value == 42, key


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_unit_of_a_feature_has_no_influence(name):
    data = make_bags(n_bags=20, n_features=3, n_informative=2, random_state=0)
    # Powers of two, so that scaling undoes them to the last bit.
    other = data.bags.replace_instances(data.bags.instances * [1024.0, 1.0, 2.0**-10])
    predictions = [
        ESTIMATORS[name].build(False, 0).fit(bags, data.target).predict(bags)
        for bags in (data.bags, other)
    ]
    np.testing.assert_array_equal(*predictions)
