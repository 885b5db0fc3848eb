"""Measure how time and memory of the classical methods grow with the number of instances.

    python benchmarks/scale/classical_memory.py [--sizes 2000 8000 32000] [--limit 60]

Bags of ten instances with 32 features are drawn, in half of which one instance is moved. Each
estimator is fitted to bags with so many instances altogether, and predicts or transforms as
many others, one thread, timed by the time of the processor. The peak of the memory is that of
tracemalloc in a run of its own, the data not counted; it sees NumPy's arrays, but not what a
compiled solver allocates by itself (libsvm: up to `cache_size`, 200 MB). A size is left out
where sixteen times the time of the one before is beyond the limit. The growth is that from one
size to the next, four times as large: about 4 if it is proportional to the number of instances,
16 if it grows with the square.

What has to grow with the square of the number of bags is the result of BagKernel and
BagDistance, a number for each pair of bags. MILESEmbedding returns one for each bag and each
training instance. No estimator holds a matrix of instances against instances, except for
MISVMClassifier(formulation="instance") as far as its `cache_size` goes.
"""

import argparse
import time
import tracemalloc
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skmil import (
    BagDistance,
    BagFisherVector,
    BagKernel,
    Bags,
    BagStatistics,
    BagVLAD,
    CitationKNNClassifier,
    EMDDClassifier,
    InstanceTransformer,
    MILESEmbedding,
    MISVMClassifier,
    SingleInstanceClassifier,
)

ESTIMATORS = [
    InstanceTransformer(),
    SingleInstanceClassifier(),
    BagStatistics(),
    BagVLAD(random_state=0, n_init=1),
    BagFisherVector(random_state=0),
    MILESEmbedding(),
    BagKernel(),
    BagKernel(kernel="linear"),
    BagKernel(method="graph"),
    BagDistance(),
    CitationKNNClassifier(),
    EMDDClassifier(n_starts=1, max_iter=5),
    MISVMClassifier(max_iter=5),
    MISVMClassifier(formulation="instance", max_iter=5),
    MISVMClassifier(formulation="instance", max_iter=5, cache_size=0.1),
]


def draw(n_instances, seed):
    rng = np.random.default_rng(seed)
    instances = rng.normal(size=(n_instances, 32))
    y = np.arange(n_instances // 10) % 2
    instances[::10][y == 1] += 2.0
    return Bags(instances, np.arange(0, n_instances + 1, 10)), y


def work(estimator, train, y, test):
    estimator.fit(train, y)
    if hasattr(estimator, "predict"):
        return estimator.predict(test)
    return estimator.transform(test)


def measure(estimator, n_instances):
    """Return seconds, and the peak in megabytes of another run."""
    (train, y), (test, _) = draw(n_instances, 0), draw(n_instances, 1)
    start = time.process_time()
    work(estimator, train, y, test)
    seconds = time.process_time() - start
    tracemalloc.start()
    work(estimator, train, y, test)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 8000, 32000])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one size")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"fit, then predict or transform as many; instances: {options.sizes}")
    for estimator in ESTIMATORS:
        results = []
        with threadpool_limits(1):
            for size in options.sizes:
                if results and 16 * results[-1][0] > options.limit:
                    break
                results.append(measure(estimator, size))
        seconds, peaks = np.array(results).T
        times = " ".join(f"{value:8.2f}" for value in seconds)
        megabytes = " ".join(f"{value:8.1f}" for value in peaks)
        growth = " ".join(f"{value:5.1f}" for value in peaks[1:] / peaks[:-1])
        print(repr(estimator).replace("\n", "").replace(" ", ""))
        print(f"    s {times:28s}MB {megabytes:28s}growth of MB {growth}", flush=True)


if __name__ == "__main__":
    main()
