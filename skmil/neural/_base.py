"""What all estimators trained through skorch share: from bags to a trained net and back."""

import copy
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmil._sklearn import Interval, StrOptions, fit_context
from skmil.base import (
    BagClassifierMixin,
    apply_class_weight,
    check_bag_weight,
    check_labels,
    encode_labels,
    validate_bags,
)
from skmil.neural._data import PackedBags
from skmil.neural._scoring import run_network
from skmil.neural._standardize import Standardizer, fit_scaler
from skmil.neural._team import Team
from skmil.neural._training import (
    OPTIMIZERS,
    build_net,
    resolve_chunk_size,
    resolve_device,
    seeded,
    train,
)

#: Parameters that another call of `fit` or `partial_fit` may have otherwise; what the net is
#: built from may not change while it is trained.
_MAY_CHANGE = {
    *("max_epochs", "class_weight", "validation_fraction", "verbose", "warm_start"),
    *("random_state", "device", "callbacks", "net_params"),
    *("max_instances", "instance_dropout", "chunk_size", "gradient_checkpointing"),
    *("mixed_precision", "data_parallel", "calibration_cv"),
}


class BaseNeuralBagClassifier(BagClassifierMixin, BaseEstimator, ABC):
    """Base of bag classifiers that are torch networks.

    A subclass declares its parameters and says which network and loss they mean. The
    network maps (instances, bag_index, n_bags) to a tuple that begins with the scores of
    the bags, the loss maps that tuple and (class codes, bag weights) to a scalar.
    """

    _reads_stored_bags = True
    _parameter_constraints: ClassVar[dict] = {
        "scale": ["boolean", StrOptions({"auto", "standard", "rank"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_decay": [Interval(Real, 0, 1, closed="right")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "max_instances": [Interval(Integral, 1, None, closed="left"), None],
        "instance_dropout": [Interval(Real, 0, 1, closed="left")],
        "chunk_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "gradient_checkpointing": ["boolean"],
        "mixed_precision": [StrOptions({"bf16"}), None],
        "data_parallel": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str, torch.device],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    @abstractmethod
    def _build_network(self, n_features, n_classes):
        """Return the untrained network."""

    @abstractmethod
    def _build_loss(self, n_classes):
        """Return the loss."""

    def _prepare_network(self, network, training_set):
        """Adapt the fresh network to the training bags; nothing by default."""

    def _chosen_weight_decay(self):
        """Return the strength of the L2 penalty."""
        return self.weight_decay

    def _scores_to_decision(self, scores):
        """Return decision values from the network's scores: logits as they are."""
        return scores

    def _calibrate(self, bags, codes, weight, team):
        """Adapt decision values after the training; nothing by default."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train on bags.

        Parameters
        ----------
        X : bags
            Training bags, anything :func:`skmil.check_bags` accepts.
        y : array-like of shape (n_bags,)
            Class label of each bag: strings, integers or booleans.
        sample_weight : array-like of shape (n_bags,), default=None
            Weight of each bag in the loss and in the scaling of the features.

        Returns
        -------
        self : object
            The fitted classifier.
        """
        resume = self.warm_start and hasattr(self, "net_")
        bags = validate_bags(self, X, reset=not resume)
        y = check_labels(self, y, bags)
        weight = check_bag_weight(sample_weight, bags.n_bags)
        if resume:
            codes = self._encode_known(y)
        else:
            self.classes_, codes = encode_labels(y)
            self._random_state = check_random_state(self.random_state)
        weight = apply_class_weight(self.class_weight, self.classes_, codes, weight)
        team = self._form_team(bags, codes, weight, resume)
        kept, held_out = self._split(codes, team) if self.early_stopping else (slice(None), None)
        _refuse_no_weight(weight[kept])
        # Weights average to 1, so that they change the mix of bags, not the size of steps.
        weight = weight / weight[kept].mean()
        self._train(bags, codes, weight, kept, held_out, self.max_epochs, resume, team)
        self._calibrate(bags, codes, weight, team)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one more epoch.

        Parameters
        ----------
        X : bags
            Training bags. The features are scaled by the statistics of the first call.
        y : array-like of shape (n_bags,)
            Class label of each bag.
        classes : array-like of shape (n_classes,), default=None
            All class labels; needed in the first call.
        sample_weight : array-like of shape (n_bags,), default=None
            Weight of each bag. Unlike in :meth:`fit`, where only the ratio of the weights
            counts, heavier calls take larger steps.

        Returns
        -------
        self : object
            The classifier.
        """
        if self.early_stopping:
            raise ValueError("partial_fit cannot stop early: set early_stopping=False.")
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all bags at once, so partial_fit cannot use it. '
                "Pass the weights as a dict."
            )
        resume = hasattr(self, "net_")
        bags = validate_bags(self, X, reset=not resume)
        y = check_labels(self, y, bags)
        weight = check_bag_weight(sample_weight, bags.n_bags)
        if not resume:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_, _ = encode_labels(classes)
            self._random_state = check_random_state(self.random_state)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={np.unique(classes).tolist()} are not those of the first call to "
                f"partial_fit, {self.classes_.tolist()}."
            )
        codes = self._encode_known(y)
        weight = apply_class_weight(self.class_weight, self.classes_, codes, weight)
        _refuse_no_weight(weight)
        team = self._form_team(bags, codes, weight, resume)
        self._train(bags, codes, weight, slice(None), None, 1, resume, team)
        return self

    def decision_function(self, X):
        """Score bags without saturation.

        Parameters
        ----------
        X : bags
            Bags to score.

        Returns
        -------
        scores : ndarray of shape (n_bags,) or (n_bags, n_classes)
            For two classes the log-odds of ``classes_[1]``; else a score for each class,
            whose softmax is :meth:`predict_proba`.
        """
        scores = self._decide(self._checked(X))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X):
        """Predict class probabilities of bags.

        Parameters
        ----------
        X : bags
            Bags to classify.

        Returns
        -------
        probabilities : ndarray of shape (n_bags, n_classes)
            Probabilities, the columns ordered as `classes_`.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        return softmax(scores, axis=1)

    def _decide(self, bags):
        """Return decision values of shape (n_bags, 1) or (n_bags, n_classes)."""
        return self._scores_to_decision(self._run(bags)[0])

    def _checked(self, X):
        """Return the bags to predict, after checking that there is a trained net."""
        check_is_fitted(self, "net_")
        return validate_bags(self, X)

    def _encode_known(self, y):
        """Return the positions of labels among the classes of an earlier fit."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y contains {unknown.tolist()[0]!r}, which is not among the classes seen before: "
                f"{self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y)

    def _form_team(self, bags, codes, weight, resume):
        """Return the processes that train together, all with the same arguments; or None."""
        if not self.data_parallel:
            return None
        team = Team(torch.device(resolve_device(self.device, data_parallel=True)))
        # What decides on the steps and on what is drawn must be the same in all processes.
        settings = {name: str(value) for name, value in self.get_params(deep=False).items()}
        for name in ("random_state", "device", "verbose", "callbacks", "net_params"):
            del settings[name]
        tensors = self.net_.module_.parameters() if resume else []
        before = [tensor.detach().cpu().numpy() for tensor in tensors]
        described = np.frombuffer(str((settings, resume)).encode(), np.uint8)
        team.refuse_different(bags, codes, weight, described, *before)
        return team

    def _split(self, codes, team):
        """Return the indices of the bags to train on and of those held out."""
        try:
            parts = train_test_split(
                np.arange(len(codes)),
                test_size=self.validation_fraction,
                stratify=codes,
                random_state=self._random_state,
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping cannot hold out validation_fraction={self.validation_fraction} "
                f"of {len(codes)} bags with each class on both sides. Change the fraction, bring "
                "more bags of the rarest class, or set early_stopping=False."
            ) from error
        return parts if team is None else [team.agree_on(part) for part in parts]

    def _refuse_changes(self):
        """Refuse to go on with a net that was built from other parameters."""
        for name, value in self._parameters_of_net().items():
            before = self._built_from[name]
            if not np.array_equal(np.atleast_1d(value), np.atleast_1d(before)):
                raise ValueError(
                    f"The net was built with {name}={before!r} and cannot go on with "
                    f"{name}={value!r}. Set it back, or fit anew with warm_start=False."
                )

    def _parameters_of_net(self):
        """Return what must not change while one net is trained."""
        parameters = self.get_params(deep=False)
        return {name: parameters[name] for name in parameters if name not in _MAY_CHANGE}

    def _train(self, bags, codes, weight, kept, held_out, n_epochs, resume, team):
        """Train a new net, or go on with the old one, on the bags `kept`."""
        if self.mixed_precision is not None and self.dtype != "float32":
            raise ValueError(
                f'mixed_precision={self.mixed_precision!r} needs dtype="float32", got '
                f"dtype={self.dtype!r}."
            )
        training_bags = bags[kept]
        if resume:
            self._refuse_changes()
        else:
            self.scaler_ = fit_scaler(training_bags, weight[kept], self.scale)

        if team is not None:
            device = team.device
        else:
            device = torch.device(self.net_.device if resume else resolve_device(self.device))
        standardize = Standardizer(self.scaler_, self.dtype)

        def pack(chosen_bags, chosen, **options):
            arrays = codes[chosen], weight[chosen]
            return PackedBags(chosen_bags, standardize, *arrays, device, **options)

        training_set = pack(
            training_bags,
            kept,
            max_instances=self.max_instances,
            instance_dropout=self.instance_dropout,
            team=team,
        )
        del training_bags  # where it is a copy, it has served
        validation_set = None if held_out is None else pack(bags[held_out], held_out)
        seed = self._draw_seed(team)
        is_shown = self.verbose and (team is None or team.rank == 0)
        title = self._title if is_shown else None
        with seeded(seed, device):
            if not resume:
                self._set_net(self._start_network(training_set), device)
            self._run_epochs(training_set, n_epochs, validation_set, title, team)
        self._record_training()

    def _draw_seed(self, team):
        """Return a seed, the same in all processes that train together."""
        seed = int(self._random_state.randint(np.iinfo(np.int32).max))
        return seed if team is None else int(team.agree_on(seed))

    @property
    def _title(self):
        """What stands before the progress bar."""
        return type(self).__name__

    def _start_network(self, training_set):
        """Return the fresh network, adapted to the training bags."""
        network = self._build_network(training_set.n_features, len(self.classes_))
        network = network.to(training_set.device, getattr(torch, self.dtype))
        self._prepare_network(network, training_set)
        return network

    def _set_net(self, network, device):
        """Build the net around a network."""
        self._built_from = self._parameters_of_net()
        self.net_ = build_net(self, network, self._build_loss(len(self.classes_)), device)

    def _run_epochs(self, training_set, n_epochs, validation_set, title, team):
        """Train the net."""
        self.net_.chunk_size = resolve_chunk_size(self.chunk_size, training_set.device)
        self.net_.gradient_checkpointing = self.gradient_checkpointing
        self.net_.mixed_precision = self.mixed_precision
        if team is not None:
            team.begin(self.net_.module_)
        train(self.net_, training_set, n_epochs, validation_set, title, team)

    def _record_training(self):
        """Refuse weights that are not finite, and set the attributes that tell of the epochs."""
        if not self._is_finite():
            raise ValueError(
                "Training diverged: the network has weights that are not finite. Lower "
                f"learning_rate, which is {self.learning_rate}, or scale the features."
            )
        history = self.net_.history
        self.n_iter_ = len(history)
        self.loss_curve_ = history[:, "train_loss"]
        self.validation_loss_curve_ = history[:, "valid_loss"] if self.early_stopping else None

    def _is_finite(self):
        """Return whether all weights of the network are finite."""
        return all(torch.isfinite(p).all() for p in self.net_.module_.parameters())

    def _run(self, bags, exact=False):
        """Return the network's outputs for bags, each concatenated over the bags.

        In float32, the other rows of a matrix product have an influence on rounding; `exact`
        computes in float64, and rounds the outputs.
        """
        network = self.net_.module_.eval()
        own = next(network.parameters()).dtype
        if exact and torch.device(self.net_.device).type != "mps":  # which has no float64
            network = copy.deepcopy(network).double()
        dtype = str(next(network.parameters()).dtype).removeprefix("torch.")
        standardize = Standardizer(self.scaler_, dtype)
        chunk_size = resolve_chunk_size(self.chunk_size, self.net_.device)
        outputs = run_network(network, bags, standardize, chunk_size)
        arrays = [output.to(own).numpy() for output in outputs]
        finite = np.isfinite(arrays[0]).all(axis=tuple(range(1, arrays[0].ndim)))
        if not finite.all():
            raise ValueError(
                f"Bag {np.flatnonzero(~finite)[0]} has values too large for "
                f"{str(own).removeprefix('torch.')}: its score is not finite. Check the bag, or "
                'use dtype="float64".'
            )
        return arrays


def count_logits(n_classes):
    """Return how many logits tell so many classes apart: one is enough for two classes."""
    return 1 if n_classes == 2 else n_classes


def check_widths(hidden_layer_sizes):
    """Return the widths of an encoder's layers as a list of int; one number is one layer."""
    sizes = np.atleast_1d(np.asarray(hidden_layer_sizes, dtype=object))
    is_width = [isinstance(size, Integral) and size >= 1 for size in sizes]
    if sizes.ndim != 1 or not is_width or not all(is_width):
        raise ValueError(
            "hidden_layer_sizes needs at least one width, each an integer of at least 1, "
            f"got {hidden_layer_sizes!r}."
        )
    return [int(size) for size in sizes]


def _refuse_no_weight(weight):
    if not weight.any():
        raise ValueError(
            "No training bag has a weight above zero, so there is nothing to fit: "
            "sample_weight or class_weight zero all of them."
        )
