"""Results as text for people and as JSON for programs."""

import importlib.metadata
import platform
from collections import Counter
from dataclasses import asdict

import numpy as np

from skmil import __version__
from skmil._cli._arguments import PUBLISHED

_PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib", "torch", "skorch")


def describe_data(facts):
    """Return one line about a data set from `Data.facts`."""
    classes = facts["classes"]
    if len(classes) == 2:
        label, count = classes[1]["label"], classes[1]["n_bags"]
        name = "" if label == 1 else f": {label}"
        shares = f"{count} positive{name}"
    else:
        shares = f"{len(classes)} classes"
    return (
        f"{facts['name']}: {facts['n_bags']} bags ({shares}), {facts['n_instances']} instances, "
        f"{facts['n_features']} features"
    )


def describe_settings(settings, n_classes):
    """Return the line that says how the scores came about, or two."""
    repeats = "" if settings["repeats"] == 1 else f", {settings['repeats']} times"
    folds = settings["folds"]
    if folds == PUBLISHED:
        kind = "cross-validation on the published folds"
    else:
        kind = f"{folds}-fold stratified cross-validation"
    line = f"{kind}{repeats}, seed {settings['seed']}; mean ± standard deviation"
    return line + ("" if n_classes == 2 else "\nAUC: mean over classes, each against the rest")


def format_table(titles, results):
    """Return the table of results.

    Parameters
    ----------
    titles : dict of str to str
        What to call the estimators, in the order of the rows.
    results : dict of str to list of FoldResult
        The results of each estimator.

    Returns
    -------
    table : str
        One line per estimator below a line of headings.
    """
    rows = [("estimator", "accuracy", "AUC", "fit (s)", "predict (s)")]
    rows += [(titles[name], *_cells(results[name])) for name in titles]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    lines = []
    for name, *numbers in rows:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def _cells(folds):
    """Return the cells of an estimator: a mean over some of the folds would mislead."""
    if any(fold.error for fold in folds):
        return "failed", "-", "-", "-"
    return (
        _mean_and_spread([fold.accuracy for fold in folds]),
        _mean_and_spread([fold.auc for fold in folds]),
        f"{np.mean([fold.fit_seconds for fold in folds]):.3f}",
        f"{np.mean([fold.predict_seconds for fold in folds]):.3f}",
    )


def _mean_and_spread(scores):
    if None in scores:
        return "-"
    return f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"


def describe_problems(titles, results):
    """Return a line for each error and warning, saying in how many folds it came up."""
    lines = []
    for name, title in titles.items():
        folds = results[name]
        errors = Counter(fold.error for fold in folds if fold.error)
        warnings = Counter(message for fold in folds for message in fold.warnings)
        for kind, counts in [("error", errors), ("warning", warnings)]:
            lines += [
                f"skmil: {kind}: {title}, {count} of {len(folds)} folds: {message}"
                for message, count in counts.items()
            ]
    return lines


def build_record(facts, settings, estimators, titles, results):
    """Return everything about a run, ready for JSON.

    Parameters
    ----------
    facts : dict
        About the data.
    settings : dict
        Of the cross-validation.
    estimators : dict of str to classifier
        The estimators.
    titles : dict of str to str
        What the table calls them.
    results : dict of str to list of FoldResult
        Their results.

    Returns
    -------
    record : dict
        The record.
    """
    return {
        "data": facts,
        "settings": settings,
        "versions": _versions(),
        "estimators": {
            name: {
                "title": titles[name],
                "definition": " ".join(repr(estimator).split()),
                "folds": [asdict(fold) for fold in results[name]],
            }
            for name, estimator in estimators.items()
        },
    }


def _versions():
    versions = {"skmil": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
