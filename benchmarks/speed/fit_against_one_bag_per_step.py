"""Time and judge DPMINNClassifier against the same network trained one bag per step.

    python benchmarks/speed/fit_against_one_bag_per_step.py musk1.npz tiger.npz [--repeats 1]

Ways to train the same network, from the same start, by the same optimiser, with the same number of
passes over the bags, the same scaling and the same dropout:

- the estimator;
- a bare torch loop over the same packed batches, without skorch;
- the obvious loop: one bag a step, the equations written for a single bag, nothing around them, all
  else alike;
- the same at the learning rate of the paper, which is meant for steps of one bag;
- that with denormal numbers flushed to zero: the many steps of one bag shrink the weights of dead
  units to numbers that a processor is slow at;
- that with the functions of `skmil.nn`, which are written for several bags.

All run in one process on one thread, in turn; the median of the runs counts. With `--repeats`, the
estimator and the obvious loops, denormal numbers flushed, are also judged by cross-validation on so
many of the file's published divisions into folds. The data are .npz files with `instances`,
`offsets`, `y` and `folds`.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone

from skmil import Bags, DPMINNClassifier
from skmil.bags import take_rows
from skmil.functional._capsules import SMALLEST
from skmil.neural._data import PackedBags
from skmil.neural._loader import BagLoader, evenly_spread
from skmil.neural._standardize import Standardizer, fit_scaler
from skmil.nn import DPMINN, MarginLoss, scale_to_probability

#: One network of the paper's widths, so that the loops have one to train.
SETTINGS = DPMINNClassifier((256, 128, 64), n_members=1, calibration_cv=None, dropout=0.5)
#: The learning rate of the paper for Musk, for steps of one bag.
PAPER_RATE = 5e-4


class Bare:
    """The same network, trained by a loop in bare torch.

    Parameters
    ----------
    epochs : int
        Passes over the bags.
    seed : int, default=0
        Seed of weights, order of bags and dropped instances.
    learning_rate : float, default=0.002
        The learning rate; the default is the estimator's.
    flush : bool, default=False
        Whether to take numbers that are too small for full speed for zero.
    """

    def __init__(self, epochs, seed=0, learning_rate=SETTINGS.learning_rate, flush=False):
        self.epochs = epochs
        self.seed = seed
        self.learning_rate = learning_rate
        self.flush = flush

    def fit(self, bags, y):
        """Train on bags."""
        torch.set_flush_denormal(self.flush)
        try:
            return self._fit(bags, y)
        finally:
            torch.set_flush_denormal(False)

    def _fit(self, bags, y):
        torch.manual_seed(self.seed)
        self.classes_, codes = np.unique(y, return_inverse=True)
        weights = np.ones(len(bags))
        scaler = fit_scaler(bags, weights, SETTINGS.scale)
        self.standardize = Standardizer(scaler, SETTINGS.dtype)
        data = PackedBags(bags, self.standardize, codes, weights)
        self.network = DPMINN(bags.n_features, n_capsules=2, dropout=SETTINGS.dropout)
        _, batches = evenly_spread(data)
        parts = [(batch.instances, batch.bag_index, batch.n_bags) for batch in batches]
        scale_to_probability(self.network, parts, data.weights)
        optimizer = torch.optim.Adam(
            self.network.parameters(),
            lr=self.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, SETTINGS.learning_rate_decay)
        steps = self.prepare(data)
        for _ in range(self.epochs):
            for loss in steps():
                optimizer.zero_grad()
                loss().backward()
                optimizer.step()
            schedule.step()
        return self

    def predict(self, bags):
        """Return the class of each bag."""
        self.network.eval()
        with torch.inference_mode():
            squared = [
                self.network(
                    torch.from_numpy(self.standardize(bag)), torch.zeros(len(bag)).long(), 1
                )
                for bag in bags
            ]
        return self.classes_[[int(outputs[0].argmax()) for outputs in squared]]


class PackedLoop(Bare):
    """The loop over the packed batches of the estimator."""

    def prepare(self, data):
        """Return what yields, for each step of an epoch, a function that computes its loss."""
        loader, loss = BagLoader(data, SETTINGS.batch_size, shuffle=True), MarginLoss(relative=True)

        def steps():
            for batch, target in loader:
                yield lambda batch=batch, target=target: loss(
                    self.network(batch.instances, batch.bag_index, batch.n_bags), target
                )

        return steps


class ObviousLoop(Bare):
    """One bag a step, with the equations for a single bag."""

    def prepare(self, data):
        """Return what yields, for each step of an epoch, a function that computes its loss."""
        bags = [
            data.gather(*take_rows(data.offsets, np.array([i]))).instances for i in range(len(data))
        ]
        codes = data.codes.tolist()

        def pool(f):
            logits = torch.zeros(len(f))
            for t in range(3):
                pooled = logits.softmax(0) @ f
                squared = pooled @ pooled
                if t < 2:
                    logits = logits + f @ (pooled * (squared.sqrt() / (1 + squared)))
            return squared

        def loss_of(i):
            negative, positive = map(pool, self.network.encoder(bags[i]).split(64, dim=1))
            p = (positive + SMALLEST) / (positive + negative + 2 * SMALLEST)
            return ((0.9 - p).clamp(min=0) if codes[i] else (p - 0.1).clamp(min=0)) ** 2

        def steps():
            for i in torch.randperm(len(bags)).tolist():
                yield lambda i=i: loss_of(i)

        return steps


class PackedFunctions(Bare):
    """One bag a step, with the functions for several bags."""

    def prepare(self, data):
        """Return what yields, for each step of an epoch, a function that computes its loss."""
        loader, loss = BagLoader(data, 1, shuffle=True), MarginLoss(relative=True)

        def steps():
            for batch, target in loader:
                yield lambda batch=batch, target=target: loss(
                    self.network(batch.instances, batch.bag_index, 1), target
                )

        return steps


def load(path):
    data = np.load(path)
    return Bags(data["instances"], data["offsets"]), data["y"], data["folds"]


def accuracy(build, bags, y, folds):
    """Return the accuracy of each of several divisions into folds."""
    found = []
    for repeat, fold_of_bag in enumerate(folds):
        right = 0
        for fold in np.unique(fold_of_bag):
            train, test = np.flatnonzero(fold_of_bag != fold), np.flatnonzero(fold_of_bag == fold)
            model = build(seed=100 * repeat + int(fold)).fit(bags[train], y[train])
            right += (model.predict(bags[test]) == y[test]).sum()
        found.append(right / len(y))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help=".npz files")
    parser.add_argument("--epochs", type=int, default=DPMINNClassifier().max_epochs)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=0, help="divisions into folds to judge by")
    options = parser.parse_args()
    torch.set_num_threads(1)
    epochs = options.epochs

    def estimator(seed=0):
        return clone(SETTINGS).set_params(max_epochs=epochs, random_state=seed, device="cpu")

    def loop(kind, **settings):
        return lambda seed=0: kind(epochs, seed, **settings)

    flushed = {"learning_rate": PAPER_RATE, "flush": True}
    variants = {
        "DPMINNClassifier": estimator,
        "bare loop, same batches": loop(PackedLoop),
        "obvious loop, one bag a step": loop(ObviousLoop),
        "the same, the paper's rate": loop(ObviousLoop, learning_rate=PAPER_RATE),
        "that, tiny numbers flushed": loop(ObviousLoop, **flushed),
        "that with packed functions": loop(PackedFunctions, **flushed),
    }
    judged = {
        "DPMINNClassifier": estimator,
        "obvious loop, one bag a step": loop(ObviousLoop, flush=True),
        "the same, the paper's rate": loop(ObviousLoop, **flushed),
    }
    for path in options.data:
        bags, y, folds = load(path)
        print(f"{Path(path).stem}: {bags}, {epochs} epochs, median of {options.runs} runs")
        times = {name: [] for name in variants}
        estimator().fit(bags, y)  # warm up
        for _ in range(options.runs):
            for name, build in variants.items():
                start = time.perf_counter()
                build().fit(bags, y)
                times[name].append(time.perf_counter() - start)
        for name, values in times.items() if options.runs else ():
            median, base = map(statistics.median, (values, times["DPMINNClassifier"]))
            print(f"{name:32s} {median:8.3f} s {median / base:7.2f}x", flush=True)
        if options.repeats:
            print(f"accuracy, {options.repeats} x 10-fold, the file's folds")
            for name, build in judged.items():
                found = accuracy(build, bags, y, folds[: options.repeats])
                each = " ".join(f"{value:.3f}" for value in found)
                print(f"{name:32s} {np.mean(found):8.3f}   ({each})", flush=True)


if __name__ == "__main__":
    main()
