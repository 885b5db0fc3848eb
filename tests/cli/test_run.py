import io
import json
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import RepeatedStratifiedKFold, cross_validate

from skmil._cli import _run, main
from skmil._cli._registry import ESTIMATORS, Entry
from skmil.datasets import list_datasets, load_digit_bags, make_bags

FAST = ["--estimators", "statistics"]


class Stumble(DummyClassifier):
    """A classifier that cannot be fitted."""

    def fit(self, X, y):
        raise RuntimeError("I fell")


@pytest.fixture
def table(tmp_path):
    """A table of three classes with names, one of them not ASCII."""
    pd = pytest.importorskip("pandas")
    data = make_bags(n_bags=24, n_features=3, n_informative=2, n_classes=3, random_state=0)
    frame = pd.DataFrame(data.bags.instances, columns=["x", "y", "z"])
    frame["molecule"] = data.bags.bag_index
    frame["kind"] = np.array(["inert", "sour", "süß"])[data.target[data.bags.bag_index]]
    frame.to_csv(tmp_path / "tastes.csv", index=False)
    return str(tmp_path / "tastes.csv")


def test_the_default_is_the_digits(capsys):
    assert main(FAST) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    bags = load_digit_bags(random_state=0).bags
    assert lines[0] == (
        f"digits: 200 bags (100 positive), {bags.n_instances} instances, 64 features"
    )
    assert lines[1].startswith("5-fold stratified cross-validation, seed 0; mean ± ")
    assert lines[3].split("  ")[0] == "estimator"
    assert lines[5].startswith("statistics  0.")
    assert len(lines) == 6
    assert max(map(len, lines)) < 80
    assert printed.err == ""


def test_saved_scores_are_those_of_scikit_learn_and_of_the_table(tmp_path, capsys):
    path = tmp_path / "results.json"
    options = ["--folds", "4", "--repeats", "2", "--seed", "3", "--save", str(path)]
    assert main(["synthetic", *FAST, *options]) == 0

    bags, y = make_bags(random_state=0, return_X_y=True)
    expected = cross_validate(
        ESTIMATORS["statistics"].build(False, 3),
        list(bags),
        y,
        cv=RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=3),
        scoring=["accuracy", "roc_auc"],
    )
    record = json.loads(path.read_text(encoding="utf-8"))
    folds = record["estimators"]["statistics"]["folds"]
    assert_allclose([fold["accuracy"] for fold in folds], expected["test_accuracy"])
    assert_allclose([fold["auc"] for fold in folds], expected["test_roc_auc"])
    assert record["settings"] == {"folds": 4, "repeats": 2, "seed": 3, "jobs": 1}
    assert record["data"]["name"] == "synthetic"
    assert record["data"]["n_instances"] == bags.n_instances
    row = capsys.readouterr().out.splitlines()[-1]
    accuracy = expected["test_accuracy"]
    assert f"{accuracy.mean():.3f} ± {accuracy.std():.3f}" in row


def test_two_runs_give_the_same_scores(tmp_path):
    records = []
    for name in ("a.json", "b.json"):
        path = tmp_path / name
        assert main(["synthetic", "--estimators", "misvm-bag", "--save", str(path)]) == 0
        folds = json.loads(path.read_text(encoding="utf-8"))["estimators"]["misvm-bag"]["folds"]
        records.append([(fold["accuracy"], fold["auc"]) for fold in folds])
    assert records[0] == records[1]


@pytest.mark.slow
def test_all_estimators_on_a_table_with_three_named_classes(table, tmp_path, capsys):
    path = tmp_path / "results.json"
    columns = ["--bag-column", "molecule", "--label-column", "kind"]
    options = ["--estimators", "all", "--folds", "2", "--save", str(path)]
    assert main([table, *columns, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tastes.csv: 24 bags (3 classes), ")
    assert lines[2] == "AUC: mean over classes, each against the rest"
    assert len(lines) == 6 + len(ESTIMATORS)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert [c["label"] for c in record["data"]["classes"]] == ["inert", "sour", "süß"]
    assert all(
        0 <= fold["auc"] <= 1 for row in record["estimators"].values() for fold in row["folds"]
    )


def test_the_list_of_names(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = {word for line in lines for word in line.split()}
    assert {*ESTIMATORS, "digits", "synthetic", *list_datasets()} <= words
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "1"], "argument --folds: must be at least 2, got 1"),
        (["--estimators", "statistic"], "unknown estimator 'statistic'. Did you mean statistics?"),
        (["digit"], "unknown data set 'digit'. Did you mean digits?"),
        (["nothing.npz"], "there is no file nothing.npz."),
        (["--folds", "101"], "--folds 101 is more than the 100 bags of the smallest class, 0."),
        (
            ["--folds", "published"],
            "--folds published needs data with folds, such as an .npz file with an array 'folds', "
            "or folds_5x10.csv in the folder of a published data set. Give a number instead.",
        ),
        (["--save", "no/where.json"], "--save no/where.json: there is no directory no."),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", f"skmil: error: {message}\n")


def test_an_error_of_several_lines_becomes_one(tmp_path, capsys):
    pytest.importorskip("pandas")
    path = tmp_path / "bags.csv"
    path.write_text('bag,label,x\n1,0,"2\n', encoding="utf-8")
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_results_are_not_saved_into_a_directory(tmp_path, capsys):
    assert main(["--save", str(tmp_path)]) == 2
    assert "this is a directory" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_refused_before_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main(["--save", str(tmp_path / "results.json")]) == 2
    printed = capsys.readouterr()
    assert "not allowed to write there" in printed.err
    assert printed.out == ""


def test_a_disk_that_fails_later_is_no_crash(tmp_path, capsys, monkeypatch):
    def write_text(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", write_text)
    assert main(["synthetic", *FAST, "--save", str(tmp_path / "results.json")]) == 2
    printed = capsys.readouterr()
    assert "No space left on device" in printed.err
    assert "statistics  0." in printed.out


def test_an_estimator_that_fails_shows_as_failed_beside_the_others(monkeypatch, tmp_path, capsys):
    stumble = Entry("stumble", "falls", lambda sparse, seed: Stumble())
    monkeypatch.setitem(ESTIMATORS, "stumble", stumble)
    path = tmp_path / "results.json"
    arguments = ["synthetic", "--estimators", "stumble,statistics", "--save", str(path)]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-2].split() == ["stumble", "failed", "-", "-", "-"]
    assert "statistics  0." in printed.out
    assert printed.err == "skmil: error: stumble, 5 of 5 folds: RuntimeError: I fell\n"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["estimators"]["stumble"]["folds"][0]["accuracy"] is None


def test_an_interruption_ends_with_130_and_no_traceback(monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_run, "_evaluate", interrupt)
    assert main(FAST) == 130
    assert capsys.readouterr().err == "skmil: interrupted\n"


def test_the_progress_bar_is_shown_when_asked_for_and_kept_out_of_the_results(capsys):
    assert main(["synthetic", *FAST, "--progress"]) == 0
    printed = capsys.readouterr()
    assert "statistics:" in printed.err
    assert "fold" not in printed.out.split("\n", 2)[2]


def test_a_stream_that_knows_only_ascii_gets_ascii(monkeypatch, table):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    columns = ["--bag-column", "molecule", "--label-column", "kind"]
    assert main([table, *columns, "--folds", "2", *FAST]) == 0
    text = stream.buffer.getvalue().decode("ascii")
    assert "mean+/-standard deviation" in text
    lines = text.splitlines()
    assert len(lines[-1]) == len(lines[-2]) == len(lines[-3])
