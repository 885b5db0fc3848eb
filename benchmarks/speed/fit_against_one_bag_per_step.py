"""Time one fit of DPMINNClassifier against the same network trained one bag per step.

    python benchmarks/speed/fit_against_one_bag_per_step.py musk1.npz [--epochs 50]

The obvious loop is written in bare torch: the same encoder, pooling, loss, optimiser and
number of passes over the bags, one bag a step, nothing around it. All variants run in one
process, one thread, in turn; the median of the runs counts. The data is an .npz file with
`instances`, `offsets` and `y`; without a file, synthetic bags of Musk1's shape are drawn.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch

from skmil import Bags, DPMINNClassifier
from skmil.nn import DPMINN, MarginLoss


def load(path):
    if path is None:
        rng = np.random.default_rng(0)
        sizes = np.minimum(1 + rng.geometric(0.24, size=92), 40)
        instances = rng.normal(size=(sizes.sum(), 166))
        return Bags(instances, np.concatenate([[0], sizes.cumsum()])), np.arange(92) % 2
    data = np.load(path)
    return Bags(data["instances"], data["offsets"]), data["y"]


def one_bag_per_step(bags, y, epochs):
    """Train as most published code does: for each bag forward, backward, step."""
    mean, std = bags.instances.mean(axis=0), bags.instances.std(axis=0)
    scaled = (bags.instances - mean) / np.where(std > 0, std, 1)
    tensors = [
        torch.from_numpy(scaled[a:b].astype(np.float32))
        for a, b in zip(bags.offsets, bags.offsets[1:], strict=False)
    ]
    targets = [(torch.tensor([int(label)]), torch.ones(1)) for label in y]
    defaults = DPMINNClassifier()
    network, loss = DPMINN(bags.n_features), MarginLoss()
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=defaults.learning_rate,
        weight_decay=defaults.weight_decay,
        fused=True,
    )
    for _ in range(epochs):
        for i in torch.randperm(len(tensors)).tolist():
            optimizer.zero_grad()
            bag_index = torch.zeros(len(tensors[i]), dtype=torch.int64)
            loss(network(tensors[i], bag_index, 1), targets[i]).backward()
            optimizer.step()


def seconds(function, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help=".npz file; synthetic bags if left out")
    parser.add_argument("--epochs", type=int, default=DPMINNClassifier().max_epochs)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--save", help="JSON file for the times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bags, y = load(options.data)
    variants = {
        "DPMINNClassifier": lambda: DPMINNClassifier(
            max_epochs=options.epochs, random_state=0, device="cpu"
        ).fit(bags, y),
        "bare loop, one bag a step": lambda: one_bag_per_step(bags, y, options.epochs),
        "DPMINNClassifier(batch_size=1)": lambda: DPMINNClassifier(
            max_epochs=options.epochs, batch_size=1, random_state=0, device="cpu"
        ).fit(bags, y),
    }
    variants["DPMINNClassifier"]()  # warm up
    times = {name: [] for name in variants}
    for _ in range(options.runs):
        for name, function in variants.items():
            times[name] += seconds(function, 1)
    print(f"{bags}, {options.epochs} epochs, one thread, median of {options.runs} runs")
    base = statistics.median(times["DPMINNClassifier"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:32s} {median:8.3f} s {median / base:7.1f}x")
    if options.save:
        with open(options.save, "w", encoding="utf-8") as file:
            json.dump(times, file, indent=1)


if __name__ == "__main__":
    main()
