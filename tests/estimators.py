"""Discovery of the public estimators: nothing is listed by hand, so nothing is left out."""

from sklearn.base import BaseEstimator, is_classifier

import skmil


def public_estimators():
    """Return every public estimator class of skmil."""
    public = [getattr(skmil, name) for name in skmil.__all__]
    return [item for item in public if isinstance(item, type) and issubclass(item, BaseEstimator)]


def public_classifiers():
    """Return every public classifier class."""
    return [Estimator for Estimator in public_estimators() if is_classifier(Estimator())]


def seeded(Estimator, **params):
    """Return an estimator with `random_state=0` where it has one."""
    estimator = Estimator(**params)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    return estimator


def brief(Estimator):
    """Return a seeded estimator of few epochs, for what does not depend on how much is learnt."""
    estimator = seeded(Estimator)
    if "max_epochs" in estimator.get_params():
        estimator.set_params(max_epochs=5)
    return estimator


def is_neural(Estimator):
    """Return whether the estimator is trained by mini-batches, in float32 by default."""
    from skmil.neural._base import BaseNeuralBagClassifier

    return issubclass(Estimator, BaseNeuralBagClassifier)


def uncalibrated(Estimator):
    """Return the parameters with which a neural classifier trains nothing beside its net."""
    return {"calibration_cv": None} if "calibration_cv" in Estimator().get_params() else {}
