"""The arguments of the command line."""

import argparse
from pathlib import Path

from skmil import __version__
from skmil._cli._errors import UsageError, unknown_name
from skmil._cli._registry import DEFAULT, ESTIMATORS

#: What to give for the number of folds to use those that come with the data.
PUBLISHED = "published"

_EPILOG = """\
DATA may be a name from --list. Published data sets are downloaded when first
used, to the folder that the environment variable SKMIL_DATA names, otherwise to
~/skmil_data. Published folds are read from folds_5x10.csv in the sub-folder of
the data set, if you put it there.

DATA may be a file or a folder:
  .csv .tsv .parquet
            one row per instance, with names of columns; one column names the
            bag, another one its label, all others are numeric features.
  a folder of .h5, .npy or .npz files
            one file per bag, such as the features of a slide; see --labels.
  a folder that Bags.save wrote
            with the labels as target.
  .npz      arrays instances, offsets and y; bag i is rows
            offsets[i]:offsets[i+1]. Sparse instances: csr_data, csr_indices,
            csr_indptr and csr_shape. If there are any, folds of shape
            (n_repeats, n_bags): where each bag is tested.
  .mat .arff .data .svm .svmlight .libsvm
            MATLAB, Weka, C4.5 and SVMlight, as multiple instance data are
            published in them.
  a folder with data.csv, bagids.csv and labels.csv
            as in MIProblems, and folds*.csv, if any.
Text and .mat files may be compressed (.csv.gz). The user guide has more on each
format, as has help() of the readers in skmil.datasets.

All estimators are scored on the same folds; features are scaled on the training
bags only. Exit codes: 0 success, 1 an estimator failed, 2 wrong usage,
130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(message)


def parse_arguments(argv=None):
    """Parse the arguments.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    arguments : argparse.Namespace
        The options; `estimators` is a list of known names.

    Raises
    ------
    UsageError
        If an argument cannot be used.
    """
    parser = _Parser(
        prog="python -m skmil",
        description="Cross-validate multiple instance classifiers on a data set.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs="?",
        default="digits",
        help="a name from --list, a file or a folder (default: %(default)s)",
    )
    parser.add_argument(
        "--estimators",
        metavar="NAMES",
        default=",".join(DEFAULT),
        help="names from --list with commas between them, or all (default: those with a *)",
    )
    parser.add_argument(
        "--folds",
        type=_folds,
        default=5,
        metavar="N",
        help=f"a number, or {PUBLISHED} for those that come with the data (default: %(default)s)",
    )
    parser.add_argument("--repeats", type=_integer(1), default=1, help="default: %(default)s")
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=1,
        help="processes, -1 for all cores; does not change the scores (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_integer(0, 2**32 - 1),
        default=0,
        help="of folds and estimators (default: %(default)s)",
    )
    parser.add_argument("--bag-column", metavar="NAME", help="of a table (default: bag)")
    parser.add_argument("--label-column", metavar="NAME", help="of a table (default: label)")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="a table with columns slide_id (or the like) and label, for a folder with one file "
        "per bag; or the word subfolders, if these are named after the labels",
    )
    parser.add_argument("--save", metavar="FILE", type=Path, help="write all scores as JSON")
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show a progress bar (default: if standard error is a terminal)",
    )
    parser.add_argument("--list", action="store_true", help="list estimators and data sets")
    parser.add_argument("--version", action="version", version=f"skmil {__version__}")
    arguments = parser.parse_args(argv)
    arguments.estimators = _estimator_names(arguments.estimators)
    return arguments


def _estimator_names(text):
    names = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("--estimators names no estimator. See --list.")
    if names == ["all"]:
        return list(ESTIMATORS)
    for name in names:
        if name not in ESTIMATORS:
            raise unknown_name("estimator", name, ESTIMATORS)
    return names


def _integer(low, high=None):
    """Return a function that reads an integer from `low` to `high`."""

    def read(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {value}")
        if high is not None and value > high:
            raise argparse.ArgumentTypeError(f"must be at most {high}, got {value}")
        return value

    return read


def _folds(text):
    return text if text == PUBLISHED else _integer(2)(text)


def _jobs(text):
    value = _integer(-1)(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be a number of processes, or -1 for all cores")
    return value
