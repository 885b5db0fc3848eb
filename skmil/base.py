"""What every bag estimator shares: its tags, and the checks around ``fit`` and ``predict``."""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skmil.bags import StoredRows, check_bags

__all__ = [
    "BagClassifierMixin",
    "BagEstimatorMixin",
    "apply_class_weight",
    "check_bag_weight",
    "check_labels",
    "encode_labels",
    "split_by_bag",
    "validate_bags",
    "with_matrix",
]


class BagEstimatorMixin:
    """Mixin of all estimators on bags: says which input they take.

    Keep it small: algorithms belong into functions, not here.
    """

    #: Whether the estimator goes through `StoredRows` in batches, by slices or arrays of
    #: integers. Others get bags that :func:`validate_bags` has read into memory.
    _reads_stored_bags = False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # A 2-D array is a collection of one-instance bags, so scikit-learn may send one.
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        return tags


class BagClassifierMixin(BagEstimatorMixin, ClassifierMixin):
    """Mixin of all bag classifiers: the class with the highest score is the predicted one."""

    def predict(self, X):
        """Predict the class of each bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        y : ndarray of shape (n_bags,)
            Class labels.
        """
        scores = self.decision_function(X)
        codes = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[codes]


def validate_bags(estimator, X, *, reset=False):
    """Check bags and hold their features against those seen at fit.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_`, and `feature_names_in_` where the bags have names, if `reset`.
    X : bags
        Anything :func:`skmil.check_bags` accepts.
    reset : bool, default=False
        True in ``fit``; False where the features must be those of ``fit``.

    Returns
    -------
    bags : Bags
        The checked bags. Their instances are stored rows only if the estimator reads such.
    """
    bags = check_bags(X)
    if not getattr(estimator, "_reads_stored_bags", False):
        bags = with_matrix(bags)
    name = type(estimator).__name__
    if reset:
        estimator.n_features_in_ = bags.n_features
        if bags.feature_names is not None:
            estimator.feature_names_in_ = bags.feature_names
        elif hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
        return bags
    _compare_feature_names(name, getattr(estimator, "feature_names_in_", None), bags.feature_names)
    if bags.n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {bags.n_features} features, but {name} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    return bags


def with_matrix(bags):
    """Return bags whose instances NumPy and SciPy compute with: stored rows are read.

    A memory map is shown as the array it is, so that an estimator that keeps it is pickled with
    the values, not with the name of a file.
    """
    if isinstance(bags.instances, StoredRows):
        return bags.in_memory()
    if isinstance(bags.instances, np.memmap):
        return bags.replace_instances(np.asarray(bags.instances), feature_names=bags.feature_names)
    return bags


def check_labels(estimator, y, bags):
    """Return `y` as a 1-D array of class labels, one per bag.

    Parameters
    ----------
    estimator : estimator
        Named in the error message.
    y : array-like of shape (n_bags,)
        Class labels of any type that can be sorted.
    bags : Bags
        The bags the labels belong to.

    Returns
    -------
    y : ndarray of shape (n_bags,)
        The labels.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y", estimator_name=type(estimator).__name__)
    if len(y) != bags.n_bags:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{bags.n_bags}, {len(y)}]"
            f". X has {bags.n_bags} bags and y has {len(y)} labels; a bag has one label. "
            "A 2-D array is as many bags as it has rows: write [x] if it is a single bag."
        )
    check_classification_targets(y)
    return y


def encode_labels(y):
    """Return the sorted classes and the position of each label among them.

    Raises
    ------
    ValueError
        If there is only one class.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()[0]!r}. A classifier needs at least two; "
            "check how the labels were read or how the data was split."
        )
    return classes, codes


def check_bag_weight(sample_weight, n_bags):
    """Return one finite weight >= 0 per bag as float64; ones if `sample_weight` is None.

    The result is an array of its own, never the caller's.
    """
    if sample_weight is None:
        return np.ones(n_bags)
    weight = np.array(sample_weight, dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(n_bags, weight)
    if weight.shape != (n_bags,):
        raise ValueError(
            f"sample_weight needs one weight per bag, shape ({n_bags},), got {weight.shape}."
        )
    assert_all_finite(weight, input_name="sample_weight")
    if (weight < 0).any():
        i = int(np.flatnonzero(weight < 0)[0])
        raise ValueError(f"sample_weight must not be negative, but bag {i} has {weight[i]}.")
    if not weight.any():
        raise ValueError("All values of sample_weight are zero, so there is nothing to fit.")
    return weight


def apply_class_weight(class_weight, classes, codes, bag_weight):
    """Return the bag weights times the weights of the bags' classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weights by class label; absent labels count 1. "balanced" gives each class the same
        total weight, counting bags by `bag_weight`.
    classes : ndarray of shape (n_classes,)
        The class labels.
    codes : ndarray of int of shape (n_bags,)
        Position of each bag's label among `classes`.
    bag_weight : ndarray of shape (n_bags,)
        Weights of the bags.

    Returns
    -------
    weight : ndarray of shape (n_bags,)
        The products.
    """
    if class_weight is None:
        return bag_weight
    if isinstance(class_weight, str):
        totals = np.bincount(codes, weights=bag_weight, minlength=len(classes))
        present = np.maximum(totals, np.finfo(np.float64).tiny)
        factors = np.where(totals > 0, totals.sum() / (np.count_nonzero(totals) * present), 0.0)
        return bag_weight * factors[codes]
    unknown = [label for label in class_weight if label not in set(classes.tolist())]
    if unknown:
        raise ValueError(
            f"class_weight names {unknown[0]!r}, which is no class of y; "
            f"the classes are {classes.tolist()}."
        )
    for label, factor in class_weight.items():
        if not (isinstance(factor, Real) and 0 <= factor < np.inf):
            raise ValueError(
                f"class_weight of class {label!r} must be a finite number, at least 0, "
                f"got {factor!r}."
            )
    factors = np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    return bag_weight * factors[codes]


def split_by_bag(values, bags):
    """Split values given per instance into a list with one array per bag."""
    return np.split(values, bags.offsets[1:-1])


def _compare_feature_names(estimator_name, fitted, given):
    """Warn of or refuse other feature names than at fit, in scikit-learn's words."""
    if fitted is None and given is None:
        return
    if fitted is None:
        warnings.warn(
            f"X has feature names, but {estimator_name} was fitted without feature names",
            stacklevel=4,
        )
        return
    if given is None:
        warnings.warn(
            f"X does not have valid feature names, but {estimator_name} was fitted with "
            "feature names",
            stacklevel=4,
        )
        return
    if np.array_equal(fitted, given):
        return
    lines = ["The feature names should match those that were passed during fit."]
    unseen = sorted(set(given) - set(fitted))
    absent = sorted(set(fitted) - set(given))
    if unseen:
        lines += ["Feature names unseen at fit time:", *_first_names(unseen)]
    if absent:
        lines += ["Feature names seen at fit time, yet now missing:", *_first_names(absent)]
    if not unseen and not absent:
        lines += ["Feature names must be in the same order as they were in fit."]
    raise ValueError("\n".join(lines) + "\n")


def _first_names(names, most=5):
    return [f"- {name}" for name in names[:most]] + (["- ..."] if len(names) > most else [])
