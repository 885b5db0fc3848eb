"""Time MI-SVM and mi-SVM on Musk2, and measure the memory they take.

    python benchmarks/speed/mi_svm_musk2.py musk2.npz

Ten-fold cross-validation with scaling in each training fold, the rbf kernel and `C` = 1, one
thread. Against MISVMClassifier stands the obvious loop: an SVC with ``kernel="rbf"`` is fitted
to the chosen rows in each iteration and asked for its decisions, and nothing is kept from one
iteration to the next. Both make the same predictions, which is checked. Each is run in a
process of its own, in turn, and timed by the time of the processor; its memory is the peak of
that process, and how much higher that is than once everything is imported and the data is read.

The last lines say where the time goes, for the first training fold: what fitting an SVC to rows
takes, and what it takes given the matrix of all kernels. The difference is the evaluation of the
kernel. The matrix pays where it replaces more evaluations than it costs. mi-SVM is
fitted to the same rows in each iteration, and keeps the matrix if `cache_size` allows;
Musk2's takes 331 MB. MI-SVM asks for few of the kernels, so it does not. SVC cannot start from an
earlier solution: what a warm start could save is at most the time that the solver itself takes.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

VARIANTS = {
    "MI-SVM": ("bag", {}),
    "MI-SVM, obvious loop": ("bag", None),
    "mi-SVM": ("instance", {}),
    "mi-SVM, cache_size=500": ("instance", {"cache_size": 500}),
    "mi-SVM, obvious loop": ("instance", None),
}
N_FOLDS = 10


def load(path):
    import numpy as np

    from skmil import Bags

    data = np.load(path)
    return Bags(data["instances"].astype(np.float64), data["offsets"]), data["y"]


def folds(bags, y):
    """Yield scaled training bags, their labels, scaled test bags and their numbers."""
    from sklearn.model_selection import StratifiedKFold

    from skmil import InstanceTransformer

    splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    for train, test in splitter.split(y, y):
        scaler = InstanceTransformer().fit(bags[train])
        yield scaler.transform(bags[train]), y[train], scaler.transform(bags[test]), test


def obvious_loop(formulation, train, y, test, max_iter=50):
    """Return the scores of the test bags and the number of SVMs."""
    import numpy as np
    from sklearn.svm import SVC

    def highest(scores, offsets):
        return [part.argmax() for part in np.split(scores, offsets[1:-1])]

    positive, negative = train[y == 1], train[y == 0]
    gamma = 1 / (train.n_features * train.instances.var())
    rows = np.array([bag.mean(axis=0) for bag in positive])
    labels = np.ones(len(positive) if formulation == "bag" else positive.n_instances)
    rows = rows if formulation == "bag" else positive.instances
    state = None
    for n_iter in range(1, max_iter + 1):  # noqa: B007, its last value is returned
        svc = SVC(gamma=gamma).fit(
            np.concatenate([rows, negative.instances]),
            np.concatenate([labels, -np.ones(negative.n_instances)]),
        )
        scores = svc.decision_function(positive.instances)
        best = positive.offsets[:-1] + highest(scores, positive.offsets)
        if formulation == "bag":
            new, rows = best, positive.instances[best]
        else:
            new = scores > 0
            new[best] = True
            labels = np.where(new, 1.0, -1.0)
            state = np.ones(len(new), dtype=bool) if state is None else state
        if np.array_equal(new, state):
            break
        state = new
    scores = svc.decision_function(test.instances)
    return [part.max() for part in np.split(scores, test.offsets[1:-1])], n_iter


def peak_megabytes():
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(path, name):
    """Cross-validate one variant in this process."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from skmil import MISVMClassifier

    warnings.simplefilter("ignore")
    formulation, params = VARIANTS[name]
    bags, y = load(path)
    parts = list(folds(bags, y))
    predicted, n_fits = np.zeros(len(y), dtype=int), 0
    before = peak_megabytes()
    with threadpool_limits(1):
        start = time.process_time()
        for train, y_train, test, chosen in parts:
            if params is None:
                scores, n_iter = obvious_loop(formulation, train, y_train, test)
            else:
                model = MISVMClassifier(formulation=formulation, **params).fit(train, y_train)
                scores, n_iter = model.decision_function(test), model.n_iter_
            predicted[chosen] = np.array(scores) > 0
            n_fits += n_iter
        seconds = time.process_time() - start
    peak = peak_megabytes()
    return {
        "seconds": seconds,
        "peak": peak,
        "increase": peak - before,
        "n_fits": n_fits,
        "predicted": predicted.tolist(),
        "accuracy": float(np.mean(predicted == y)),
    }


def shares(path):
    """Return lines on the time of the solver and of the kernel, at the first state."""
    import numpy as np
    from sklearn import config_context
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.svm import SVC
    from threadpoolctl import threadpool_limits

    def seconds(function):
        times = []
        for _ in range(5):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        return sorted(times)[2]

    bags, y = load(path)
    train, y_train, *_ = next(folds(bags, y))
    positive, negative = train[y_train == 1], train[y_train == 0]
    means = np.array([bag.mean(axis=0) for bag in positive])
    lines = []
    for name, upper in {"MI-SVM": means, "mi-SVM": positive.instances}.items():
        rows = np.concatenate([upper, negative.instances])
        labels = np.repeat([1, -1], [len(upper), negative.n_instances])
        with threadpool_limits(1), config_context(assume_finite=True):
            gamma = 1 / (rows.shape[1] * rows.var())
            of_rows = seconds(lambda: SVC(gamma=gamma).fit(rows, labels))  # noqa: B023, called at once
            gram = rbf_kernel(rows, gamma=gamma)
            of_gram = seconds(lambda: SVC(kernel="precomputed").fit(gram, labels))  # noqa: B023, called at once
            whole = seconds(lambda: rbf_kernel(rows, gamma=gamma))  # noqa: B023, called at once
        lines.append(
            f"{name}: one fit to {len(rows)} rows {of_rows:.3f} s, of which the kernel takes "
            f"{1 - of_gram / of_rows:.0%} and the solver {of_gram / of_rows:.0%}; "
            f"the whole matrix takes {whole:.3f} s"
        )
    return lines


def in_a_process_of_its_own(path, name):
    # A child starts with the peak of its parent, which therefore imports nothing large.
    command = [sys.executable, __file__, path, "--only", name]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help=".npz file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help=argparse.SUPPRESS)  # what a child is asked for
    options = parser.parse_args()
    if options.only == "shares":
        print(json.dumps(shares(options.data)))
        return
    if options.only:
        print(json.dumps(measure(options.data, options.only)))
        return
    runs = {name: [] for name in VARIANTS}
    for _ in range(options.runs):
        for name in VARIANTS:
            runs[name].append(in_a_process_of_its_own(options.data, name))
    print(f"{N_FOLDS}-fold cross-validation, one thread, the median of {options.runs} runs")
    print(f"{'':26s}     s   loop/this  SVMs  accuracy  peak MB  above start MB")
    medians = {
        name: sorted(run["seconds"] for run in of_name)[len(of_name) // 2]
        for name, of_name in runs.items()
    }
    for name, of_name in runs.items():
        loop = name.partition(",")[0] + ", obvious loop"
        last = of_name[-1]
        if last["predicted"] != runs[loop][-1]["predicted"]:
            sys.exit(f"{name} makes other predictions than the loop")
        print(
            f"{name:26s}{medians[name]:6.2f}{medians[loop] / medians[name]:12.2f}"
            f"{last['n_fits']:6d}{last['accuracy']:10.3f}{last['peak']:9.0f}"
            f"{last['increase']:16.0f}"
        )
    for line in in_a_process_of_its_own(options.data, "shares"):
        print(line)


if __name__ == "__main__":
    main()
