"""Time the normalised set kernel of all bags, and measure the memory it takes.

    python benchmarks/speed/bag_kernel.py musk2.npz [--runs 5]

BagKernel compares instances block by block. Against it stand a loop over the pairs of bags,
each pair once, and one matrix of all instances against all instances, summed bag by bag. All
have the rbf kernel in float64 on the same standardised bags, and are checked to agree. They
run in one process, one thread, in turn; the median of the runs counts. The peak of the memory
is measured by tracemalloc, in another run that is not timed. The data is an .npz file with
`instances` and `offsets`; without a file, synthetic bags of Musk2's shape are drawn.
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from threadpoolctl import threadpool_limits

from skmil import BagKernel, Bags, InstanceTransformer


def load(path):
    if path is None:
        rng = np.random.default_rng(0)
        sizes = np.minimum(1 + rng.pareto(0.7, size=102) * 6, 1044).astype(int)
        return Bags(rng.normal(size=(sizes.sum(), 166)), np.concatenate([[0], sizes.cumsum()]))
    data = np.load(path)
    return Bags(data["instances"].astype(np.float64), data["offsets"])


def pair_by_pair(bags, gamma):
    gram = np.empty((len(bags), len(bags)))
    for i, a in enumerate(bags):
        for j, b in enumerate(bags[: i + 1]):
            gram[i, j] = gram[j, i] = rbf_kernel(a, b, gamma=gamma).sum()
    return gram


def whole_matrix(bags, gamma):
    kernel = rbf_kernel(bags.instances, gamma=gamma)
    starts = bags.offsets[:-1]
    return np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), starts, axis=1)


def normalise(gram):
    norms = np.sqrt(gram.diagonal())
    return gram / np.outer(norms, norms)


def peak_megabytes(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help=".npz file; synthetic bags if left out")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    bags = InstanceTransformer().fit_transform(load(options.data))
    gamma = 1 / (bags.n_features * bags.instances.var())
    variants = {
        "BagKernel, fit_transform": lambda: BagKernel().fit_transform(bags),
        "BagKernel, fit and transform": lambda: BagKernel().fit(bags).transform(bags),
        "BagKernel, fit alone": lambda: BagKernel().fit(bags),
        "loop over pairs of bags": lambda: normalise(pair_by_pair(list(bags), gamma)),
        "matrix of all instances": lambda: normalise(whole_matrix(bags, gamma)),
    }
    with threadpool_limits(1):
        results = {name: function() for name, function in variants.items()}  # warm up
        grams = [gram for gram in results.values() if isinstance(gram, np.ndarray)]
        for gram in grams[1:]:
            np.testing.assert_allclose(gram, grams[0], rtol=1e-9)
        peaks = {name: peak_megabytes(function) for name, function in variants.items()}
        times = {name: [] for name in variants}
        for _ in range(options.runs):
            for name, function in variants.items():
                times[name].append(seconds(function))
    print(f"{bags}, one thread, median of {options.runs} runs, peak of one more")
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["BagKernel, fit_transform"]
    for name, median in medians.items():
        print(f"{name:30s} {median:8.3f} s {median / base:6.2f}x {peaks[name]:9.1f} MB")


if __name__ == "__main__":
    main()
