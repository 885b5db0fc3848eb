"""Train on sparse web pages without ever making them dense, and measure the memory.

    python benchmarks/scale/sparse_web1.py web1.npz

The data is an .npz file with the parts of a CSR matrix (`csr_data`, `csr_indices`,
`csr_indptr`, `csr_shape`), `offsets`, `y` and `split`: 0 for a training bag, 1 for a test bag.
Each model is fitted in a process of its own. Its memory is the peak of that process, predictions
included, above the peak once everything is imported and the data is read. The last line shows
what the same measurement says of a dense copy of the instances: two or three megabytes hide
below the peak of the imports.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

DENSE = "a dense copy, float64"


def models():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler
    from sklearn.svm import SVC, LinearSVC

    from skmil import (
        BagFisherVector,
        BagKernel,
        BagStatistics,
        BagVLAD,
        CitationKNNClassifier,
        InstanceTransformer,
        MILESEmbedding,
        MISVMClassifier,
        SingleInstanceClassifier,
    )

    scaled = InstanceTransformer(MaxAbsScaler())
    svm = LinearSVC(random_state=0)
    kernel_svm = SVC(kernel="precomputed")
    sparse_svm = LinearSVC(penalty="l1", dual=False, max_iter=100_000, random_state=0)
    return {
        "SIL, linear SVM, mean": make_pipeline(scaled, SingleInstanceClassifier(svm)),
        "SIL, linear SVM, max": make_pipeline(
            scaled, SingleInstanceClassifier(svm, aggregation="max")
        ),
        "MI-SVM, linear": make_pipeline(scaled, MISVMClassifier(kernel="linear")),
        "statistics, linear SVM": make_pipeline(BagStatistics(), MaxAbsScaler(), svm),
        "set kernel, linear": make_pipeline(scaled, BagKernel(kernel="linear"), kernel_svm),
        "set kernel, rbf": make_pipeline(scaled, BagKernel(), kernel_svm),
        "miGraph, rbf": make_pipeline(scaled, BagKernel(method="graph"), kernel_svm),
        "MILES, 1-norm SVM": make_pipeline(scaled, MILESEmbedding(), sparse_svm),
        "miVLAD, linear SVM": make_pipeline(scaled, BagVLAD(random_state=0), svm),
        "miFV, linear SVM": make_pipeline(scaled, BagFisherVector(random_state=0), svm),
        "citation-kNN": make_pipeline(scaled, CitationKNNClassifier(metric="minimum")),
    }


def load(path):
    import numpy as np
    import scipy.sparse as sp

    from skmil import Bags

    data = np.load(path)
    parts = data["csr_data"], data["csr_indices"], data["csr_indptr"]
    instances = sp.csr_matrix(parts, shape=data["csr_shape"], dtype=np.float64)
    bags = Bags(instances, data["offsets"])
    train, test = (np.flatnonzero(data["split"] == part) for part in (0, 1))
    return bags, bags[train], data["y"][train], bags[test], data["y"][test]


def peak_megabytes():
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(path, name):
    """Fit and score one model in this process."""
    from sklearn.metrics import accuracy_score, roc_auc_score

    model = models().get(name)
    bags, train, y_train, test, y_test = load(path)
    before = peak_megabytes()
    if name == DENSE:
        copy = bags.instances.toarray()
        return {"megabytes": peak_megabytes() - before, "expected": copy.nbytes / 1e6}
    start = time.perf_counter()
    model.fit(train, y_train)
    seconds = time.perf_counter() - start
    accuracy = accuracy_score(y_test, model.predict(test))
    area = roc_auc_score(y_test, model.decision_function(test))
    megabytes = peak_megabytes() - before
    return {"accuracy": accuracy, "area": area, "seconds": seconds, "megabytes": megabytes}


def in_a_process_of_its_own(path, name):
    # A child starts with the peak of its parent, which therefore imports nothing large.
    command = [sys.executable, __file__, path, "--only", name]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def describe(path):
    bags, train, y_train, test, y_test = load(path)
    majority = max(y_test.mean(), 1 - y_test.mean())
    return (
        f"{path.rpartition('/')[2]}: {bags}, {bags.instances.nnz} values stored\n"
        f"{train.n_bags} training bags ({y_train.sum()} positive), {test.n_bags} test bags "
        f"({y_test.sum()} positive; the larger class is {majority:.3f} of them)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help=".npz file")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # what a child is asked for
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        print(json.dumps([describe(options.data), list(models())]))
        return
    if options.only:
        print(json.dumps(measure(options.data, options.only)))
        return
    command = [sys.executable, __file__, options.data, "--list"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    description, names = json.loads(run.stdout)
    print(description)
    print(f"{'':24s}accuracy     AUC   fit (s)  memory (MB)")
    for name in names:
        found = in_a_process_of_its_own(options.data, name)
        print(
            f"{name:24s}{found['accuracy']:8.3f}{found['area']:8.3f}"
            f"{found['seconds']:10.2f}{found['megabytes']:13.1f}",
            flush=True,
        )
    found = in_a_process_of_its_own(options.data, DENSE)
    print(f"{DENSE:24s}{found['megabytes']:39.1f}  (calculated: {found['expected']:.1f})")


if __name__ == "__main__":
    main()
