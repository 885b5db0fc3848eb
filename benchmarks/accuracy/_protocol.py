"""One fold of one method: what is fitted, what is scored, with which seed.

Five times ten folds: those published with the data, where there are any, else seeded stratified
ones. A classifier sees the training fold only, scaling and choice of parameters included. It is
scored at its last iterate, by its own decision, which for networks is a probability of 0.5. The
seed depends on the repeat and the fold alone, so any fold can be run again by itself.
"""

import functools
import json
import time
import warnings
from typing import NamedTuple

import numpy as np
import torch
from _grids import GRIDS
from _leak import EpochScores, best_epoch, best_threshold
from _methods import METHODS, Case
from _settings import describe, digest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from threadpoolctl import ThreadpoolController

from skmil._cli._data import load_data
from skmil._cli._evaluate import area_under_curve
from skmil._cli._folds import draw_splits, published_splits
from skmil.neural._base import BaseNeuralBagClassifier

TUNINGS = ("default", "nested")
N_REPEATS, N_FOLDS = 5, 10


class Task(NamedTuple):
    """A fold to run. More than one method share it if their settings are the same."""

    source: str
    data: str
    methods: tuple[str, ...]
    tuning: str
    repeat: int
    fold: int


@functools.cache
def load(source):
    """Return the data set that a path or a published name stands for, once a process."""
    return load_data(source)


@functools.cache
def splits(source):
    """Return the folds of a data set by repeat and fold."""
    data = load(source)
    if data.folds is not None:
        drawn = published_splits(data.y, data.folds, N_REPEATS)
    else:
        drawn = draw_splits(data.y, N_FOLDS, N_REPEATS, seed=0)
    return {(split.repeat, split.fold): split for split in drawn}


def build(method, source, data, repeat, fold, tuning):
    """Return the unfitted classifier of a fold, or the search for one.

    Parameters
    ----------
    method : str
        A name among `METHODS`.
    source, data : str
        Where the data set comes from, and its name.
    repeat, fold : int
        The fold, counted from 0.
    tuning : {"default", "nested"}
        Whether the parameters are the defaults or searched.

    Returns
    -------
    model : classifier or GridSearchCV
        Unfitted. A search does not fit the best candidate again.
    """
    n_train = len(splits(source)[repeat, fold].train)
    case = Case(data, load(source).sparse, n_train, seed=N_FOLDS * repeat + fold)
    model = METHODS[method].build(case)
    if tuning == "default":
        return model
    inner = StratifiedKFold(5, shuffle=True, random_state=0)
    return GridSearchCV(
        model, GRIDS[method], scoring="accuracy", cv=inner, refit=False, error_score="raise"
    )


def run(task):
    """Fit and score a fold.

    Parameters
    ----------
    task : Task
        The fold.

    Returns
    -------
    task : Task
        The same.
    figures : dict
        Values of the fields of a row but for its key; or only "error", why it failed.
    settings : dict of str to str or None
        The settings.
    """
    _set_up_process()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return (task, *_fit_and_score(task))
    except Exception as error:  # one that fails must not lose all others
        return task, {"error": f"{type(error).__name__}: {error}"}, None


@functools.cache
def _set_up_process():
    """Take one thread: sums then have the same order however many processes there are."""
    ThreadpoolController().limit(limits=1)
    torch.set_num_threads(1)
    # For speed only: some networks come to numbers so small that arithmetic is slow.
    torch.set_flush_denormal(True)


def _fit_and_score(task):
    data = load(task.source)
    _, _, train, test = splits(task.source)[task.repeat, task.fold]
    bags, y = data.bags[train], data.y[train]
    arguments = task.source, task.data, task.repeat, task.fold
    model = build(task.methods[0], *arguments, task.tuning)
    settings = describe(model)
    start = time.perf_counter()
    chosen = None
    if task.tuning == "nested":
        chosen = model.fit(bags, y).best_params_
        model = build(task.methods[0], *arguments, "default").set_params(**chosen)
    follower = _follow(model, data.bags[test])
    model.fit(bags, y)
    predicted = model.predict(data.bags[test])
    seconds = time.perf_counter() - start
    tested = data.bags[test], data.y[test]
    figures = {
        **_score(model, *tested, predicted),
        **_leaks(model, *tested, follower),
        "seconds": seconds,
    }
    figures = {name: _rounded(name, value) for name, value in figures.items()}
    figures["chosen"] = None if chosen is None else json.dumps(chosen, sort_keys=True, default=repr)
    figures["settings"] = digest(settings)
    return figures, settings


def _follow(model, bags):
    """Let a network score bags after each epoch; return what remembers the scores."""
    if not isinstance(model, BaseNeuralBagClassifier):
        return None
    follower = EpochScores(model, bags)
    model.set_params(callbacks=[*(model.callbacks or ()), follower])
    return follower


def _score(model, bags, y, predicted):
    probabilities = model.predict_proba(bags) if hasattr(model, "predict_proba") else None
    return {
        "n_test": len(y),
        "n_correct": int(np.sum(predicted == y)),
        "accuracy": np.mean(predicted == y),
        "auc": area_under_curve(model, bags, y),
        "log_loss": None if probabilities is None else log_loss(y, probabilities, labels=[0, 1]),
    }


def _leaks(model, bags, y, follower):
    if hasattr(model, "decision_function"):
        last = model.decision_function(bags)
    elif hasattr(model, "predict_proba"):
        last = model.predict_proba(bags)[:, 1]
    else:
        return {}
    figures = {"accuracy_best_threshold": best_threshold(last, y)}
    if follower is not None:
        # The fitted network need not be that of the last epoch: weights may be averaged.
        figures.update(best_epoch([*follower.scores_[:-1], last], y))
    return figures


def _rounded(name, value):
    """Round such that repeated runs differ in few digits."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.3g}") if name == "seconds" else round(float(value), 4)
