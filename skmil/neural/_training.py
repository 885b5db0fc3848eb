"""Assembly of the skorch net that trains a bag network."""

import copy
import threading
from contextlib import contextmanager, nullcontext
from numbers import Integral

import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch.utils.checkpoint import checkpoint

from skmil.neural._loader import BagLoader, WholeBagLoader
from skmil.neural._progress import EpochBar
from skmil.neural._team import local_device

#: Optimisers by name, with the settings that belong to the name.
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
}


class _Interrupted(BaseException):
    """Ctrl-C, under a name that skorch does not take for a callback's wish to stop."""


class BagNet(NeuralNet):
    """A skorch net whose inputs are packed batches.

    Parameters
    ----------
    *args
        Those of :class:`skorch.NeuralNet`.
    chunk_size : int, default=1024
        Instances embedded at a time, where no gradient is needed or it is computed anew.
    gradient_checkpointing : bool, default=False
        Whether to keep no more of the encoder's layers than the last, and compute the others
        again for the gradient.
    mixed_precision : {"bf16"} or None, default=None
        Precision of the encoder's matrix products in training; None for that of the weights.
    **kwargs
        Those of :class:`skorch.NeuralNet`.
    """

    team = None  # while several processes train the net

    def __init__(
        self, *args, chunk_size=1024, gradient_checkpointing=False, mixed_precision=None, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.chunk_size = chunk_size
        self.gradient_checkpointing = gradient_checkpointing
        self.mixed_precision = mixed_precision

    def infer(self, x, **fit_params):
        """Run the module on a :class:`PackedBatch`."""
        x = x.to(self.device)
        embedded = self._embed(x.instances)
        return self.module_.pool(embedded, x.bag_index, x.n_bags)

    def _embed(self, instances):
        embed = self.module_.embed
        if not torch.is_grad_enabled():
            return torch.cat([embed(part) for part in instances.split(self.chunk_size)])
        with self._precision(instances.device):
            if self.gradient_checkpointing:
                parts = instances.split(self.chunk_size)
                embedded = [checkpoint(embed, part, use_reentrant=False) for part in parts]
                return torch.cat(embedded).to(instances.dtype)
            return embed(instances).to(instances.dtype)

    def _precision(self, device):
        if self.mixed_precision is None:  # devices without autocast train, too
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def train_step_single(self, batch, **fit_params):
        """Compute the gradient of a step, or of this process's part of it."""
        if self.team is None:
            return super().train_step_single(batch, **fit_params)
        x, y = batch
        self._set_training(True)
        parameters = [p for p in self.module_.parameters() if p.requires_grad]
        loss, outputs = x.instances.new_zeros(()), None
        if x.n_bags:
            outputs = self.infer(x, **fit_params)
            loss = x.n_bags / len(x) * self.get_loss(outputs, y, X=x, training=True)
            loss.backward()
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        loss = loss.detach()
        self.team.add_up([*(p.grad for p in parameters), loss])
        return {"loss": loss, "y_pred": outputs}

    def validation_step(self, batch, **fit_params):
        """Compute the loss of held-out bags, by which all processes stop in the same epoch."""
        step = super().validation_step(batch, **fit_params)
        if self.team is not None:
            self.team.follow_first([step["loss"]])
        return step

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
    *("chunk_size", "gradient_checkpointing", "mixed_precision"),
}


def build_net(estimator, network, loss, device):
    """Return an initialised net for `network`, set up by the parameters of `estimator`."""
    net_params = estimator.net_params or {}
    for name in net_params:
        if name == "compile":  # skorch compiles how the network is called, but it is not called
            raise ValueError("net_params cannot set 'compile': networks of bags are not compiled.")
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
        "iterator_valid": WholeBagLoader,
        "train_split": None,
        "callbacks": _callbacks(estimator),
        "callbacks__print_log": None,
        "device": device,
        "verbose": 0,
        **net_params,
    }
    return BagNet(**arguments).initialize()


def train(net, training_set, n_epochs, validation_set=None, title=None, team=None):
    """Train for `n_epochs`, or fewer if a callback stops.

    Shows a bar if there is a title. The processes of a team train the same net together.
    """
    shown = [] if title is None else [("progress", EpochBar(title, n_epochs).initialize())]
    net.callbacks_ += shown
    net.train_split = predefined_split(validation_set) if validation_set is not None else None
    net.team = team
    try:
        net.partial_fit(training_set, epochs=n_epochs)
    except _Interrupted as error:
        raise KeyboardInterrupt from error
    finally:
        # None of this may stay in the net, nor in its pickles.
        net.train_split = None
        del net.team
        net.callbacks_ = [item for item in net.callbacks_ if item not in shown]
    return net


def resolve_device(device, data_parallel=False):
    """Return the device that "auto" stands for; anything else unchanged."""
    if device == "auto":
        if not torch.cuda.is_available():
            return "cpu"
        return local_device() if data_parallel else "cuda"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'device={device!r} cannot be used: {reason}. Take "auto" or "cpu".'
        ) from error
    return device


def resolve_chunk_size(chunk_size, device):
    """Return the number of instances that "auto" stands for; anything else unchanged."""
    if chunk_size != "auto":
        if not (isinstance(chunk_size, Integral) and chunk_size >= 1):
            raise ValueError(
                f'chunk_size must be "auto" or an integer of at least 1, got {chunk_size!r}.'
            )
        return int(chunk_size)
    return 1024 if torch.device(device).type == "cpu" else 16384


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
