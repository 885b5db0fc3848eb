import re
from pathlib import Path

import pytest

import skmil
from skmil._cli._arguments import parse_arguments
from skmil._cli._errors import UsageError
from skmil._cli._registry import DEFAULT, ESTIMATORS


def test_defaults():
    arguments = parse_arguments([])
    assert arguments.data == "digits"
    assert arguments.estimators == list(DEFAULT)
    assert (arguments.folds, arguments.repeats, arguments.jobs, arguments.seed) == (5, 1, 1, 0)
    assert arguments.bag_column is arguments.label_column is arguments.save is None
    assert arguments.progress is None
    assert arguments.list is False


def test_every_option():
    line = """bags.csv --estimators statistics --folds 3 --repeats 2 --jobs -1 --seed 7
        --bag-column b --label-column l --save out.json --no-progress --list"""
    arguments = parse_arguments(line.split())
    assert arguments.data == "bags.csv"
    assert arguments.estimators == ["statistics"]
    assert (arguments.folds, arguments.repeats, arguments.jobs, arguments.seed) == (3, 2, -1, 7)
    assert (arguments.bag_column, arguments.label_column) == ("b", "l")
    assert arguments.save == Path("out.json")
    assert arguments.progress is False
    assert arguments.list is True


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("statistics,dp-minn", ["statistics", "dp-minn"]),
        (" Statistics , DP-MINN ,", ["statistics", "dp-minn"]),
        ("statistics,statistics", ["statistics"]),
        ("all", list(ESTIMATORS)),
        ("ALL", list(ESTIMATORS)),
    ],
)
def test_names_of_estimators(text, names):
    assert parse_arguments(["--estimators", text]).estimators == names


def test_published_folds():
    assert parse_arguments(["--folds", "published"]).folds == "published"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--estimators statistic", "unknown estimator 'statistic'. Did you mean statistics?"),
        ("--estimators ,", "--estimators names no estimator"),
        ("--estimators", "--estimators: expected one argument"),
        ("--folds 1", "--folds: must be at least 2, got 1"),
        ("--folds many", "--folds: 'many' is not an integer"),
        ("--folds 2.5", "--folds: '2.5' is not an integer"),
        ("--repeats 0", "--repeats: must be at least 1, got 0"),
        ("--jobs 0", "--jobs: must be a number of processes, or -1 for all cores"),
        ("--jobs -2", "--jobs: must be at least -1, got -2"),
        ("--seed -1", "--seed: must be at least 0, got -1"),
        ("--seed 4294967296", "--seed: must be at most 4294967295, got 4294967296"),
        ("--fold 3", "unrecognized arguments: --fold"),
        ("digits synthetic", "unrecognized arguments: synthetic"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_arguments(arguments.split())


def test_version_and_help(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        parse_arguments(["--version"])
    assert capsys.readouterr().out == f"skmil {skmil.__version__}\n"
    with pytest.raises(SystemExit, match=r"^0$"):
        parse_arguments(["--help"])
    assert "usage: python -m skmil" in capsys.readouterr().out


def test_help_fits_into_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
