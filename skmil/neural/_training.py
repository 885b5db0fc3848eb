"""Assembly of the skorch net that trains a bag network."""

import copy
import threading
from contextlib import contextmanager

import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, LRScheduler
from skorch.helper import predefined_split

from skmil.neural._data import BagLoader
from skmil.neural._progress import EpochBar

#: Optimisers by name, with the settings that belong to the name.
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
}


class _Interrupted(BaseException):
    """Ctrl-C, under a name that skorch does not take for a callback's wish to stop."""


class BagNet(NeuralNet):
    """A skorch net whose inputs are packed batches."""

    def infer(self, x, **fit_params):
        """Run the module on a :class:`PackedBatch`."""
        x = x.to(self.device)
        return self.module_(x.instances, x.bag_index, x.n_bags, **fit_params)

    def run_single_epoch(self, *args, **kwargs):
        """Train or validate for an epoch; let the user interrupt it."""
        try:
            super().run_single_epoch(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise _Interrupted from error


#: Arguments of the net that are parameters of the estimator, or how it feeds and reads the net.
_RESERVED = {
    *("module", "criterion", "optimizer", "lr", "batch_size", "max_epochs", "device", "verbose"),
    *("callbacks", "train_split", "warm_start", "dataset", "iterator_train", "iterator_valid"),
}


def build_net(estimator, network, loss):
    """Return an initialised net for `network`, set up by the parameters of `estimator`."""
    net_params = estimator.net_params or {}
    for name in net_params:
        if name in _RESERVED or name.split("__")[0] in _RESERVED - {"optimizer", "callbacks"}:
            raise ValueError(
                f"net_params cannot set {name!r}: {type(estimator).__name__} sets it by "
                "parameters of its own."
            )
    optimizer, settings = OPTIMIZERS.get(estimator.optimizer, (estimator.optimizer, {}))
    arguments = {
        "module": network,
        "criterion": loss,
        "optimizer": optimizer,
        **{f"optimizer__{name}": value for name, value in settings.items()},
        "optimizer__weight_decay": estimator._chosen_weight_decay(),
        "lr": estimator.learning_rate,
        "batch_size": estimator.batch_size,
        "iterator_train": BagLoader,
        "iterator_train__shuffle": True,
        "iterator_valid": BagLoader,
        "train_split": None,
        "callbacks": _callbacks(estimator),
        "callbacks__print_log": None,
        "device": resolve_device(estimator.device),
        "verbose": 0,
        **net_params,
    }
    return BagNet(**arguments).initialize()


def train(net, training_set, n_epochs, validation_set=None, title=None):
    """Train for `n_epochs`, or fewer if a callback stops; show a bar if there is a title."""
    shown = [] if title is None else [("progress", EpochBar(title, n_epochs).initialize())]
    net.callbacks_ += shown
    net.train_split = predefined_split(validation_set) if validation_set is not None else None
    try:
        net.partial_fit(training_set, epochs=n_epochs)
    except _Interrupted as error:
        raise KeyboardInterrupt from error
    finally:
        net.train_split = None  # else the net would hold the validation bags, also in pickles
        net.callbacks_ = [item for item in net.callbacks_ if item not in shown]
    return net


def resolve_device(device):
    """Return the device that "auto" stands for; anything else unchanged."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'device={device!r} cannot be used: {reason}. Take "auto" or "cpu".'
        ) from error
    return device


# torch draws dropout from one generator for the whole process, so threads take turns.
_generator_lock = threading.RLock()


@contextmanager
def seeded(seed, device):
    """Seed torch inside the block; leave its generators as they were."""
    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    with _generator_lock, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _callbacks(estimator):
    callbacks = []
    if estimator.learning_rate_decay != 1:
        schedule = LRScheduler("ExponentialLR", gamma=estimator.learning_rate_decay)
        callbacks.append(("learning_rate_decay", schedule))
    if estimator.early_stopping:
        stopping = EarlyStopping(
            patience=estimator.n_iter_no_change,
            threshold=estimator.tol,
            threshold_mode="abs",
            load_best=True,
        )
        callbacks.append(("early_stopping", stopping))
    # skorch calls back into the very objects; the user's are parameters and stay as they are.
    return callbacks + copy.deepcopy(list(estimator.callbacks or []))
