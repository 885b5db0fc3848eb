"""The rows of the accuracy tables: what the command line knows by name, and a few more.

To add a row, write a function that builds it and a line of the table; where it has parameters
that are worth a search, add its grid in `_grids.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from skmil import BagStatistics, DPMINNClassifier
from skmil._cli._registry import ESTIMATORS


class Case(NamedTuple):
    """What a classifier is built for: a training fold."""

    data: str
    sparse: bool
    n_train: int
    seed: int


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Parameters
    ----------
    title : str
        What the tables call it.
    build : callable
        Maps a `Case` to an unfitted classifier of bags, which scales features by itself.
    serves : callable, default=None
        Maps the name of a data set to whether the method has settings for it; None if it has
        for all.
    """

    title: str
    build: Callable[[Case], Any]
    serves: Callable[[str], bool] = lambda data: True


def _registered(entry):
    """Return the row of an estimator that the command line knows."""
    return Method(entry.title, lambda case: entry.build(case.sparse, case.seed))


def _dp_minn(title, **changed):
    """Return DP-MINN with its defaults but for some parameters."""
    return Method(title, lambda case: DPMINNClassifier(**changed, random_state=case.seed))


#: One network of the paper's widths in place of five narrower ones, not calibrated.
SINGLE = {
    "n_members": 1,
    "hidden_layer_sizes": (256, 128, 64),
    "dropout": 0.5,
    "calibration_cv": None,
}


def _forest(*statistics):
    def build(case):
        forest = RandomForestClassifier(n_estimators=500, random_state=case.seed)
        return make_pipeline(BagStatistics(statistics=statistics), forest)

    return Method(f"{', '.join(statistics)} + forest", build)


class PaperSettings(NamedTuple):
    """A line of Table 5 in the supplement of the paper; an iteration is a step with one bag."""

    learning_rate: float
    weight_decay: float
    iterations: int
    decay_every: int


_PAPER = {
    "musk1": PaperSettings(5e-4, 5e-3, 10_000, 250),
    "musk2": PaperSettings(5e-4, 5e-3, 10_000, 250),
    "fox": PaperSettings(1e-3, 1e-2, 10_000, 250),
    "tiger": PaperSettings(1e-3, 5e-3, 10_000, 250),
    "elephant": PaperSettings(1e-3, 5e-3, 10_000, 250),
    "news": PaperSettings(1e-3, 1e-3, 5_000, 64),
    "ucsb_breast": PaperSettings(1e-4, 1e-4, 10_000, 250),
    "messidor": PaperSettings(5e-4, 1e-3, 10_000, 250),
}


def _paper_settings(data):
    """Return the settings that the paper has for a data set, or None."""
    return _PAPER.get("news" if data.startswith("news_") else data)


def _paper(loss, **changed):
    """Return the configuration of the paper to the letter, in whole passes over the bags.

    Everything that the paper states is spelt out, so that no default of the class has a say. What
    it does not state is left out: no dropout, no averaging, last iterate, threshold 0.5. Features
    are standardised.
    """

    def build(case):
        stated = _paper_settings(case.data)
        params = {
            "hidden_layer_sizes": (256, 128, 64),
            "T": 3,
            "loss": loss,
            "probability": "length",
            "margin_positive": 0.9,
            "margin_negative": 0.1,
            "routing_gradient": "full",
            "init": "paper",
            "dropout": 0.0,
            "n_members": 1,
            "calibration_cv": None,
            "instance_dropout": 0.0,
            "scale": "standard",
            "optimizer": "adam",  # whose weight decay is coupled
            "batch_size": 1,
            "learning_rate": stated.learning_rate,
            "weight_decay": stated.weight_decay,
            "max_epochs": round(stated.iterations / case.n_train),
            "learning_rate_decay": 0.96 ** (case.n_train / stated.decay_every),
            "random_state": case.seed,
            **changed,
        }
        return DPMINNClassifier(**params)

    return build


def _in_paper(data):
    return _paper_settings(data) is not None


METHODS = {
    **{name: _registered(entry) for name, entry in ESTIMATORS.items()},
    # Those with the default T have the settings of another row, and are not run twice.
    **{f"dp-minn-t{T}": _dp_minn(f"DP-MINN T={T}", T=T) for T in range(1, 6)},
    "dp-minn-uncalibrated": _dp_minn("DP-MINN uncalibrated", calibration_cv=None),
    "dp-minn-single": _dp_minn("DP-MINN single", **SINGLE),
    "dp-minn-wide": _dp_minn("DP-MINN wide", **{**SINGLE, "n_members": 5}),
    "dp-minn-single-ce": _dp_minn("DP-MINN single CE", **SINGLE, loss="cross_entropy"),
    **{
        f"dp-minn-single-t{T}": _dp_minn(f"DP-MINN single T={T}", **SINGLE, T=T)
        for T in range(1, 6)
    },
    "dp-minn-paper": Method("DP-MINN paper", _paper("margin"), _in_paper),
    "dp-minn-paper-ce": Method("DP-MINN paper CE", _paper("cross_entropy"), _in_paper),
    **{
        f"dp-minn-paper-t{T}": Method(f"DP-MINN paper T={T}", _paper("margin", T=T), _in_paper)
        for T in range(1, 6)
    },
    "minmax-forest": _forest("min", "max"),
    "statistics-forest": _forest("mean", "std", "min", "max"),
}
