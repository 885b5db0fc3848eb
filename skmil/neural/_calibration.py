"""Calibration in the large: a shift of the scores that makes probabilities right on average."""

import copy
from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize, root
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold
from skorch.callbacks import GradientNormClipping, LRScheduler, ParamMapper

from skmil._sklearn import Interval
from skmil.neural._base import count_logits
from skmil.neural._standardize import name_of_scaling


class CalibrationMixin:
    """Mixin of neural classifiers with `calibration_cv` and `n_members`; left of the base class.

    After the training, each part of the bags is scored by a network that was trained on the other
    parts, and `intercept_` is found from these scores. The subclass adds it to all scores.
    """

    _parameter_constraints: ClassVar[dict] = {
        "calibration_cv": [Interval(Integral, 2, None, closed="left"), None],
    }
    _note = None  # what the progress bar says beside the name

    def _set_net(self, network, device):
        """Build the net around a network, whose scores are not shifted yet."""
        super()._set_net(network, device)
        self.intercept_ = np.zeros(count_logits(len(self.classes_)))

    def _calibrate(self, bags, codes, weight, team):
        """Shift the scores by those of bags that networks trained on the others have not seen."""
        for model in self._trained:
            model.intercept_ = np.zeros(count_logits(len(self.classes_)))
        if self.calibration_cv is None:
            return
        seed = self._draw_seed(team)
        parts = parts_to_leave_out(codes, weight, len(self.classes_), self.calibration_cv, seed)
        if not parts:
            return
        seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(parts))
        scores = [[] for _ in self._trained]
        for k, (kept, out) in enumerate(parts):
            twin = self._twin_for_part(int(seeds[k]), f"part {k + 1} of {len(parts)}")
            # The bags are what a subclass has made of them, so its own `fit` is not called again.
            super(CalibrationMixin, twin).fit(bags[kept], self.classes_[codes[kept]], weight[kept])
            for model, of_model in zip(twin._trained, scores, strict=True):
                of_model.append(model._decide(bags[out]))
        order = np.concatenate([out for _, out in parts])
        codes, weight = codes[order], weight[order] / weight[order].mean()
        for model, of_model in zip(self._trained, scores, strict=True):
            model.intercept_ = fit_intercept(np.concatenate(of_model), codes, weight)

    @property
    def _trained(self):
        """The classifiers that one call of `fit` trains."""
        return [self]

    def _twin_for_part(self, seed, note):
        """Return a classifier with one such network, to be trained as long on some of the bags."""
        stopping = dict(self.net_.callbacks_).get("early_stopping")
        epochs = getattr(stopping, "best_epoch_", 0) or len(self.net_.history)
        twin = copy.copy(self)  # not built anew: subclasses may have other parameters
        vars(twin).update(
            n_members=1,
            calibration_cv=None,
            max_epochs=int(epochs),
            early_stopping=False,
            warm_start=False,
            class_weight=None,  # part of the bag weights by now
            scale=name_of_scaling(self.scaler_),  # "auto" could mean another for fewer bags
            callbacks=[c for c in self.callbacks or () if _shapes_training(c)],
            device=self.net_.device,
            random_state=seed,
            _note=note,
        )
        return twin

    @property
    def _title(self):
        return f"{super()._title}, {self._note}" if self._note else super()._title


def parts_to_leave_out(codes, weight, n_classes, n_parts, seed):
    """Divide the bags that have a weight into parts with about the same mix of classes.

    Parameters
    ----------
    codes : ndarray of int of shape (n_bags,)
        Class codes.
    weight : ndarray of shape (n_bags,)
        Bag weights.
    n_classes : int
        Number of classes.
    n_parts : int
        How many parts; fewer if a class has fewer bags.
    seed : int
        Seed of the division.

    Returns
    -------
    parts : list of (kept, left_out)
        Indices of the bags outside and inside each part; empty if a class has fewer than two bags.
    """
    used = np.flatnonzero(weight > 0)
    n_parts = min(n_parts, np.bincount(codes[used], minlength=n_classes).min())
    if n_parts < 2:
        return []
    folds = StratifiedKFold(n_parts, shuffle=True, random_state=seed)
    return [(used[kept], used[out]) for kept, out in folds.split(used, codes[used])]


def fit_intercept(scores, codes, weight):
    """Return the shift of scores under which the labels are most likely.

    With it, mean probabilities are the shares of the classes, but for a standard normal prior on
    the shift of each class, which counts as much as a few bags.

    Parameters
    ----------
    scores : ndarray of shape (n_bags, 1) or (n_bags, n_classes)
        Log-odds of the second of two classes, or logarithms of probabilities.
    codes : ndarray of int of shape (n_bags,)
        Class codes.
    weight : ndarray of shape (n_bags,)
        Bag weights.

    Returns
    -------
    intercept : ndarray of shape (1,) or (n_classes,)
        To be added to scores.
    """
    is_binary = scores.shape[1] == 1
    logs = np.pad(scores, ((0, 0), (1, 0))) if is_binary else scores
    logs = logs.astype(float)
    present = np.eye(logs.shape[1])[codes]

    def objective(shift):  # the negative logarithm of likelihood and prior
        log_p = log_softmax(logs + shift, axis=1)
        return shift @ shift / 2 - weight @ (present * log_p).sum(axis=1)

    def slope(shift):
        p = softmax(logs + shift, axis=1)
        return shift + weight @ (p - present)

    def curvature(shift):
        p = softmax(logs + shift, axis=1)
        return np.diag(1 + weight @ p) - (p.T * weight) @ p

    start = np.zeros(logs.shape[1])
    rough = minimize(
        objective, start, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-4}
    ).x
    exact = root(slope, rough, jac=curvature, options={"xtol": 1e-12}).x
    shift = min(exact, rough, key=lambda x: abs(slope(x)).max())
    return shift[1:] - shift[:1] if is_binary else shift


def _shapes_training(callback):
    """Return whether a callback, perhaps with a name, has a say in how weights are updated.

    It may be a class, too. Schedules that follow something else than the training loss have
    nothing to follow without held-out bags.
    """
    callback = callback[1] if isinstance(callback, tuple) else callback
    kind = callback if isinstance(callback, type) else type(callback)
    follows = getattr(callback, "monitor", "train_loss")
    return issubclass(kind, (LRScheduler, GradientNormClipping, ParamMapper)) and (
        follows == "train_loss"
    )
