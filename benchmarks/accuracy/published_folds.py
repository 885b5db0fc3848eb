"""Score every named estimator on published folds, beside what its paper's tables print.

    python benchmarks/accuracy/published_folds.py musk1.npz tiger.npz --jobs 2

The data are .npz files with `instances`, `offsets`, `y` and `folds`. Estimators, settings and
folds are those of `python -m skmil DATA --estimators all --folds published`: fitted on the
training folds alone, scaling included, scored at the last iterate by their own decision. The
settings are the same for every data set. What is printed are the tables of Yan et al. (ACML
2018), which quote most figures from the papers of the methods.
"""

import argparse
import json
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from _published import published

from skmil.__main__ import main as skmil


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help=".npz files")
    parser.add_argument("--estimators", default="all", help="names with commas between them")
    parser.add_argument("--repeats", default="5")
    parser.add_argument("--jobs", default="1")
    options = parser.parse_args()
    records = []
    for path in options.data:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "record.json"
            arguments = [path, "--estimators", options.estimators, "--folds", "published"]
            arguments += ["--repeats", options.repeats, "--jobs", options.jobs]
            with redirect_stdout(StringIO()):
                skmil([*arguments, "--save", str(file)])
            records.append(json.loads(file.read_text(encoding="utf-8")))
        describe(records[-1])
    summarise(records)


def describe(record):
    """Print accuracy and area under the ROC curve of each method on one data set."""
    print(f"{name_of(record)}, {record['settings']['repeats']} x 10 published folds")
    print(f"{'':12s}accuracy  std over folds    AUC")
    for entry in record["estimators"].values():
        scores = [(fold["accuracy"], fold["auc"]) for fold in entry["folds"]]
        (accuracy, auc), (spread, _) = np.mean(scores, axis=0), np.std(scores, axis=0)
        print(f"{entry['title']:12s}{accuracy:8.3f}{spread:16.3f}{auc:7.3f}")
    print(flush=True)


def summarise(records):
    """Print the accuracies of all data sets side by side, and by how much they miss the printed."""
    print("accuracy, and its difference to the figure printed in the paper")
    print(f"{'':12s}" + "".join(f"{name_of(record):>15s}" for record in records))
    for key, entry in records[0]["estimators"].items():
        cells = [cell(record, key) for record in records]
        print((f"{entry['title']:12s}" + "".join(cells)).rstrip())


def cell(record, key):
    folds = record["estimators"][key]["folds"]
    accuracy = np.mean([fold["accuracy"] for fold in folds])
    printed = published(key, name_of(record))
    if printed is None:
        return f"{accuracy:8.3f}{'':7s}"
    return f"{accuracy:8.3f} {accuracy - printed:+.3f}"


def name_of(record):
    return record["data"]["name"].removesuffix(".npz")


if __name__ == "__main__":
    main()
