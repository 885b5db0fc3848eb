"""Compare a grid search in stacks with the plain one, from bags to the fitted best classifier.

    python benchmarks/speed/stacked_grid_search.py musk1.npz [--dtype float32] [--epochs 100]
        [--calibration-cv 5] [--runs 3]

12 candidates (four `T`, three margins) in 5 folds, once by `StackedGridSearchCV` and once by
scikit-learn's `GridSearchCV`, with everything that belongs to a search: dividing the bags,
scaling, preparing the networks, training, scoring, and fitting the best candidate to all bags.
Both run in this process, with one thread, in turn; the median of the runs counts. The scores,
the parameters chosen and the decision values of the chosen classifier are compared. The data is
an .npz file with `instances`, `offsets` and `y`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skmil import Bags, DPMINNClassifier
from skmil.neural import StackedGridSearchCV

GRID = {"T": [1, 2, 3, 4], "margin_positive": [0.7, 0.8, 0.9]}
WANTED = 2.0


def timed(search, bags, y):
    """Return the seconds of the processor and of the clock that a search takes."""
    start = time.process_time(), time.perf_counter()
    search.fit(bags, y)
    return time.process_time() - start[0], time.perf_counter() - start[1]


def compare(found, wanted, bags):
    """Return in words how much two searches differ."""
    names = [name for name in wanted.cv_results_ if "_test_" in name]
    same = all(np.array_equal(found.cv_results_[n], wanted.cv_results_[n]) for n in names)
    same = same and found.best_params_ == wanted.best_params_
    values = [search.best_estimator_.decision_function(bags) for search in (found, wanted)]
    return (
        f"test scores, ranks and best parameters {'equal' if same else 'NOT EQUAL'}, decision "
        f"values of the best differ by at most {np.abs(np.subtract(*values)).max():.0e}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help=".npz file")
    parser.add_argument("--dtype", default=DPMINNClassifier().dtype)
    parser.add_argument("--epochs", type=int, default=DPMINNClassifier().max_epochs)
    parser.add_argument("--calibration-cv", type=int, help="parts; none unless given")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = np.load(options.data)
    bags, y = Bags(data["instances"], data["offsets"]), data["y"]
    print(
        f"{Path(options.data).stem}: {bags}, {options.epochs} epochs, 12 candidates x 5 folds, "
        f"one thread, median of {options.runs} runs"
    )
    model = DPMINNClassifier(
        max_epochs=options.epochs,
        calibration_cv=options.calibration_cv,
        dtype=options.dtype,
        random_state=0,
        device="cpu",
    )
    searches = [Search(model, GRID, cv=5) for Search in (GridSearchCV, StackedGridSearchCV)]
    times = []
    with threadpool_limits(1):
        for _ in range(options.runs):
            times.append([timed(search, bags, y) for search in searches])
    medians = np.median(times, axis=0)  # (searches, processor and clock)
    ratios = medians[0] / medians[1]
    for search, (processor, clock) in zip(searches, medians, strict=True):
        name = f"{type(search).__name__}, {options.dtype}"
        print(f"{name:30s} processor {processor:6.1f} s, clock {clock:6.1f} s")
    verdict = "worth" if ratios[0] >= WANTED else "not worth"
    print(
        f"in stacks {ratios[0]:.2f}x as fast by the processor's time, {ratios[1]:.2f}x by the "
        f"clock: {verdict} an option, for which {WANTED:g}x is wanted"
    )
    print(compare(searches[1], searches[0], bags), flush=True)


if __name__ == "__main__":
    main()
