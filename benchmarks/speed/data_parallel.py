"""Train one network by one process and by two that share every step: losses and time.

    python benchmarks/speed/data_parallel.py [--runs 3] [--epochs 5]

First the loss curves side by side, of small bags in float64. Then the time of an epoch on many
instances with many features. Two processes stay alive and take turns: the first trains alone
while the second waits, then both train together. All have one thread; they talk by gloo. The
median over the epochs of all runs counts. Where other work keeps the cores busy, the time of the
processor tells more than that of the clock.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import distributed, multiprocessing

from skmil import AttentionMILClassifier, Bags, DPMINNClassifier
from skmil.datasets import load_digit_bags


def draw_bags(n_bags, n_instances, n_features):
    """Return bags of equal mean size whose labels show in a shift of all features."""
    rng = np.random.default_rng(0)
    cuts = np.sort(rng.choice(np.arange(1, n_instances), n_bags - 1, replace=False))
    offsets = np.concatenate([[0], cuts, [n_instances]])
    y = np.arange(n_bags) % 2
    instances = rng.standard_normal((n_instances, n_features), dtype=np.float32)
    instances += 0.1 * np.repeat(y, np.diff(offsets))[:, None].astype(np.float32)
    return Bags(instances, offsets), y


def compare_losses():
    """Print the loss of each epoch, in the first process."""
    X, y = load_digit_bags(n_bags=201, random_state=0, return_X_y=True)
    settings = {"max_epochs": 10, "dropout": 0.0, "dtype": "float64", "device": "cpu"}
    settings |= {"hidden_layer_sizes": (256, 128, 64), "n_members": 1, "calibration_cv": None}
    classifier = DPMINNClassifier(random_state=0, **settings)
    one = classifier.fit(X, y).loss_curve_
    two = classifier.set_params(data_parallel=True).fit(X, y).loss_curve_
    if distributed.get_rank() == 0:
        print(f"DPMINNClassifier, float64, {X}, steps of {classifier.batch_size} bags")
        print("epoch   loss, one process  loss, two processes")
        for epoch, losses in enumerate(zip(one, two, strict=True), start=1):
            print(f"{epoch:5d}{losses[0]:20.15f}{losses[1]:21.15f}")
        difference = np.max(np.abs(np.subtract(two, one)) / one)
        print(f"largest relative difference: {difference:.1e}")


class Clock(Callback):
    """Keep the wall time and the time of the processor that each epoch took."""

    def initialize(self):
        """Forget other trainings."""
        self.seconds = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        """Start."""
        self.start = time.perf_counter(), time.process_time()

    def on_epoch_end(self, net, **kwargs):
        """Stop."""
        stop = time.perf_counter(), time.process_time()
        self.seconds.append(np.subtract(stop, self.start))


def epoch_seconds(classifier, X, y):
    """Return the times of each epoch, without the first, which warms up."""
    return dict(classifier.fit(X, y).net_.callbacks_)["Clock"].seconds[1:]


def exchange_seconds(n_weights, repeats=50):
    """Return how long adding up the gradients of a step takes."""
    gradients, times = torch.zeros(n_weights), []
    for _ in range(repeats):
        distributed.barrier()
        start = time.perf_counter()
        distributed.all_reduce(gradients)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare_times(options):
    """Print the time of an epoch, in the first process."""
    X, y = draw_bags(options.bags, options.instances, options.features)
    alone = AttentionMILClassifier(
        max_epochs=options.epochs + 1, random_state=0, device="cpu", callbacks=[Clock()]
    )
    together = clone(alone).set_params(data_parallel=True)
    times = {"one process": [], "two processes": []}
    for _ in range(options.runs):
        if distributed.get_rank() == 0:
            times["one process"] += epoch_seconds(alone, X, y)
        distributed.barrier()
        times["two processes"] += epoch_seconds(together, X, y)
    n_weights = sum(p.numel() for p in together.net_.module_.parameters())
    n_steps = -(-len(X) // together.batch_size)
    exchange = n_steps * exchange_seconds(n_weights)
    if distributed.get_rank() == 0:
        print(f"\nAttentionMILClassifier, {X}, steps of {together.batch_size} bags")
        print(f"median of {options.epochs * options.runs} epochs, one thread in each process")
        base = np.median(times["one process"], axis=0)
        for name, values in times.items():
            wall, processor = np.median(values, axis=0)
            print(
                f"{name:14s}{wall:7.3f} s{wall / base[0]:6.2f}x;"
                f"{processor:7.3f} s{processor / base[1]:6.2f}x of the processor in the first one"
            )
        print(f"adding up {n_weights} gradients in {n_steps} steps: {exchange / base[0]:.3f}x")


def work(rank, folder, options):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2
    )
    compare_losses()
    compare_times(options)
    distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--bags", type=int, default=64)
    parser.add_argument("--instances", type=int, default=20_000, help="in all bags together")
    parser.add_argument("--features", type=int, default=1024)
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, (Path(folder), parser.parse_args()), nprocs=2)


if __name__ == "__main__":
    main()
