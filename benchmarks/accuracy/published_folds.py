"""Score default settings on the folds published with a data set.

    python benchmarks/accuracy/published_folds.py musk1.npz --repeats 0 --jobs 2

The data is an .npz file with `instances`, `offsets`, `y` and `folds`, the latter of shape
(n_repeats, n_bags): in which fold each bag is tested. Every estimator is fitted on the
training folds alone, scaling included, and scored at its last iterate by its own decision.
"""

import argparse

import numpy as np
from sklearn.model_selection import PredefinedSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skmil import (
    Bags,
    BagStatistics,
    DPMINNClassifier,
    InstanceTransformer,
    MISVMClassifier,
)


def estimators(seed):
    return {
        "DP-MINN": DPMINNClassifier(random_state=seed),
        "DP-MINN, cross-entropy": DPMINNClassifier(loss="cross_entropy", random_state=seed),
        "MI-SVM, C=1": make_pipeline(InstanceTransformer(), MISVMClassifier()),
        "mi-SVM, C=1": make_pipeline(
            InstanceTransformer(), MISVMClassifier(formulation="instance")
        ),
        "statistics + SVC": make_pipeline(BagStatistics(), StandardScaler(), SVC()),
        "mean + SVC, C=3": make_pipeline(
            BagStatistics(statistics=("mean",)), StandardScaler(), SVC(C=3.0)
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help=".npz files")
    parser.add_argument("--repeats", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", help="part of the names of the estimators to run")
    options = parser.parse_args()
    for path in options.data:
        data = np.load(path)
        bags = Bags(data["instances"], data["offsets"])
        print(f"{path.rpartition('/')[2]}: {bags}, repeats {options.repeats}")
        print(f"{'':24s}accuracy (std over folds)   AUC (std over folds)")
        for name in estimators(0):
            if options.only and options.only not in name:
                continue
            scores = {"accuracy": [], "roc_auc": []}
            for repeat in options.repeats:
                result = cross_validate(
                    estimators(repeat)[name],
                    bags,
                    data["y"],
                    cv=PredefinedSplit(data["folds"][repeat]),
                    scoring=list(scores),
                    n_jobs=options.jobs,
                )
                for metric, values in scores.items():
                    values.append(result[f"test_{metric}"])
            cells = [f"{np.mean(v):.3f} ({np.std(v):.3f})" for v in scores.values()]
            print(f"{name:24s}{cells[0]:28s}{cells[1]}", flush=True)


if __name__ == "__main__":
    main()
