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

from skmil.__main__ import main as skmil

DATA = ("musk1", "musk2", "fox", "tiger", "elephant")
PRINTED = {
    "dp-minn": (0.907, 0.926, 0.655, 0.897, 0.894),
    "dp-minn-ce": (0.894, 0.903, 0.580, 0.855, 0.887),
    "mi-net": (0.887, 0.859, 0.622, 0.830, 0.862),
    "mi-net-ds": (0.894, 0.874, 0.630, 0.845, 0.872),
    "mi-net-rc": (0.898, 0.873, 0.619, 0.836, 0.857),
    "instance-net": (0.889, 0.858, 0.613, 0.824, 0.858),
    "attention": (0.892, 0.858, 0.615, 0.839, 0.868),
    "gated-attention": (0.900, 0.863, 0.603, 0.845, 0.857),
    "misvm-bag": (0.779, 0.843, 0.578, 0.840, 0.843),
    "misvm-instance": (0.874, 0.836, 0.582, 0.784, 0.822),
    "mi-kernel": (0.880, 0.893, 0.603, 0.842, 0.843),
    "mi-graph": (0.889, 0.903, 0.620, 0.860, 0.869),
    "mi-vlad": (0.871, 0.872, 0.620, 0.811, 0.850),
    "mi-fv": (0.909, 0.884, 0.621, 0.813, 0.852),
    "em-dd": (0.849, 0.869, 0.609, 0.730, 0.771),
}


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
    if key not in PRINTED or name_of(record) not in DATA:
        return f"{accuracy:8.3f}{'':7s}"
    printed = PRINTED[key][DATA.index(name_of(record))]
    return f"{accuracy:8.3f} {accuracy - printed:+.3f}"


def name_of(record):
    return record["data"]["name"].removesuffix(".npz")


if __name__ == "__main__":
    main()
