"""Score every named estimator on synthetic bags of five assumptions of multiple instance learning.

    python benchmarks/accuracy/assumptions.py [--bags 200] [--seeds 3] [--estimators NAMES]

The bags are those of `skmil.datasets.make_bags`, far enough from the background that instances are
told apart with ease: what remains is the rule. The estimators and their settings are those of
`python -m skmil`. Each seed draws new bags and seeds the estimator. What is printed is the mean
area under the ROC curve over three stratified folds of each seed.
"""

import argparse
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skmil._cli._registry import ESTIMATORS
from skmil.datasets import make_bags

ASSUMPTIONS = ("standard", "presence", "threshold", "count", "collective")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--estimators", default="all", help="names with commas between them")
    parser.add_argument("--bags", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    names = ESTIMATORS if options.estimators == "all" else options.estimators.split(",")
    print(f"{'':10s}" + "".join(f"{assumption:>12s}" for assumption in ASSUMPTIONS))
    for name in names:
        scores = [area(name, item, options.bags, options.seeds) for item in ASSUMPTIONS]
        print(
            f"{ESTIMATORS[name].title:10s}" + "".join(f"{score:12.2f}" for score in scores),
            flush=True,
        )


def area(name, assumption, n_bags, n_seeds):
    """Return the mean area under the ROC curve over folds and seeds."""
    scores = []
    for seed in range(n_seeds):
        bags, target = make_bags(
            n_bags=n_bags,
            n_features=5,
            bag_size=(8, 15),
            witness_rate=0.4,
            class_sep=4.0,
            assumption=assumption,
            random_state=seed,
            return_X_y=True,
        )
        folds = StratifiedKFold(3, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = ESTIMATORS[name].build(False, seed)
            scores.append(cross_val_score(model, bags, target, cv=folds, scoring="roc_auc"))
    return np.mean(scores)


if __name__ == "__main__":
    main()
