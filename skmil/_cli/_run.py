"""The steps of a run: read the data, cross-validate, report."""

import json
import os
import sys
from contextlib import closing

from skmil._cli._arguments import PUBLISHED, parse_arguments
from skmil._cli._errors import UsageError
from skmil._cli._registry import DEFAULT, ESTIMATORS


def run(argv=None):
    """Do what the arguments ask for and return the exit code.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    code : int
        0, or 1 if an estimator failed.
    """
    arguments = parse_arguments(argv)
    if arguments.list:
        _print(_listing())
        return 0
    return _compare(arguments)


def _compare(arguments):
    """Compare the estimators on the data; return the exit code."""
    # Imported now, so that --help and --version need not wait for scikit-learn.
    from skmil._cli._data import load_data
    from skmil._cli._folds import draw_splits, published_splits
    from skmil._cli._report import (
        build_record,
        describe_data,
        describe_problems,
        describe_settings,
        format_table,
    )

    _check_writable(arguments.save)
    data = load_data(
        arguments.data,
        arguments.bag_column,
        arguments.label_column,
        arguments.labels,
        arguments.progress,
    )
    if arguments.folds == PUBLISHED:
        splits = published_splits(data.y, data.folds, arguments.repeats)
    else:
        splits = draw_splits(data.y, arguments.folds, arguments.repeats, arguments.seed)
    facts = data.facts()
    settings = {key: getattr(arguments, key) for key in ("folds", "repeats", "seed", "jobs")}
    _print(describe_data(facts))
    _print(describe_settings(settings, n_classes=len(facts["classes"])))

    entries = {name: ESTIMATORS[name] for name in arguments.estimators}
    titles = {name: entry.title for name, entry in entries.items()}
    estimators = {name: entry.build(data.sparse, arguments.seed) for name, entry in entries.items()}
    results = _evaluate(estimators, data, splits, titles, arguments)
    _print("\n" + format_table(titles, results))
    for line in describe_problems(titles, results):
        _print(line, sys.stderr)
    if arguments.save is not None:
        _save(build_record(facts, settings, estimators, titles, results), arguments.save)
    return int(any(fold.error for folds in results.values() for fold in folds))


def _evaluate(estimators, data, splits, titles, arguments):
    """Return the fold results of each estimator, with a progress bar meanwhile."""
    from tqdm import tqdm

    from skmil._cli._evaluate import cross_validate

    results = {name: [] for name in estimators}
    total = len(estimators) * len(splits)
    # None means: only if standard error is a terminal.
    hidden = None if arguments.progress is None else not arguments.progress
    with tqdm(total=total, unit="fold", leave=False, disable=hidden, file=sys.stderr) as bar:
        bar.set_description(next(iter(titles.values())))
        folds = cross_validate(estimators, data.bags, data.y, splits, n_jobs=arguments.jobs)
        with closing(folds):
            for name, fold in folds:
                results[name].append(fold)
                bar.set_description(titles[name], refresh=False)
                bar.update()
    return results


def _listing():
    """Return the names of all estimators and data sets."""
    from skmil._cli._data import BUILT_IN
    from skmil.datasets._catalogue import load_catalogue

    width = max(map(len, [*ESTIMATORS, *BUILT_IN]))
    lines = ["Estimators (* by default):"]
    for name, entry in ESTIMATORS.items():
        mark = "*" if name in DEFAULT else " "
        lines.append(f"{mark} {name.ljust(width)}  {entry.title.ljust(10)}  {entry.summary}")
    lines += ["Data sets:"]
    lines += [f"  {name.ljust(width)}  {summary}" for name, (summary, _) in BUILT_IN.items()]
    published = load_catalogue().entries
    width = max(map(len, published))
    lines += ["Published data sets, downloaded when first used:"]
    lines += [f"  {name.ljust(width)}  {entry.title}" for name, entry in published.items()]
    return "\n".join(lines)


def _check_writable(path):
    """Find out before a long run whether its results can be saved."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"--save {path}: this is a directory, name a file.")
    if not path.parent.is_dir():
        raise UsageError(f"--save {path}: there is no directory {path.parent}.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"--save {path}: not allowed to write there.")


def _save(record, path):
    """Write the record as JSON."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--save {path}: {error.strerror or error}.") from None


def _print(text, stream=None):
    """Write a line, in the characters that the stream can encode and no wider."""
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace(" ± ", "+/-").encode(encoding, "replace").decode(encoding)
    stream.write(text + "\n")
    stream.flush()
