"""Any scikit-learn classifier, applied to the instances of bags."""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skmil._sklearn import HasMethods, StrOptions, fit_context
from skmil.base import (
    BagClassifierMixin,
    apply_class_weight,
    check_bag_weight,
    check_labels,
    encode_labels,
    validate_bags,
)

__all__ = ["SingleInstanceClassifier"]


def _gives_probabilities(self):
    return _response_method(self._current(), self.aggregation) != "decision_function"


class SingleInstanceClassifier(BagClassifierMixin, BaseEstimator):
    """Classify instances by the labels of their bags, then bags by their instances.

    Single-instance learning, SIL for short: every instance inherits the label of its bag,
    any scikit-learn classifier is fitted to the instances, and what it says of the
    instances of a bag is put together. The negative instances of positive bags then carry
    a wrong label, which is the one thing that methods of multiple instance learning do
    better; so this is the baseline they have to beat, and in several domains do not [1]_.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Any scikit-learn classifier, also a pipeline; a clone of it is fitted. None means
        ``LogisticRegression(max_iter=1000)``; scale its features with
        :class:`InstanceTransformer`.
    aggregation : {"mean", "max", "vote"}, default="mean"
        What is put together, and how:

        - "mean": the mean of the probabilities of the instances, or of their decision
          values if `estimator` has no ``predict_proba``. All instances have a say.
        - "max": the highest of the same values. One witness makes a bag positive, whatever
          else is in it.
        - "vote": the share of the instances that `estimator` predicts to be of the class.
          It needs no more than ``predict``.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, ``{label: weight}``. "balanced" makes them inversely
        proportional to the number (with `sample_weight`, the weight) of the bags of the
        class. None for no weights.

    Attributes
    ----------
    estimator_ : classifier
        The classifier fitted to the training instances.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted. Of two, ``classes_[1]`` is the positive one.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    MISVMClassifier : Looks for the instances that deserve the label of their bag.
    BagStatistics : Makes one row of a bag, for any classifier.
    InstanceTransformer : Scales instances in front of it.

    Notes
    -----
    With two classes the score of a bag is that of ``classes_[1]``: with "max", a bag is
    positive if one of its instances is, and its probability is the highest of its
    instances. :meth:`decision_function` is this probability less one half, or the decision
    value as it is.

    With more classes each has a score of its own, and the highest wins. With "max" the
    class of a bag is therefore the one that some instance speaks for most. The highest
    probabilities of several classes add up to more than one; :meth:`predict_proba` divides
    them by their sum.

    The standard assumption, by which one witness is enough, asks for "max". But the
    probabilities are those of instances with the labels of their bags, and the highest of
    many is high by chance alone. So "max" may order bags well and still call too many of
    them positive, the more the larger they are, which is why it is not the default.
    :class:`~sklearn.model_selection.TunedThresholdClassifierCV` finds a better threshold
    than one half, and a higher weight of the negative class is another remedy [1]_.

    `class_weight` and `sample_weight` weigh bags. The instances of a bag get its weight
    each, not a share in it, so that large bags count more than small ones. A bag of weight
    zero is the same as none.

    `estimator` sees instances, one row each, and no bags. Search its parameters from
    outside, as ``estimator__C`` of this classifier: a search inside it would put instances
    of one bag on both sides of a split.

    References
    ----------
    .. [1] S. Ray and M. Craven, "Supervised versus multiple instance learning: an
       empirical comparison", Proceedings of the 22nd International Conference on Machine
       Learning, pp. 697-704, 2005. :doi:`10.1145/1102351.1102439`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmil.compose import SingleInstanceClassifier
    >>> bags = [np.array([[0.0], [7.0]]), np.array([[8.0]]), np.array([[1.0], [2.0], [0.5]])]
    >>> tree = DecisionTreeClassifier(max_depth=1)
    >>> model = SingleInstanceClassifier(tree, aggregation="max")
    >>> model.fit(bags, ["yes", "yes", "no"]).predict([np.array([[1.0], [9.0], [2.0]])])
    array(['yes'], dtype='<U3')
    >>> model.set_params(aggregation="vote").predict_proba([np.array([[1.0], [9.0], [2.0]])])
    array([[0.67, 0.33]])

    The rows of a 2-D array are bags of one instance, so these are the instances' own:

    >>> model.predict(bags[0])
    array(['no', 'yes'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "aggregation": [StrOptions({"max", "mean", "vote"})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(self, estimator=None, *, aggregation="mean", class_weight=None):
        self.estimator = estimator
        self.aggregation = aggregation
        self.class_weight = class_weight

    # The classifier validates its own parameters.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit the classifier to the instances of all bags.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : array-like of shape (n_bags,)
            Class labels of the bags.
        sample_weight : array-like of shape (n_bags,), default=None
            Weights of the bags, >= 0; None for equal weights. Not every classifier takes
            weights.

        Returns
        -------
        self : SingleInstanceClassifier
            The fitted classifier.
        """
        bags = validate_bags(self, X, reset=True)
        y = check_labels(self, y, bags)
        weight = check_bag_weight(sample_weight, bags.n_bags)
        if not weight.all():
            present = np.flatnonzero(weight)
            bags, y, weight = bags[present], y[present], weight[present]
        classes, codes = encode_labels(y)
        weight = apply_class_weight(self.class_weight, classes, codes, weight)

        estimator = clone(_chosen(self.estimator))
        given = {"sample_weight": sample_weight, "class_weight": self.class_weight}
        given = [name for name, value in given.items() if value is not None]
        _check_classifier(estimator, self.aggregation, given)
        weights = {"sample_weight": np.repeat(weight, bags.bag_sizes)} if given else {}
        self.estimator_ = estimator.fit(_rows(bags), y[bags.bag_index], **weights)
        self.classes_ = classes
        return self

    def decision_function(self, X):
        """Return the score of each bag.

        Parameters
        ----------
        X : bags
            Bags; the rows of a 2-D array are bags of one instance, so that its scores are
            the scores of the instances.

        Returns
        -------
        scores : ndarray of shape (n_bags,) or (n_bags, n_classes)
            With two classes the score of ``classes_[1]``, above zero where it is predicted.
            With more, the score of each class, of which the highest is predicted.
        """
        scores, method = self._aggregate(X)
        # A share or a probability speaks for a class from one half on, a decision from zero.
        return scores - 0.5 if scores.ndim == 1 and method != "decision_function" else scores

    @available_if(_gives_probabilities)
    def predict_proba(self, X):
        """Return the probability of each class for each bag.

        Only if `estimator` has this method, or with ``aggregation="vote"``.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        probabilities : ndarray of shape (n_bags, n_classes)
            The probabilities, or the shares of votes, in the order of `classes_`.
        """
        scores, _ = self._aggregate(X)
        if scores.ndim == 1:
            return np.column_stack([1.0 - scores, scores])
        return scores / scores.sum(axis=1, keepdims=True)

    def _aggregate(self, X):
        """Return the scores of the bags, and the method of the classifier they come from.

        The scores are those of ``classes_[1]`` if there are two classes, else a column for
        each.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        method = _response_method(self.estimator_, self.aggregation)
        scores = _instance_scores(self.estimator_, method, _rows(bags), self.classes_)
        if self.aggregation == "max":
            return np.maximum.reduceat(scores, bags.offsets[:-1]), method
        totals = np.add.reduceat(scores, bags.offsets[:-1])
        return (totals.T / bags.bag_sizes).T, method

    def _current(self):
        """Return the fitted classifier if there is one, else the one to fit."""
        return self.estimator_ if hasattr(self, "estimator_") else _chosen(self.estimator)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(_chosen(self.estimator))
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.non_deterministic = inner.non_deterministic
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        return tags


def _chosen(estimator):
    return LogisticRegression(max_iter=1000) if estimator is None else estimator


def _rows(bags):
    """Return the instances; row after row in memory, on which rounding can depend."""
    rows = bags.instances
    return np.ascontiguousarray(rows) if isinstance(rows, np.ndarray) else rows


def _response_method(estimator, aggregation):
    """Return the name of the method whose results are put together."""
    if aggregation == "vote":
        return "predict"
    return "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"


def _check_classifier(estimator, aggregation, given):
    """Refuse what is no classifier, has no scores, or no use for the weights given."""
    name = type(estimator).__name__
    if not is_classifier(estimator):
        raise ValueError(f"estimator must be a classifier of instances, got {name}.")
    if not hasattr(estimator, _response_method(estimator, aggregation)):
        raise ValueError(
            f"{name} has neither predict_proba nor decision_function, so it gives no scores "
            f"for aggregation={aggregation!r}. Use aggregation='vote', which only needs predict."
        )
    if given and not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"{given[0]} was given, but the fit method of {name} does not take sample_weight. "
            "Leave it out or choose an estimator that can weigh instances. Instead of a "
            "pipeline inside, put InstanceTransformer and the classifier in one outside: "
            "make_pipeline(InstanceTransformer(scaler), SingleInstanceClassifier(classifier))."
        )


def _instance_scores(estimator, method, instances, classes):
    """Return the score of each instance, for each class if there are more than two."""
    results = getattr(estimator, method)(instances)
    if method == "predict":
        scores = (np.asarray(results)[:, np.newaxis] == classes).astype(np.float64)
    else:
        scores = np.asarray(results, dtype=np.float64)
    if len(classes) == 2:
        return scores if scores.ndim == 1 else np.ascontiguousarray(scores[:, 1])
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ValueError(
            f"{method} of {type(estimator).__name__} has shape {scores.shape}, but one column "
            f"for each of {len(classes)} classes is needed. Let the estimator tell each class "
            "from the rest, as SVC does with decision_function_shape='ovr'."
        )
    return scores
