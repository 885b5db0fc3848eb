"""Time a grid search of DPMINNClassifier in one process and in two.

    python benchmarks/speed/grid_search.py musk1.npz [--epochs 100] [--runs 1]

The search has 12 candidates and 5 folds, that is 60 fits and one more. It runs in this process,
with one thread and with as many as torch takes by itself; with ``n_jobs=2``, for which joblib
starts two processes of one thread each; and on a Dask cluster of two such processes. "cold" is
the first search with new processes, their start and their imports included; "warm" is the next
one. All results are checked to be equal. The variants run in turn; the median of the runs counts.
OMP_NUM_THREADS must not be set. The data is an .npz file with `instances`, `offsets` and `y`;
without a file, synthetic bags of Musk1's shape are drawn.
"""

import argparse
import os
import statistics
import sys
import time

import joblib
import numpy as np
import torch
from distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skmil import Bags, DPMINNClassifier

GRID = {"T": [1, 2, 3, 4], "margin_positive": [0.7, 0.8, 0.9]}
BASE = "one process, one thread"


def load(path):
    if path is None:
        rng = np.random.default_rng(0)
        sizes = np.minimum(1 + rng.geometric(0.24, size=92), 40)
        instances = rng.normal(size=(sizes.sum(), 166))
        return Bags(instances, np.concatenate([[0], sizes.cumsum()])), np.arange(92) % 2
    data = np.load(path)
    return Bags(data["instances"], data["offsets"]), data["y"]


def timed_variants(run, n_threads):
    """Return (name, seconds, scores) for each variant, the first search of processes first."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield BASE, *timed(run)
    get_reusable_executor(max_workers=2).shutdown(wait=True)
    for state in ("cold", "warm"):
        yield f"n_jobs=2, {state}", *timed(run, n_jobs=2)
    get_reusable_executor(max_workers=2).shutdown(wait=True)
    start = time.perf_counter()
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    )
    with cluster, Client(cluster):
        started = time.perf_counter() - start
        for state, extra in (("cold", started), ("warm", 0)):
            with joblib.parallel_config(backend="dask"):
                seconds, scores = timed(run)
            yield f"Dask, two workers, {state}", seconds + extra, scores
    torch.set_num_threads(n_threads)
    yield f"one process, {n_threads} threads", *timed(run)


def timed(run, **options):
    start = time.perf_counter()
    scores = run(**options)
    return time.perf_counter() - start, scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help=".npz file; synthetic bags if left out")
    parser.add_argument("--epochs", type=int, default=DPMINNClassifier().max_epochs)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    if "OMP_NUM_THREADS" in os.environ:
        parser.error("OMP_NUM_THREADS is set, so that nothing would have two threads. Unset it.")
    bags, y = load(options.data)
    model = DPMINNClassifier(
        max_epochs=options.epochs, calibration_cv=None, random_state=0, device="cpu"
    )
    model.fit(bags, y)  # warm up

    def run(n_jobs=None):
        search = GridSearchCV(model, GRID, cv=5, n_jobs=n_jobs).fit(bags, y)
        return search.cv_results_["mean_test_score"]

    n_threads, times, results = torch.get_num_threads(), {}, {}
    for _ in range(options.runs):
        for name, seconds, scores in timed_variants(run, n_threads):
            times.setdefault(name, []).append(seconds)
            results[name] = scores
            print(f"{name}: {seconds:.1f} s", file=sys.stderr)
    print(
        f"{bags}, {options.epochs} epochs, 12 candidates x 5 folds, {os.cpu_count()} cores, "
        f"median of {options.runs} run{'s'[: options.runs > 1]}"
    )
    base = statistics.median(times[BASE])
    for name, values in times.items():
        median = statistics.median(values)
        same = "equal" if np.array_equal(results[name], results[BASE]) else "NOT EQUAL"
        print(f"{name:28s} {median:8.2f} s {base / median:6.2f}x as fast, scores {same}")


if __name__ == "__main__":
    main()
