"""Running cells: what is run, what is not run again, and what a classifier gets to see."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import _protocol
import numpy as np
import pytest
import run
from _grids import GRIDS
from _methods import METHODS, Method
from _results import FIELDS
from sklearn.base import BaseEstimator, ClassifierMixin

from skmil import DPMINNClassifier
from skmil.datasets import make_bags


@pytest.fixture(autouse=True)
def _same_process(monkeypatch):
    """Leave the threads of the test process as they are."""
    monkeypatch.setattr(_protocol, "_set_up_process", lambda: None)


@pytest.fixture
def folder(tmp_path):
    """Write a small data set; its first feature is the number of the bag."""
    bags, y = make_bags(n_bags=30, n_features=6, random_state=0, return_X_y=True)
    instances = bags.instances.copy()
    instances[:, 0] = bags.bag_index
    np.savez(tmp_path / "small.npz", instances=instances, offsets=bags.offsets, y=y)
    return tmp_path


def tiny(T=2):
    def build(case):
        return DPMINNClassifier((4,), T=T, max_epochs=2, dropout=0.2, random_state=case.seed)

    return Method(f"tiny {T}", build)


@pytest.fixture
def execute(folder, monkeypatch):
    """Return a function that runs cells and returns the rows, and how many folds were run."""
    monkeypatch.setitem(METHODS, "tiny", tiny())
    calls = []

    def counted(task):
        calls.append(task)
        return _protocol.run(task)

    monkeypatch.setattr(run, "run", counted)

    def execute(*arguments, methods="tiny"):
        calls.clear()
        file = folder / "results.csv"
        options = ["--data-dir", str(folder), "--results", str(file), "--data", "small"]
        execute.code = run.main([*options, "--methods", methods, "--folds", "2", *arguments])
        with file.open() as lines:
            return list(csv.DictReader(lines)), len(calls)

    return execute


def without_time(rows):
    return [{**row, "seconds": None} for row in rows]


def test_a_row_tells_of_a_fold(execute):
    rows, n_calls = execute("--repeats", "0,2-3")
    assert n_calls == len(rows) == 6
    assert [(row["repeat"], row["fold"]) for row in rows] == [(r, f) for r in "023" for f in "01"]
    for row in rows:
        assert row["n_test"] == "3"
        assert float(row["accuracy"]) == pytest.approx(int(row["n_correct"]) / 3, abs=1e-4)
        assert 0 <= float(row["auc"]) <= 1
        assert float(row["log_loss"]) > 0
        assert row["best_epoch"] in ("1", "2")
        assert float(row["accuracy"]) <= float(row["accuracy_best_epoch"])
        assert float(row["accuracy"]) <= float(row["accuracy_best_threshold"])
        best = max(float(row["accuracy_best_epoch"]), float(row["accuracy_best_threshold"]))
        assert best <= float(row["accuracy_best_both"])
    assert execute.code == 0


def test_figures_are_those_of_a_plain_fit(execute, folder):
    rows, _ = execute("--repeats", "1")
    source = str(folder / "small.npz")
    data = _protocol.load(source)
    split = _protocol.splits(source)[1, 1]
    model = tiny().build(_protocol.Case("small", False, 27, seed=11))
    predicted = model.fit(data.bags[split.train], data.y[split.train]).predict(
        data.bags[split.test]
    )
    assert int(rows[1]["n_correct"]) == np.sum(predicted == data.y[split.test])


def test_the_leak_looks_at_all_epochs_and_ends_with_the_fitted_network(folder):
    data = _protocol.load(str(folder / "small.npz"))
    model = DPMINNClassifier((4,), max_epochs=1, random_state=0).fit(data.bags, data.y)
    last = model.decision_function(data.bags)
    assert not np.array_equal(last > 0, data.y)
    perfect, opposite = data.y - 0.5, 0.5 - data.y
    follower = SimpleNamespace(scores_=[opposite, perfect, opposite])
    assert _protocol._leaks(model, data.bags, data.y, follower)["best_epoch"] == 2
    follower = SimpleNamespace(scores_=[opposite, perfect])  # the weights may be averages
    figures = _protocol._leaks(model, data.bags, data.y, follower)
    assert figures["best_epoch"] == 2
    assert figures["accuracy_best_epoch"] == np.mean((last > 0) == data.y)


def test_nothing_is_run_twice(execute, folder):
    first, _ = execute()
    again, n_calls = execute()
    assert n_calls == 0
    assert again == first
    file = folder / "results.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:4] + lines[5:-1]) + lines[-1][:20])  # killed while it wrote
    resumed, n_calls = execute()
    assert n_calls == 2
    assert without_time(resumed) == without_time(first)


def test_again_gives_the_same_figures(execute):
    first, _ = execute("--repeats", "0")
    again, n_calls = execute("--repeats", "0", "--again")
    assert n_calls == 2
    assert without_time(again) == without_time(first)


def test_other_settings_replace_a_row(execute, monkeypatch, folder):
    first, _ = execute("--repeats", "0")
    monkeypatch.setitem(METHODS, "tiny", tiny(T=1))
    kept, n_calls = execute("--repeats", "0", "--keep")
    assert n_calls == 0
    assert kept == first
    changed, n_calls = execute("--repeats", "0")
    assert n_calls == len(changed) == 2
    assert {row["settings"] for row in changed}.isdisjoint(row["settings"] for row in first)
    settings = json.loads((folder / "results.settings.json").read_text())
    assert {settings[row["settings"]]["T"] for row in changed} == {"1"}


def test_methods_with_the_same_settings_are_run_once(execute, monkeypatch):
    monkeypatch.setitem(METHODS, "twin", tiny())
    monkeypatch.setitem(METHODS, "triplet", tiny())
    rows, n_calls = execute("--repeats", "0", methods="tiny,twin")
    assert n_calls == 2
    assert len(rows) == 4
    rows, n_calls = execute("--repeats", "0", methods="triplet")
    assert n_calls == 0
    figures = [{**row, "method": None, "seconds": None} for row in rows]
    assert figures[0::2] == [figures[0]] * 3
    assert {row["method"] for row in rows} == {"tiny", "twin", "triplet"}


def test_a_method_that_fails_does_not_stop_the_others(execute, monkeypatch, capsys):
    broken = Method("broken", lambda case: DPMINNClassifier((0,)))
    monkeypatch.setitem(METHODS, "broken", broken)
    rows, _ = execute("--repeats", "0", methods="broken,tiny")
    assert execute.code == 1
    assert {row["method"] for row in rows} == {"tiny"}
    assert "hidden_layer_sizes" in capsys.readouterr().err


class Spy(ClassifierMixin, BaseEstimator):
    """Predict the positive class from a level on, and remember what was seen."""

    seen = []

    def __init__(self, level=0.0):
        self.level = level

    def fit(self, X, y):
        Spy.seen.append(("fit", self.level, self.numbers(X)))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        numbers = self.numbers(X)
        Spy.seen.append(("predict", self.level, numbers))
        return (np.array(sorted(numbers)) >= self.level).astype(int)

    @staticmethod
    def numbers(X):
        return {int(bag[0, 0]) for bag in X}


def test_a_search_sees_the_training_fold_only(execute, monkeypatch, folder):
    monkeypatch.setitem(METHODS, "spy", Method("spy", lambda case: Spy()))
    # Half of the labels are positive: the middle level is right for half of the bags or more.
    monkeypatch.setitem(GRIDS, "spy", {"level": [5, 15, 40]})
    Spy.seen.clear()
    rows, _ = execute("--repeats", "0", "--tuning", "nested", methods="spy")
    splits = _protocol.splits(str(folder / "small.npz"))
    per_fold = 3 * 5 * 2 + 2  # a fit and a prediction for each inner fold, and the last ones
    assert len(Spy.seen) == 2 * per_fold
    for fold in range(2):
        *inner, last_fit, last = Spy.seen[fold * per_fold : (fold + 1) * per_fold]
        train, test = (set(part.tolist()) for part in splits[0, fold][2:])
        assert all(numbers < train for _, _, numbers in inner)
        assert last_fit[2] == train
        assert last[2] == test
        chosen = json.loads(rows[fold]["chosen"])["level"]
        assert last[1] == last_fit[1] == chosen
        assert rows[fold]["auc"] == rows[fold]["best_epoch"] == ""


def test_a_search_takes_the_best_candidate_of_the_inner_folds(folder, monkeypatch):
    source = str(folder / "small.npz")
    data = _protocol.load(source)
    monkeypatch.setitem(METHODS, "tiny", tiny())
    monkeypatch.setitem(GRIDS, "tiny", {"T": [1, 3]})
    search = _protocol.build("tiny", source, "small", 0, 0, "nested")
    train = _protocol.splits(source)[0, 0].train
    search.fit(data.bags[train], data.y[train])
    means = search.cv_results_["mean_test_score"]
    task = _protocol.Task(source, "small", ("tiny",), "nested", 0, 0)
    _, figures, _ = _protocol.run(task)
    assert json.loads(figures["chosen"]) == {"T": [1, 3][int(np.argmax(means))]}
    assert figures["best_epoch"] in (1, 2)


def test_the_folds_are_the_published_ones_where_there_are_some(folder):
    data = np.load(folder / "small.npz")
    folds = np.stack([np.roll(np.arange(30) % 10, k) for k in range(5)]).astype(np.int8)
    np.savez(folder / "with_folds.npz", **data, folds=folds)
    splits = _protocol.splits(str(folder / "with_folds.npz"))
    assert len(splits) == 50
    np.testing.assert_array_equal(splits[3, 4].test, np.flatnonzero(folds[3] == 4))
    drawn = _protocol.splits(str(folder / "small.npz"))
    assert len(drawn) == 50
    assert {int(data["y"][split.test].sum()) for split in drawn.values()} <= {1, 2}


def test_check_compares_with_what_is_stored(execute, folder, capsys):
    execute("--repeats", "0")
    capsys.readouterr()
    execute("--check", "tiny", "small")
    out = capsys.readouterr().out
    assert execute.code == 0
    assert "largest difference 0.000" in out
    assert "\nwithin the run-to-run spread" in out
    file = folder / "results.csv"
    lines = file.read_text().splitlines()
    cells = lines[1].split(",")
    place = FIELDS.index("n_correct")
    cells[place] = str((int(cells[place]) + 1) % 4)
    file.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    execute("--check", "tiny", "small")
    assert execute.code == 1
    assert "NOT within" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "nobody"], "no method 'nobody'"),
        (["--data", "nothing"], "no data set 'nothing'"),
        (["--repeats", "0-7"], "0 to 4"),
        (["--repeats", "one"], "needs numbers"),
    ],
)
def test_mistakes_are_named(folder, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run.main(["--data-dir", str(folder), *arguments])
    assert message in capsys.readouterr().err


def test_groups_leave_out_what_is_not_there(folder):
    options = run.parse(["--data-dir", str(folder), "--data", "classics,small"])
    assert list(options.data) == ["small"]


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(folder):
    found = []
    for jobs in ("1", "2"):
        file = folder / f"jobs{jobs}.csv"
        script = Path(run.__file__)
        command = [sys.executable, str(script), "--data-dir", str(folder), "--data", "small"]
        command += ["--methods", "mean,attention", "--repeats", "0", "--folds", "2"]
        command += ["--jobs", jobs, "--results", str(file)]
        subprocess.run(command, check=True, capture_output=True)
        with file.open() as lines:
            found.append(without_time(csv.DictReader(lines)))
    assert found[0] == found[1]
    assert len(found[0]) == 4
