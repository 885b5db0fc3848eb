"""Compare settings of a network without a look at any test fold.

    python benchmarks/accuracy/inner_folds.py --data-dir DIR --data musk1,tiger "{}" "{'T': 1}"

Each dictionary holds parameters of DPMINNClassifier, or of the class named with --estimator, that
differ from the defaults. Of the first divisions into folds the training parts of the first two
folds are taken (`--outer`), and each is divided into five: four to train on, one to score. What is
printed is the mean accuracy and area under the ROC curve over these folds, for each data set and
altogether. `LOG.md` tells what was found in this way.
"""

import argparse
import ast
import functools

import numpy as np
import torch
from _protocol import load, splits
from joblib import Parallel, delayed
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm

import skmil


@functools.cache
def inner_folds(source, n_outer):
    """Return (seed, indices to train on, indices to score) of the inner folds of a data set."""
    y, found = load(source).y, []
    for outer in range(n_outer):
        part = splits(source)[0, outer].train
        inner = StratifiedKFold(5, shuffle=True, random_state=outer)
        for k, (train, test) in enumerate(inner.split(part, y[part])):
            found.append((10 * outer + k, part[train], part[test]))
    return found


def score(name, settings, source, n_outer, k):
    """Return accuracy and area under the curve of an inner fold."""
    torch.set_num_threads(1)
    data = load(source)
    seed, train, test = inner_folds(source, n_outer)[k]
    model = getattr(skmil, name)(random_state=seed, device="cpu", **settings)
    model.fit(data.bags[train], data.y[train])
    scores, y = model.decision_function(data.bags[test]), data.y[test]
    return np.mean((scores > 0) == y), roc_auc_score(y, scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", nargs="+", type=ast.literal_eval, help="dictionaries")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--data", default="musk1,fox,tiger,elephant,news_sci_space")
    parser.add_argument("--estimator", default="DPMINNClassifier")
    parser.add_argument("--outer", type=int, default=2, help="how many training parts")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    names = options.data.split(",")
    tasks = [
        (options.estimator, settings, f"{options.data_dir}/{name}.npz", options.outer, k)
        for settings in options.settings
        for name in names
        for k in range(5 * options.outer)
    ]
    run = Parallel(n_jobs=options.jobs, return_as="generator")(delayed(score)(*t) for t in tasks)
    found = np.array(list(tqdm(run, total=len(tasks), unit="fold")))
    means = found.reshape(len(options.settings), len(names), -1, 2).mean(axis=2)
    print(" ".join(f"{name[-11:]:>11s}" for name in ["mean", *names]) + "  accuracy/AUC")
    for settings, cells in zip(options.settings, means, strict=True):
        row = " ".join(f"{a:7.3f}/{u:.3f}"[-11:] for a, u in [cells.mean(axis=0), *cells])
        print(f"{row}  {settings}")


if __name__ == "__main__":
    main()
