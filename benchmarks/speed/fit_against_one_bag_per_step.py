"""Time and judge DPMINNClassifier against the same network trained one bag per step.

    python benchmarks/speed/fit_against_one_bag_per_step.py musk1.npz tiger.npz [--repeats 1]

Five ways to train the same network, from the same start, by the same optimiser, with the same
number of passes over the bags:

- the estimator;
- a bare torch loop over the same packed batches, without skorch;
- the obvious loop: one bag a step, the equations written for a single bag, nothing around them;
- the same with denormal numbers flushed to zero. The many steps of one bag shrink the weights of
  dead units to numbers that a processor is slow at;
- that with the functions of `skmil.nn`, which are written for several bags.

All run in one process on one thread, in turn; the median of the runs counts. With `--repeats`,
the estimator and the obvious loop are also judged by cross-validation on so many of the file's
published divisions into folds. The data are .npz files with `instances`, `offsets`, `y` and
`folds`.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from skmil import Bags, DPMINNClassifier
from skmil.neural._data import PackedBags
from skmil.neural._loader import BagLoader
from skmil.neural._standardize import Standardizer, fit_scaler
from skmil.nn import DPMINN, MarginLoss, scale_to_probability


class Bare:
    """The same network, trained by a loop in bare torch."""

    def __init__(self, epochs, seed=0):
        self.epochs = epochs
        self.seed = seed

    def fit(self, bags, y):
        """Train on bags."""
        torch.manual_seed(self.seed)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.standardize = Standardizer(fit_scaler(bags, np.ones(len(bags))), "float32")
        data = PackedBags(bags, self.standardize, codes, np.ones(len(bags)))
        settings = DPMINNClassifier()
        self.network = DPMINN(bags.n_features)
        everything = data.batch(np.arange(len(bags)))
        scale_to_probability(
            self.network,
            [(everything.instances, everything.bag_index, len(bags))],
            data.weights,
        )
        optimizer = torch.optim.Adam(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, settings.learning_rate_decay)
        steps = self.prepare(data, settings.batch_size)
        for _ in range(self.epochs):
            for loss in steps():
                optimizer.zero_grad()
                loss().backward()
                optimizer.step()
            schedule.step()
        return self

    def predict(self, bags):
        """Return the class of each bag."""
        with torch.inference_mode():
            squared = [
                self.network(
                    torch.from_numpy(self.standardize(bag)), torch.zeros(len(bag)).long(), 1
                )
                for bag in bags
            ]
        return self.classes_[[int(outputs[0].item() > 1) for outputs in squared]]


class PackedLoop(Bare):
    """The loop over the packed batches of the estimator."""

    def prepare(self, data, batch_size):
        """Return what yields, for each step of an epoch, a function that computes its loss."""
        loader, loss = BagLoader(data, batch_size, shuffle=True), MarginLoss()

        def steps():
            for batch, target in loader:
                yield lambda batch=batch, target=target: loss(
                    self.network(batch.instances, batch.bag_index, batch.n_bags), target
                )

        return steps


class ObviousLoop(Bare):
    """One bag a step, with the equations for a single bag."""

    def prepare(self, data, batch_size):
        """Return what yields, for each step of an epoch, a function that computes its loss."""
        bags = [data.batch(np.array([i])).instances for i in range(len(data))]
        codes = data.codes.tolist()

        def loss_of(i):
            f = self.network.encoder(bags[i])
            logits = torch.zeros(len(f))
            for t in range(3):
                pooled = logits.softmax(0) @ f
                squared = pooled @ pooled
                if t < 2:
                    logits = logits + f @ (pooled * (squared.sqrt() / (1 + squared)))
            p = squared / (1 + squared)
            return ((0.9 - p).clamp(min=0) if codes[i] else (p - 0.1).clamp(min=0)) ** 2

        def steps():
            for i in torch.randperm(len(bags)).tolist():
                yield lambda i=i: loss_of(i)

        return steps


class FlushedLoop(ObviousLoop):
    """The obvious loop, with numbers too small for full speed taken for zero.

    Its many steps shrink the weights of dead units to such numbers.
    """

    def fit(self, bags, y):
        """Train on bags."""
        torch.set_flush_denormal(True)
        try:
            return super().fit(bags, y)
        finally:
            torch.set_flush_denormal(False)


class PackedFunctions(FlushedLoop):
    """One bag a step, tiny numbers flushed, with the functions for several bags."""

    def prepare(self, data, batch_size):
        """Return what yields, for each step of an epoch, a function that computes its loss."""
        chosen = [np.array([i]) for i in range(len(data))]
        bags = [(data.batch(i), data.targets(i)) for i in chosen]
        loss = MarginLoss()

        def steps():
            for i in torch.randperm(len(bags)).tolist():
                batch, target = bags[i]
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
        return DPMINNClassifier(max_epochs=epochs, random_state=seed, device="cpu")

    variants = {
        "DPMINNClassifier": estimator,
        "bare loop, same batches": lambda seed=0: PackedLoop(epochs, seed),
        "obvious loop, one bag a step": lambda seed=0: ObviousLoop(epochs, seed),
        "the same, tiny numbers flushed": lambda seed=0: FlushedLoop(epochs, seed),
        "that with packed functions": lambda seed=0: PackedFunctions(epochs, seed),
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
        base = statistics.median(times["DPMINNClassifier"])
        for name, values in times.items():
            median = statistics.median(values)
            print(f"{name:32s} {median:8.3f} s {median / base:7.2f}x", flush=True)
        if options.repeats:
            print(f"accuracy, {options.repeats} x 10-fold, the file's folds")
            for name in ("DPMINNClassifier", "obvious loop, one bag a step"):
                found = accuracy(variants[name], bags, y, folds[: options.repeats])
                each = " ".join(f"{value:.3f}" for value in found)
                print(f"{name:32s} {np.mean(found):8.3f}   ({each})", flush=True)


if __name__ == "__main__":
    main()
