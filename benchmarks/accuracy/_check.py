"""Run the folds of a cell again, and set what comes out beside what is stored."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from _protocol import Task, run
from joblib import Parallel, delayed

import skmil

#: Means of a cell's folds that differ by no more than this agree, on any machine.
SPREAD = 0.03


def check(results, options):
    """Run the stored folds of a cell again and compare.

    Parameters
    ----------
    results : Results
        What is stored.
    options : Namespace
        The options of the command, with one method and one data set.

    Returns
    -------
    code : int
        0 if the means differ by no more than `SPREAD`, else 1.
    """
    ((method, (data, source)),) = zip(options.methods, options.data.items(), strict=True)
    stored = {
        (repeat, fold): row
        for (*cell, repeat, fold), row in results.read().items()
        if cell == [data, method, options.tuning]
        and repeat in options.repeats
        and fold < options.folds
    }
    if not stored:
        sys.exit(f"{results.path} has no such folds of {method} on {data}, {options.tuning}.")
    codes = ", ".join(sorted({row["code"] for row in stored.values()}))
    print(f"{method} on {data}, {options.tuning}: stored by {codes}, now {version()}")
    print("repeat fold  stored     now")
    tasks = [Task(source, data, (method,), options.tuning, *place) for place in stored]
    again = Parallel(n_jobs=options.jobs, return_as="generator")(delayed(run)(t) for t in tasks)
    differences = [
        compare(stored[task.repeat, task.fold], task, figures) for task, figures, _ in again
    ]
    return verdict(differences)


def compare(stored, task, figures):
    """Print the accuracies of a fold, and return their difference."""
    if "error" in figures:
        sys.exit(figures["error"])
    before, now = (int(row["n_correct"]) / int(row["n_test"]) for row in (stored, figures))
    other = "" if stored["settings"] == figures["settings"] else "  other settings"
    print(f"{task.repeat:6d} {task.fold:4d} {before:7.3f} {now:7.3f}{other}", flush=True)
    return now - before


def verdict(differences):
    """Print how far the runs differ, and return whether it is too far."""
    mean = np.mean(differences)
    print(f"largest difference {np.abs(differences).max():.3f}, of the means {mean:+.3f}")
    print(f"{'within' if abs(mean) <= SPREAD else 'NOT within'} the run-to-run spread of {SPREAD}")
    return int(abs(mean) > SPREAD)


def version():
    """Return the commit of the package, with a + if its folder has changes on top."""
    folder = Path(skmil.__file__).parent

    def git(*arguments):
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".")
        return git("rev-parse", "--short=8", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return skmil.__version__
