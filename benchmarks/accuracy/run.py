"""Score methods on data sets, five times ten folds, and keep a row of results for each fold.

Run any cells; what is there already with the same settings is not run again:

    python benchmarks/accuracy/run.py --data-dir DIR --methods dp-minn,mi-net --data musk1,tiger
    python benchmarks/accuracy/run.py --data-dir DIR --data classics --tuning nested --jobs 2
    python benchmarks/accuracy/run.py --data-dir DIR --methods all --data all

DIR holds .npz files with `instances`, `offsets`, `y` and, where they are published, `folds`. With
`--fetch` in its place the names are those of `skmil.datasets.fetch_dataset`, which downloads:

    python benchmarks/accuracy/run.py --fetch --methods dp-minn-paper --data ucsb_breast,messidor

Run a cell again, and set what comes out beside what is stored:

    python benchmarks/accuracy/run.py --data-dir DIR --check dp-minn musk1

What a fold is, and how it is scored, is in `_protocol.py`; the methods are in `_methods.py`, the
searched parameters in `_grids.py`, and the file of results, which can be interrupted and added to
at any time, in `_results.py`. `tables.py` makes tables and figures of it.

A seed depends on repeat and fold alone. A fold run again with the same code, settings and
versions of the libraries on the same kind of processor gives the same figures, whatever --jobs
is. Elsewhere, rounding can end in other networks; SPREAD in `_check.py` is the difference in the
accuracy of ten folds that means nothing.
"""

import argparse
import sys
from pathlib import Path

from _check import check, version
from _grids import GRIDS
from _methods import METHODS
from _protocol import N_FOLDS, N_REPEATS, TUNINGS, Task, build, run, splits
from _results import Results
from _settings import describe, digest
from joblib import Parallel, delayed
from tqdm import tqdm

import skmil
from skmil._cli._errors import UsageError
from skmil._cli._registry import ESTIMATORS

CLASSICS = ("musk1", "musk2", "fox", "tiger", "elephant")
GROUPS = {
    "classics": CLASSICS,
    "newsgroups": tuple(n for n in skmil.datasets.list_datasets() if n.startswith("news_")),
    "others": ("birds", "derived_colon_nuclei", "derived_ucsb_breast"),
}
GROUPS["all"] = tuple(name for group in GROUPS.values() for name in group)
METHOD_GROUPS = {
    "all": tuple(METHODS),
    "named": tuple(ESTIMATORS),  # by the command line
    "ablations": tuple(n for n in METHODS if n.startswith(("dp-minn-t", "dp-minn-paper-"))),
}


def main(argv=None):
    options = parse(argv)
    results = Results(options.results)
    try:
        return check(results, options) if options.check else fill(results, options)
    except UsageError as error:  # data that cannot be read or downloaded
        sys.exit(str(error))


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="More in the first lines of the file."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data-dir", type=Path, help="folder with .npz files")
    source.add_argument("--fetch", action="store_true", help="download published data sets")
    parser.add_argument(
        "--methods",
        default="all",
        help=f"names with commas between them, or {', '.join(METHOD_GROUPS)}",
    )
    parser.add_argument(
        "--data", default="all", help=f"names with commas between them, or {', '.join(GROUPS)}"
    )
    parser.add_argument("--tuning", choices=TUNINGS, default="default")
    parser.add_argument("--repeats", help="such as 0-4, which is all; --check takes 0")
    parser.add_argument("--folds", type=int, default=N_FOLDS, help="the first so many of a repeat")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--results", default=Path(__file__).with_name("results.csv"))
    changed = parser.add_mutually_exclusive_group()
    changed.add_argument("--again", action="store_true", help="run what is there already, too")
    changed.add_argument("--keep", action="store_true", help="keep rows of other settings, too")
    parser.add_argument(
        "--check", nargs=2, metavar=("METHOD", "DATA"), help="run a cell again and compare"
    )
    options = parser.parse_args(argv)
    if options.check:
        options.methods, options.data = options.check
    options.methods = chosen(parser, options.methods)
    options.data = available(parser, options)
    default = "0" if options.check else f"0-{N_REPEATS - 1}"
    options.repeats = numbers(parser, options.repeats or default)
    return options


def chosen(parser, text):
    """Return the methods that were named, each once."""
    names = {}
    for name in text.split(","):
        if name not in METHODS and name not in METHOD_GROUPS:
            parser.error(
                f"there is no method {name!r}; there are {', '.join(METHODS)}, and groups of them, "
                f"{', '.join(METHOD_GROUPS)}."
            )
        names.update(dict.fromkeys(METHOD_GROUPS.get(name, (name,))))
    return list(names)


def available(parser, options):
    """Return where the data sets that were named come from, by name."""
    sources = {}
    for name in options.data.split(","):
        for member in GROUPS.get(name, (name,)):
            file = None if options.fetch else options.data_dir / f"{member}.npz"
            known = member in skmil.datasets.list_datasets() if file is None else file.exists()
            if known:
                sources[member] = member if file is None else str(file)
            elif name not in GROUPS:
                parser.error(f"there is no data set {name!r} {'' if options.fetch else 'in DIR'}")
    return sources


def numbers(parser, text):
    """Return the repeats that a text such as "0,2-4" names."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            parser.error(f"--repeats needs numbers such as 0-4 or 0,2, got {text!r}.")
        found += range(int(first), int(last or first) + 1)
    if max(found) >= N_REPEATS:
        parser.error(f"--repeats are 0 to {N_REPEATS - 1}, got {text!r}.")
    return found


def fill(results, options):
    """Run what was asked for and is not there; return whether a fold failed."""
    results.tidy()
    failed = execute(results, plan(results, options), options.jobs)
    results.tidy()
    return int(failed > 0)


def plan(results, options):
    """Return the folds to run, by data set, method, repeat and fold in the order given.

    Where another method with the same settings has been run, its row is copied.
    """
    rows = {} if options.again else results.read()
    done = {(*fold_of(key), row["settings"]): row for key, row in rows.items()}
    tasks, copies = {}, []
    for key, source, settings in wanted(options):
        stored = rows.get(key)
        if stored and (options.keep or stored["settings"] == settings):
            continue
        same = *fold_of(key), settings
        if same in done:
            copies.append({**done[same], "method": key[1]})
        else:
            tasks.setdefault((source, *same), []).append(key[1])
    if copies:
        results.append(copies, {})
    return [
        Task(source, data, tuple(methods), tuning, repeat, fold)
        for (source, data, tuning, repeat, fold, _), methods in tasks.items()
    ]


def wanted(options):
    """Yield the key of every row that was asked for, its data and the hash of its settings."""
    folds = [(repeat, fold) for repeat in options.repeats for fold in range(options.folds)]
    for data, source in options.data.items():
        for method in options.methods:
            if not METHODS[method].serves(data):
                continue
            if options.tuning == "nested" and not GRIDS.get(method):
                continue
            digests = {}  # by the size of the training fold, the only thing they depend on
            for repeat, fold in folds:
                size = len(splits(source)[repeat, fold].train)
                if size not in digests:
                    model = build(method, source, data, repeat, fold, options.tuning)
                    digests[size] = digest(describe(model))
                yield (data, method, options.tuning, repeat, fold), source, digests[size]


def fold_of(key):
    data, _, tuning, repeat, fold = key
    return data, tuning, repeat, fold


def execute(results, tasks, n_jobs):
    """Run folds and store their rows in the order of the folds; return how many failed."""
    code = version()
    failed = 0
    finished = Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)(
        delayed(run)(task) for task in tasks
    )
    with tqdm(total=len(tasks), unit="fold", smoothing=0.05) as bar:
        for task, figures, settings in finished:
            bar.set_description(f"{task.data} {task.methods[0]}", refresh=False)
            bar.update()
            if "error" in figures:
                failed += 1
                place = f"{task.data}, {task.methods[0]}, {task.tuning}, {task.repeat}/{task.fold}"
                bar.write(f"{place}: {figures['error']}", file=sys.stderr)
                continue
            key = {"data": task.data, "tuning": task.tuning}
            key |= {"repeat": task.repeat, "fold": task.fold, "code": code}
            rows = [{**key, "method": method, **figures} for method in task.methods]
            results.append(rows, settings)
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; the folds that were finished are stored")
