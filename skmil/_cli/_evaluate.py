"""Repeated stratified cross-validation of estimators, all on the same folds."""

import functools
import multiprocessing
import signal
import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import accuracy_score, roc_auc_score
from threadpoolctl import ThreadpoolController


@dataclass(frozen=True)
class FoldResult:
    """What came out of one estimator on one fold.

    Parameters
    ----------
    repeat, fold : int
        Which fold it is, counted from 0.
    n_train, n_test : int
        Number of bags to learn from, and of bags to predict.
    accuracy : float or None
        Share of test bags predicted right. None, as the following, if the estimator
        failed.
    auc : float or None
        Area under the ROC curve; with more than two classes the mean over the classes,
        each against the rest. None also if the estimator gives no scores.
    fit_seconds, predict_seconds : float or None
        Wall-clock time of ``fit`` and of ``predict``.
    warnings : tuple of str
        Warnings while fitting and predicting, each once.
    error : str or None
        Why the estimator failed.
    """

    repeat: int
    fold: int
    n_train: int
    n_test: int
    accuracy: float | None = None
    auc: float | None = None
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None


def cross_validate(estimators, bags, y, splits, *, n_jobs):
    """Fit and score each estimator on each fold.

    Parameters
    ----------
    estimators : dict of str to classifier
        Unfitted classifiers of bags, by name.
    bags : Bags of shape (n_bags,)
        The bags.
    y : ndarray of shape (n_bags,)
        Their labels.
    splits : list of Split
        The folds.
    n_jobs : int
        Number of processes. The scores do not depend on it.

    Yields
    ------
    name : str
        Name of an estimator.
    result : FoldResult
        Its result on a fold. They come estimator by estimator, fold by fold.
    """
    tasks = [(name, split) for name in estimators for split in splits]
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_evaluate_fold)(estimators[name], bags, y, *split) for name, split in tasks
    )
    try:
        for (name, _), result in zip(tasks, results, strict=True):
            yield name, result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tasks that an interruption cancels
            results.close()


def _evaluate_fold(estimator, bags, y, repeat, fold, train, test):
    """Return the result of one estimator on one fold."""
    if multiprocessing.parent_process() is not None:
        # Ctrl-C reaches every process; the parent answers it, and ends its workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    facts = {"repeat": repeat, "fold": fold, "n_train": len(train), "n_test": len(test)}
    # One thread: sums then have the same order, and times the same meaning, for any n_jobs.
    with (
        warnings.catch_warnings(record=True) as caught,
        _threadpools("torch" in sys.modules).limit(limits=1),
    ):
        warnings.simplefilter("always")
        try:
            scores = _fit_and_score(clone(estimator), bags, y, train, test)
        except Exception as error:  # one estimator that fails must not lose all others
            scores = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    told = [
        " ".join(f"{warning.category.__name__}: {warning.message}".split())
        for warning in caught
        if issubclass(warning.category, (UserWarning, RuntimeWarning))
    ]
    return FoldResult(**facts, **scores, warnings=tuple(dict.fromkeys(told)))


@functools.cache
def _threadpools(with_torch):
    """Look for the thread pools of this process; again once torch has brought its own.

    Not each time, because a Ctrl-C during the search would be swallowed.
    """
    return ThreadpoolController()


def _fit_and_score(estimator, bags, y, train, test):
    start = time.perf_counter()
    estimator.fit(bags[train], y[train])
    fitted = time.perf_counter()
    predicted = estimator.predict(bags[test])
    end = time.perf_counter()
    return {
        "accuracy": float(accuracy_score(y[test], predicted)),
        "auc": area_under_curve(estimator, bags[test], y[test]),
        "fit_seconds": fitted - start,
        "predict_seconds": end - fitted,
    }


def area_under_curve(estimator, bags, y):
    """Return the area under the ROC curve.

    None if the estimator gives no scores, or if a class is that of all bags or of none. With
    more than two classes it is the mean over the classes, each against the rest.
    """
    if hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(bags)
    elif hasattr(estimator, "predict_proba"):
        scores = estimator.predict_proba(bags)
    else:
        return None
    classes = estimator.classes_
    if len(classes) == 2:
        classes, scores = classes[1:], scores.reshape(len(y), -1)[:, -1:]
    truths = [y == label for label in classes]
    if any(truth.all() or not truth.any() for truth in truths):
        return None
    return float(np.mean([roc_auc_score(truth, scores[:, k]) for k, truth in enumerate(truths)]))
