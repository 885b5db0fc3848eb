"""Compare training the networks of a search as one stacked model with one after the other.

    python benchmarks/speed/stacked_search.py musk1.npz [--epochs 10] [--runs 3]

Two searches with the parameters of DPMINNClassifier: the 10 folds of one division, and 12
candidates (four `T`, three margins) in 5 folds. The networks of a search are trained for a few
epochs

- by the estimator, everything counted;
- by a bare loop over the estimator's packed batches, one network after the other;
- by the same loop with the gradient written out, without autograd and torch's optimiser around
  the kernel of fused Adam;
- as stacks, by the same means. Weights have the shape (K, in, out), and each step is taken for K
  networks at once. Dynamic pooling is made of batched products with masks, in which the networks
  of a smaller `T` stop early. One fused Adam updates all weights.

In stacks "of own batches" each network has bags of its own in a step. Only the embeddings are
padded to the most instances of a network in the step; the matrix products of the encoders are
called for one network after the other, as padding costs more than the calls. In stacks of
"candidates of a fold" all networks have the same bags in the same order, so that there is no
padding and all products are batched. Only what stacks win against the loop with the gradient
written out is due to stacking.

Standardising the bags and preparing the fresh networks, which is needed in any case, is timed by
itself and counted only for the estimator. Times are of the processor, with one thread, per network
and epoch; the variants run in turn; the median of the runs counts. Before, all but the estimator
are trained for a few epochs in float64, and their weights compared with those of the bare loop.
The data is an .npz file with `instances`, `offsets`, `y` and `folds`.
"""

import argparse
import copy
import statistics
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _one_by_one import Prepared, Task, bare_loop, estimator, written_out_loop
from _stacks import OwnBatches, SharedBatches, in_stacks

from skmil import Bags

CANDIDATES = [(T, margin) for T in (1, 2, 3, 4) for margin in (0.7, 0.8, 0.9)]
ESTIMATOR, BARE = "DPMINNClassifier", "bare loop, one after the other"
WRITTEN_OUT = "the same, gradient written out"
CHECKED_EPOCHS = 3
WANTED = 2.0


def searches(bags, y, folds):
    """Yield the name, the tasks, fold after fold, and the ways to stack them."""

    def tasks(folds, candidates):
        training = [(int(f), folds != f) for f in np.unique(folds)]
        return [Task(bags[kept], y[kept], *c) for _, kept in training for c in candidates]

    def stacks(batches_of, size):
        return partial(in_stacks, batches_of, size)

    own = {f"stacks of {n}, own batches": stacks(OwnBatches, n) for n in (5, 10)}
    yield "10 folds", tasks(folds, [()]), own
    variants = {f"stacks of {n}, own batches": stacks(OwnBatches, n) for n in (15, 60)}
    variants["stacks of 12 candidates of a fold"] = stacks(SharedBatches, 12)
    yield "12 candidates x 5 folds", tasks(folds % 5, CANDIDATES), variants


def differences(tasks, stacks):
    """Return the largest difference of weights from those of the bare loop, in float64."""
    fresh = [Prepared(task, "float64") for task in tasks]

    def trained(train):
        prepared = copy.deepcopy(fresh)
        train(prepared, CHECKED_EPOCHS)
        return [p.detach() for one in prepared for p in one.network.parameters()]

    wanted = trained(bare_loop)
    return {
        name: max(float((p - q).abs().max()) for p, q in zip(wanted, trained(train), strict=True))
        for name, train in stacks.items()
    }


def timed(run, *arguments):
    start = time.process_time()
    result = run(*arguments)
    return time.process_time() - start, result


def compare(tasks, stacks, epochs, runs):
    """Print the table of a search and its verdict."""
    found = differences(tasks, {WRITTEN_OUT: written_out_loop, **stacks})
    spent, fresh = timed(lambda: [Prepared(task) for task in tasks])
    variants = {ESTIMATOR: estimator, BARE: bare_loop, WRITTEN_OUT: written_out_loop, **stacks}
    times = {name: [] for name in variants}
    for _ in range(runs):
        for name, train in variants.items():
            times[name].append(timed(train, copy.deepcopy(fresh), epochs)[0])
    each = {name: statistics.median(t) / len(tasks) / epochs for name, t in times.items()}
    for name, seconds in each.items():
        same = f", weights differ by {found[name]:.0e}" if name in found else ""
        ratio = each[BARE] / seconds
        print(f"{name:36s} {1e3 * seconds:7.2f} ms {ratio:6.2f}x as fast{same}", flush=True)
    best = min(stacks, key=each.get)
    gains = [each[name] / each[best] for name in (ESTIMATOR, BARE, WRITTEN_OUT)]
    verdict = "worth" if gains[-1] >= WANTED else "not worth"
    print(
        f"stacked ({best}) is {gains[0]:.1f}x as fast as the estimator, {gains[1]:.1f}x as the "
        f"bare loop, {gains[2]:.1f}x as the loop with the gradient written out\n"
        f"{verdict} an option, for which {WANTED:g}x as fast as the latter is wanted\n"
        f"preparing a network takes as long as {spent / len(tasks) / each[best]:.1f} epochs "
        "in that stack"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help=".npz file")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = np.load(options.data)
    bags = Bags(data["instances"], data["offsets"])
    print(
        f"{Path(options.data).stem}: {bags}, {options.epochs} epochs, one thread, "
        f"median of {options.runs} runs, per network and epoch"
    )
    for name, tasks, stacks in searches(bags, data["y"], data["folds"][0]):
        print(f"{name}: {len(tasks)} networks")
        compare(tasks, stacks, options.epochs, options.runs)


if __name__ == "__main__":
    main()
