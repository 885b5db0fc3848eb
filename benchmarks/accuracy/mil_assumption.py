"""Run the algorithmic unit tests of the MIL assumption on every named estimator.

    python benchmarks/accuracy/mil_assumption.py [--bags 200] [--seeds 5] [--estimators NAMES]

The bags are those of `skmil.datasets.make_assumption_test`, the estimators and their settings
those of `python -m skmil`. Each seed draws new bags, and seeds the estimator. What is printed is
the area under the ROC curve on the training bags and on the test bags, the mean of all seeds, and
the least and the greatest on the test bags. The verdict on a test:

    pass    above 0.5 for every seed
    fail    below 0.5 for every seed
    -       otherwise, or no better than 0.6 on the training bags, so that nothing was learnt
"""

import argparse
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer

from skmil._cli._registry import ESTIMATORS
from skmil.datasets import make_assumption_test

TESTS = ("single_concept", "multi_concept", "false_frequency")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--estimators", default="all", help="names with commas between them")
    parser.add_argument(
        "--bags", type=int, default=200, help="bags to train with, and to test with"
    )
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    names = ESTIMATORS if options.estimators == "all" else options.estimators.split(",")
    print(f"{options.bags} training and {options.bags} test bags, {options.seeds} seeds")
    print(f"{'':10s}" + "".join(f"{test.replace('_', ' '):>24s}{'':6s}" for test in TESTS).rstrip())
    print(f"{'':10s}" + (f"{'train':>8s}{'test':>6s}{'range':>10s}{'':6s}" * 3).rstrip())
    for name in names:
        cells = [cell(*areas(name, test, options.bags, options.seeds)) for test in TESTS]
        print((f"{ESTIMATORS[name].title:10s}" + "".join(cells)).rstrip(), flush=True)


def areas(name, test, n_bags, n_seeds):
    """Return the areas under the ROC curve on training and test bags, one of each per seed."""
    scorer = get_scorer("roc_auc")
    scores = []
    for seed in range(n_seeds):
        data = make_assumption_test(test, n_bags=n_bags, random_state=seed)
        model = ESTIMATORS[name].build(False, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(data.bags_train, data.target_train)
        scores.append(
            (
                scorer(model, data.bags_train, data.target_train),
                scorer(model, data.bags_test, data.target_test),
            )
        )
    return np.array(scores).T


def verdict(train, test):
    """Return what the areas of all seeds say about the estimator."""
    if np.mean(train) <= 0.6:
        return "-"
    if np.min(test) > 0.5:
        return "pass"
    return "fail" if np.max(test) < 0.5 else "-"


def cell(train, test):
    spread = f"{test.min():.2f}-{test.max():.2f}"
    return f"{train.mean():8.2f}{test.mean():6.2f} {spread} {verdict(train, test):5s}"


if __name__ == "__main__":
    main()
