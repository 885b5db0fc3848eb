"""From rows of folds to the figures of a cell: one method on one data set."""

from typing import NamedTuple

import numpy as np
import pandas as pd

N_FOLDS = 50


class Cell(NamedTuple):
    """What a method got on a data set. Figures that are missing are NaN.

    Parameters
    ----------
    n_folds : int
        How many folds the means are over.
    accuracy, auc, log_loss : float
        Means over the folds, at the last iterate, by the classifier's own decision.
    over_folds : float
        Standard deviation of the accuracy over the folds.
    over_repeats : float
        Standard deviation of the mean accuracies of the repeats.
    best_epoch, auc_best_epoch, best_threshold, best_both : float
        Mean accuracies, and area, if the test fold chooses the epoch, the threshold, or both.
    """

    n_folds: int
    accuracy: float
    auc: float
    log_loss: float
    over_folds: float
    over_repeats: float
    best_epoch: float
    auc_best_epoch: float
    best_threshold: float
    best_both: float


def summarise(rows):
    """Return the cells of a file of results.

    Parameters
    ----------
    rows : iterable of dict
        The rows of the file.

    Returns
    -------
    cells : dict of (str, str, str) to Cell
        By data set, method and tuning.
    """
    frame = pd.DataFrame(list(rows))
    if frame.empty:
        return {}
    places = ["data", "method", "tuning"]
    others = [name for name in frame if name not in (*places, "chosen", "settings", "code")]
    frame[others] = frame[others].apply(pd.to_numeric)
    frame["accuracy"] = frame["n_correct"] / frame["n_test"]  # not rounded
    return {place: _cell(folds) for place, folds in frame.groupby(places)}


def _cell(folds):
    repeats = folds.groupby("repeat")["accuracy"].mean()
    means = folds.drop(columns=["data", "method", "tuning", "chosen", "settings", "code"]).mean()
    return Cell(
        n_folds=len(folds),
        accuracy=means["accuracy"],
        auc=means["auc"],
        log_loss=means["log_loss"],
        over_folds=folds["accuracy"].std(),
        over_repeats=repeats.std(),
        best_epoch=means["accuracy_best_epoch"],
        auc_best_epoch=means["auc_best_epoch"],
        best_threshold=means["accuracy_best_threshold"],
        best_both=means["accuracy_best_both"],
    )


def mean_of(cells, places):
    """Return the mean accuracy over several places, NaN unless all of them are complete."""
    found = [cells.get(place) for place in places]
    if not found or any(cell is None or cell.n_folds < N_FOLDS for cell in found):
        return np.nan
    return np.mean([cell.accuracy for cell in found])
