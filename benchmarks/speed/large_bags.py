"""Time large bags against the matrix products of the encoder, and see how the cost grows.

    python benchmarks/speed/large_bags.py [--threads 1] [--device cpu]

100,000 instances of 1,024 features, an encoder with layers of 256, 128 and 64 units:

- forward and backward pass of encoder and dynamic pooling (T = 3) against those of the encoder
  alone, for bags of very different size and for many small bags;
- `predict` for a single bag against the encoder's three matrix products, and the peak of the
  resident memory over what it was before;
- one epoch of training on all instances, with options that save memory;
- how the time of an epoch grows with the instances of a bag, with the number of bags, and with
  the size of the largest bag.

The network is that of the paper, with a single embedding and no dropout. Features are standardised,
as `scale="auto"` does with so many values, unless it says otherwise.
Each group of variants runs in turn in one process; the median of the runs counts.
"""

import argparse
import ctypes
import resource
import statistics
import threading
import time

import numpy as np
import torch

from skmil import Bags, DPMINNClassifier
from skmil.functional import dynamic_pooling
from skmil.nn import Encoder

N_INSTANCES, N_FEATURES, WIDTHS = 100_000, 1024, (256, 128, 64)


def medians(variants, runs, synchronize):
    """Return the median seconds of each function, called in turn."""
    times = {name: [] for name in variants}
    for run in range(runs + 1):
        for name, function in variants.items():
            synchronize()
            start = time.perf_counter()
            function()
            synchronize()
            if run:  # the first run warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def show(title, found, note=None):
    print(f"\n{title}")
    base = next(iter(found.values()))
    for name, seconds in found.items():
        more = "" if note is None else note(name)
        print(f"  {name:46s} {seconds:9.4f} s {seconds / base:7.2f}x {more}", flush=True)


def resident():
    """Return the resident memory in MiB."""
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def peak_over_start(function):
    """Return the peak of the resident memory during a call, over that before it, in MiB."""
    ctypes.CDLL(None).malloc_trim(0)  # gives back what was freed before
    before, seen, done = resident(), [0.0], threading.Event()

    def watch():
        while not done.wait(0.002):
            seen.append(resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        function()
    finally:
        done.set()
        watcher.join()
    return max(seen)


def ragged_sizes(total, largest, seed=0):
    """Return bag sizes from 1 to `largest`, evenly spread on a logarithmic scale."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(0, np.log(largest), 10 * total // largest + 1000)).astype(int)
    sizes[:2] = largest, 1
    n_bags = int(np.searchsorted(np.cumsum(sizes), total))
    return np.append(sizes[:n_bags], total - sizes[:n_bags].sum())


def pooling_over_encoder(device, runs, synchronize):
    x = torch.randn(N_INSTANCES, N_FEATURES, device=device)
    encoder = Encoder(N_FEATURES, WIDTHS).to(device)
    gradient = torch.randn(N_INSTANCES, WIDTHS[-1], device=device)

    def alone():
        encoder.zero_grad()
        encoder(x).backward(gradient)

    def pooled(sizes):
        sizes = torch.from_numpy(sizes).to(device)
        n_bags = len(sizes)
        bag_index = torch.repeat_interleave(torch.arange(n_bags, device=device), sizes)
        bag_gradient = torch.randn(n_bags, WIDTHS[-1], device=device)

        def run():
            encoder.zero_grad()
            dynamic_pooling(encoder(x), bag_index, n_bags, T=3)[0].backward(bag_gradient)

        return run

    variants = {"encoder alone": alone}
    for name, sizes in {
        "bags of 1 to 20,000": ragged_sizes(N_INSTANCES, 20_000),
        "bags of 1 to 40": ragged_sizes(N_INSTANCES, 40),
        "one bag": np.array([N_INSTANCES]),
    }.items():
        variants[f"encoder and pooling, {len(sizes):,} {name}"] = pooled(sizes)
    show("forward and backward pass", medians(variants, runs, synchronize))


def fitted(instances, sizes, device, **parameters):
    bags = Bags(instances[: sizes.sum()], np.concatenate([[0], np.cumsum(sizes)]))
    paper = {"hidden_layer_sizes": WIDTHS, "n_members": 1, "probability": "length", "dropout": 0}
    settings = {"calibration_cv": None, "scale": "standard", "batch_size": 16}
    settings |= {**paper, **parameters}
    classifier = DPMINNClassifier(max_epochs=1, device=device, random_state=0, **settings)
    return classifier.fit(bags, np.arange(len(sizes)) % 2)


def prediction(instances, device, runs, synchronize):
    classifier = fitted(instances, np.full(20, 50), device)
    bag = Bags(instances, [0, len(instances)])
    rows = torch.from_numpy(instances).to(device)
    weights = [p.detach() for p in classifier.net_.module_.encoder.parameters()]

    def products():
        with torch.inference_mode():
            h = rows
            for matrix, bias in zip(weights[::2], weights[1::2], strict=True):
                h = torch.addmm(bias, h, matrix.T).relu_()

    peak = peak_over_start(lambda: classifier.predict(bag))
    variants = {
        "the encoder's matrix products": products,
        "predict": lambda: classifier.predict(bag),
    }
    for name, parameters in {
        "chunk_size=256": {"chunk_size": 256},
        "chunk_size=16,384": {"chunk_size": 16384},
        'scale="rank"': {"scale": "rank"},
    }.items():
        copy = fitted(instances, np.full(20, 50), device, **parameters)
        variants[f"predict, {name}"] = lambda copy=copy: copy.predict(bag)
    show("one bag", medians(variants, runs, synchronize))
    print(f"  predict takes {peak:.0f} MiB more at its peak than before")


def training(instances, device, runs, synchronize):
    sizes = ragged_sizes(N_INSTANCES, 20_000)
    variants = {}
    for name, parameters in {
        "one epoch": {},
        "gradient_checkpointing=True": {"gradient_checkpointing": True, "chunk_size": 4096},
        'mixed_precision="bf16"': {"mixed_precision": "bf16"},
        "max_instances=1,000": {"max_instances": 1000},
    }.items():
        variants[name] = lambda parameters=parameters: fitted(
            instances, sizes, device, batch_size=4, scale=False, **parameters
        )
    peaks = {name: peak_over_start(function) for name, function in variants.items()}
    show(
        f"fit with one epoch, {len(sizes)} bags of 1 to 20,000, 4 in a step",
        medians(variants, runs, synchronize),
        lambda name: f"{peaks[name]:8.0f} MiB more at the peak",
    )


def growth(instances, device, runs, synchronize):
    def fit(sizes):
        return lambda: fitted(instances, sizes, device, scale=False)

    few = np.full(64, 100)
    for title, variants in {
        "ten times the instances": {"64 bags of 100": few, "64 bags of 1,000": few * 10},
        "ten times the bags": {"64 bags of 100": few, "640 bags of 100": np.tile(few, 10)},
        "the largest bag a hundred times as large": {
            "64 bags of 100": few,
            "63 bags of 100, one of 10,000": np.append(few[1:], 10_000),
        },
    }.items():
        sizes = list(variants.values())
        share = sizes[1].sum() / sizes[0].sum()
        found = medians({name: fit(s) for name, s in variants.items()}, runs, synchronize)
        show(f"{title} ({share:.1f} times the instances)", found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="functions to run: pooling, predict, ...")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.device}, {options.threads} thread(s), median of {options.runs} runs")
    synchronize = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    arguments = options.device, options.runs, synchronize
    rng = np.random.default_rng(0)
    instances = rng.standard_normal((N_INSTANCES, N_FEATURES), dtype=np.float32)
    parts = {
        "pooling": lambda: pooling_over_encoder(*arguments),
        "predict": lambda: prediction(instances, *arguments),
        "training": lambda: training(instances, *arguments),
        "growth": lambda: growth(instances, *arguments),
    }
    for name in options.only or parts:
        parts[name]()


if __name__ == "__main__":
    main()
