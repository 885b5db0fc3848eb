"""scikit-learn's own checks, all of them, on every public estimator."""

import pytest
from estimators import is_neural, public_estimators, seeded, uncalibrated
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    parametrize_with_checks,
)

WEIGHT_CHECKS = (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
)


def expected_failed_checks(estimator):
    """Excuse only what float32 mini-batches cannot do; the test below does it in float64."""
    if not is_neural(type(estimator)):
        return {}
    reason = "weights equal repetitions to 1e-7 only in full batches of float64"
    return {check.__name__: reason for check in WEIGHT_CHECKS}


@parametrize_with_checks(
    [Estimator() for Estimator in public_estimators()],
    expected_failed_checks=expected_failed_checks,
)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", WEIGHT_CHECKS)
@pytest.mark.parametrize("scale", ["standard", "rank"])
@pytest.mark.parametrize("Neural", [e for e in public_estimators() if is_neural(e)])
def test_weights_equal_repetitions_in_full_batches_of_float64(Neural, scale, check):
    settings = {"dtype": "float64", "batch_size": 1000, "dropout": 0.0, "scale": scale}
    # The parts that calibration leaves out in turn are divided by bags, not by weights.
    check(Neural.__name__, seeded(Neural, **settings, **uncalibrated(Neural)))


def test_estimators_are_discovered():
    names = {Estimator.__name__ for Estimator in public_estimators()}
    assert {"DPMINNClassifier", "MISVMClassifier", "BagStatistics"} <= names
