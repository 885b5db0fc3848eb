import importlib.metadata
import json

from sklearn.dummy import DummyClassifier

import skmil
from skmil._cli._evaluate import FoldResult
from skmil._cli._report import (
    build_record,
    describe_data,
    describe_problems,
    describe_settings,
    format_table,
)

GOOD = [
    FoldResult(0, 0, 8, 2, accuracy=0.5, auc=0.25, fit_seconds=1.0, predict_seconds=0.5),
    FoldResult(0, 1, 8, 2, accuracy=1.0, auc=0.75, fit_seconds=2.0, predict_seconds=0.25),
]
UNSCORED = [
    FoldResult(0, 0, 8, 2, accuracy=0.5, fit_seconds=10.0, predict_seconds=0.5),
    FoldResult(0, 1, 8, 2, accuracy=0.5, fit_seconds=1000.0, predict_seconds=0.5),
]
BROKEN = [
    FoldResult(0, 0, 8, 2, accuracy=1.0, auc=1.0, fit_seconds=1.0, predict_seconds=1.0),
    FoldResult(0, 1, 8, 2, error="ValueError: no", warnings=("UserWarning: hm",)),
]


def facts(*classes):
    return {
        "name": "some.csv",
        "n_bags": 12,
        "n_instances": 34,
        "n_features": 5,
        "classes": [{"label": label, "n_bags": n_bags} for label, n_bags in classes],
    }


def test_data_in_a_line():
    rest = "34 instances, 5 features"
    assert describe_data(facts((0, 8), (1, 4))) == f"some.csv: 12 bags (4 positive), {rest}"
    assert describe_data(facts(("n", 8), ("y", 4))) == f"some.csv: 12 bags (4 positive: y), {rest}"
    assert describe_data(facts((0, 8), (1, 2), (2, 2))) == f"some.csv: 12 bags (3 classes), {rest}"


def test_settings_in_a_line():
    settings = {"folds": 5, "repeats": 1, "seed": 3}
    once = "5-fold stratified cross-validation, seed 3; mean ± standard deviation"
    assert describe_settings(settings, 2) == once
    assert describe_settings(settings, 3).splitlines() == [
        once,
        "AUC: mean over classes, each against the rest",
    ]
    assert "cross-validation, 10 times, seed" in describe_settings(settings | {"repeats": 10}, 2)
    published = describe_settings(settings | {"folds": "published", "repeats": 5}, 2)
    assert published.startswith("cross-validation on the published folds, 5 times, seed 3;")


def test_the_table_holds_means_and_standard_deviations():
    titles = {"a": "GOOD", "b": "unscored", "c": "broken"}
    table = format_table(titles, {"a": GOOD, "b": UNSCORED, "c": BROKEN})
    assert table.splitlines() == [
        "estimator       accuracy            AUC  fit (s)  predict (s)",
        "---------  -------------  -------------  -------  -----------",
        "GOOD       0.750 ± 0.250  0.500 ± 0.250    1.500        0.375",
        "unscored   0.500 ± 0.000              -  505.000        0.500",
        "broken            failed              -        -            -",
    ]


def test_problems_say_where_and_how_often():
    lines = describe_problems({"a": "GOOD", "c": "broken"}, {"a": GOOD, "c": BROKEN})
    assert lines == [
        "skmil: error: broken, 1 of 2 folds: ValueError: no",
        "skmil: warning: broken, 1 of 2 folds: UserWarning: hm",
    ]


def test_the_record_holds_everything_and_survives_json():
    record = build_record(
        facts((0, 8), (1, 4)),
        {"folds": 2},
        {"a": DummyClassifier(strategy="prior", random_state=3)},
        {"a": "GOOD"},
        {"a": GOOD},
    )
    record = json.loads(json.dumps(record, allow_nan=False))
    assert record["data"]["n_bags"] == 12
    assert record["settings"] == {"folds": 2}
    assert record["versions"]["skmil"] == skmil.__version__
    assert record["versions"]["numpy"] == importlib.metadata.version("numpy")
    assert record["estimators"]["a"]["title"] == "GOOD"
    assert record["estimators"]["a"]["definition"] == "DummyClassifier(random_state=3)"
    assert record["estimators"]["a"]["folds"][1] == {
        "repeat": 0,
        "fold": 1,
        "n_train": 8,
        "n_test": 2,
        "accuracy": 1.0,
        "auc": 0.75,
        "fit_seconds": 2.0,
        "predict_seconds": 0.25,
        "warnings": [],
        "error": None,
    }


def test_packages_that_are_not_installed_have_no_version(monkeypatch):
    def version(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert set(build_record({}, {}, {}, {}, {})["versions"]) == {"skmil", "python"}
