"""Grid search that trains the candidates of a fold together."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.utils import get_tags, indexable

from skmil.bags import check_bags, is_stored
from skmil.base import check_labels, encode_labels
from skmil.neural._dp_minn import DPMINNClassifier
from skmil.neural._stack import Stacks

#: What a stack can do, of parameters it cannot follow to any value; the rest must be off.
_NEEDED = {"loss": "margin", "optimizer": "adam"}
_OFF = (
    *("early_stopping", "callbacks", "max_instances", "data_parallel"),
    *("gradient_checkpointing", "mixed_precision", "net_params"),
)


class StackedGridSearchCV(GridSearchCV):
    """Grid search over DP-MINN that trains the candidates of a fold together.

    A drop-in replacement for :class:`sklearn.model_selection.GridSearchCV` around a
    :class:`skmil.DPMINNClassifier`, with the same results to rounding in less time. Candidates
    that differ only in `T`, `margin_positive` and `margin_negative` start from the same random
    weights, see the same bags in the same order, and drop the same units and instances, so they
    are trained as one stacked network, up to 16 networks at a time: three candidates of the five
    networks that are the default, or 16 with ``n_members=1``. Candidates that differ in anything
    else are trained in different stacks.

    Parameters
    ----------
    estimator : DPMINNClassifier
        The classifier itself, not a pipeline that ends in it. It and all candidates need an
        integer `random_state`, ``loss="margin"`` and ``optimizer="adam"``; `early_stopping`,
        `callbacks`, `max_instances`, `data_parallel`, `gradient_checkpointing`,
        `mixed_precision` and `net_params` have to stay off.
    param_grid : dict or list of dict
        Names of parameters with lists of values to try, or several such grids.
    scoring : str, callable, list, tuple or dict, default=None
        How to score predictions; None takes the accuracy.
    n_jobs : int, default=None
        Here for compatibility: None or 1. Stacks are trained in this process.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all bags, and for several scores by which of them
        it is chosen.
    cv : int, cross-validation generator or iterable, default=None
        How to divide the bags; None makes 5 stratified folds.
    verbose : int, default=0
        How much to print. The progress bars of the classifier show in the last fit only.
    pre_dispatch : int or str, default="2*n_jobs"
        Here for compatibility, not used.
    error_score : "raise" or numeric, default=np.nan
        Score of a candidate that cannot be fitted to a fold, or "raise" to raise its error.
    return_train_score : bool, default=False
        Whether to score the training bags as well.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        Scores and times of all candidates, as from a plain search. The time to fit a candidate
        is its share of the time of the stack.
    best_estimator_ : DPMINNClassifier
        The best candidate, fitted to all bags; only with `refit`.
    best_score_ : float
        Mean score of the best candidate over the folds.
    best_params_ : dict
        The parameters of the best candidate.
    best_index_ : int
        Where in `cv_results_` the best candidate is.
    scorer_ : callable or dict
        What scored the candidates.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the last fit; only with `refit`.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (2,)
        The class labels; only with `refit`.
    n_features_in_ : int
        Number of features; only with `refit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only with `refit`, and if the bags have names.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The plain search, for any estimator.

    Notes
    -----
    Bags have to be dense and in memory. All trained candidates stay in memory until the search
    ends. In float32 the sums of a stack may round in another order, so a bag whose score lies
    within rounding of the threshold can fall on the other side.

    Examples
    --------
    >>> from skmil import DPMINNClassifier
    >>> from skmil.datasets import load_digit_bags
    >>> from skmil.neural import StackedGridSearchCV
    >>> X, y = load_digit_bags(random_state=0, return_X_y=True)
    >>> classifier = DPMINNClassifier(max_epochs=5, random_state=0)
    >>> grid = {"T": [1, 2, 3], "margin_positive": [0.8, 0.9]}
    >>> search = StackedGridSearchCV(classifier, grid, cv=3).fit(X, y)
    >>> len(search.cv_results_["mean_test_score"])
    6
    >>> search.best_estimator_.T == search.best_params_["T"]
    True
    """

    def fit(self, X, y=None, **params):
        """Search, and fit the best candidate to all bags.

        Parameters
        ----------
        X : bags
            Training bags, anything :func:`skmil.check_bags` accepts; dense, and in memory.
        y : array-like of shape (n_bags,)
            Class label of each bag; two classes.
        **params : dict
            For :meth:`skmil.DPMINNClassifier.fit`, such as `sample_weight`, and for the division
            into folds, such as `groups`.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        TypeError
            If the estimator is not a DPMINNClassifier.
        ValueError
            If a candidate or the bags cannot be stacked.
        """
        candidates = self._candidates()
        X, y = indexable(X, y)
        self._refuse_bags(X, y)
        stacks = Stacks(candidates, X)
        arguments = self.get_params(deep=False)
        arguments["estimator"] = _FromStack.like(self.estimator, stacks)
        plain = GridSearchCV(**arguments).fit(X, y, **params)
        _share_times(plain.cv_results_, [stacks.times_of(c) for c in candidates])
        found = {name: value for name, value in vars(plain).items() if name not in arguments}
        if "best_estimator_" in found:
            found["best_estimator_"] = found["best_estimator_"].as_plain()
        if self.scoring is None:  # that of the plain search would keep the stacks
            found["scorer_"] = check_scoring(self.estimator)
        vars(self).update(found)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_class = False
        tags.input_tags.sparse = False
        tags.transformer_tags = get_tags(self.estimator).transformer_tags
        return tags

    def _candidates(self):
        """Return the candidates as classifiers, after refusing those that cannot be stacked."""
        if type(self.estimator) is not DPMINNClassifier:
            raise TypeError(
                "StackedGridSearchCV searches the parameters of a DPMINNClassifier itself, got "
                f"{self.estimator!r}. Use GridSearchCV for other estimators and pipelines."
            )
        if self.n_jobs not in (None, 1):
            raise ValueError(
                f"StackedGridSearchCV trains in one process, got n_jobs={self.n_jobs}. Set it to "
                "None, or use GridSearchCV."
            )
        grid = ParameterGrid(self.param_grid)
        candidates = [clone(self.estimator).set_params(**clone(p, safe=False)) for p in grid]
        for candidate in candidates:
            _refuse_unstackable(candidate)
        return candidates

    def _refuse_bags(self, X, y):
        """Refuse bags and labels that a stack is not made for."""
        bags = check_bags(X)
        if is_stored(bags.instances) or not isinstance(bags.instances, np.ndarray):
            raise ValueError(
                "StackedGridSearchCV supports neither sparse bags nor bags on the disk, got "
                f"instances of type {type(bags.instances).__name__}. Use GridSearchCV, or bring "
                "them into memory as dense arrays."
            )
        classes, _ = encode_labels(check_labels(self.estimator, y, bags))
        if len(classes) > 2:
            raise ValueError(
                "Only binary classification is supported by StackedGridSearchCV, got "
                f"{len(classes)} classes. Use GridSearchCV."
            )


class _FromStack(DPMINNClassifier):
    """A candidate that is fitted by taking what a stack has trained."""

    stacks = None

    @classmethod
    def like(cls, classifier, stacks):
        """Return the estimator of a plain search."""
        twin = cls()
        vars(twin).update(vars(clone(classifier)), stacks=stacks)
        return twin

    def __sklearn_clone__(self):
        twin = super().__sklearn_clone__()
        twin.stacks = self.stacks
        return twin

    def fit(self, X, y, sample_weight=None):
        """Take the trained classifier, or train it where stacks do not: on all bags."""
        fitted = self.stacks.trained(self, X, y, sample_weight)
        if fitted is None:
            fitted = self.as_plain().fit(X, y, sample_weight=sample_weight)
        vars(self).update(vars(fitted))
        return self

    def as_plain(self):
        """Return a classifier in the same state, without the stacks."""
        plain = DPMINNClassifier()
        vars(plain).update(vars(self))
        del plain.stacks
        return plain


def _share_times(results, times):
    """Set the times of fits: to the plain search it was the first candidate that took all."""
    for i, shares in enumerate(times):
        if shares is not None:
            results["mean_fit_time"][i] = np.mean(shares)
            results["std_fit_time"][i] = np.std(shares)


def _refuse_unstackable(candidate):
    """Refuse parameters that a stack does not follow."""
    parameters = candidate.get_params(deep=False)
    for name, value in parameters.items():
        if name in _NEEDED and value != _NEEDED[name]:
            wanted = repr(_NEEDED[name])
        elif name in _OFF and value:
            wanted = repr(getattr(DPMINNClassifier(), name))
        elif name == "random_state" and not isinstance(value, Integral):
            wanted = "an integer"
        else:
            continue
        raise ValueError(
            f"StackedGridSearchCV needs {name} to be {wanted}, got {value!r}. Use GridSearchCV."
        )
