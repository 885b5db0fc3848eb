"""The algorithmic unit tests of the MIL assumption, run on every named estimator.

The table of ``benchmarks/accuracy/mil_assumption.txt`` is a finding, not a pass mark. What is
tested is that it still holds where the outcome was clear-cut.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from skmil import Bags
from skmil._cli._registry import ESTIMATORS
from skmil.datasets import make_assumption_test

FOLDER = Path(__file__).parents[1] / "benchmarks" / "accuracy"
TABLE = (FOLDER / "mil_assumption.txt").read_text(encoding="utf-8")


def load(name):
    """Import a script of the folder."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


benchmark = load("mil_assumption")
five = load("assumptions")

# The score of a bag is that of its best instance, whatever else is in the bag.
BEST_INSTANCE = ("instance-net", "misvm-bag", "misvm-instance", "em-dd")


def rows():
    """Return the cells of each estimator: three times train, test, range and verdict."""
    lines = TABLE.splitlines()[3:]
    width = max(len(entry.title) for entry in ESTIMATORS.values())
    return {line[:width].strip(): line[width:].split() for line in lines}


def test_the_table_has_every_estimator_and_says_what_its_figures_say():
    table = rows()
    assert list(table) == [entry.title for entry in ESTIMATORS.values()]
    for cells in table.values():
        assert len(cells) == 12
        for train, test, spread, verdict in zip(*[iter(cells)] * 4, strict=True):
            low, high = map(float, spread.split("-"))
            assert low <= float(test) <= high
            # Two digits do not tell 0.499 from 0.5.
            if abs(low - 0.5) > 0.005 and abs(high - 0.5) > 0.005:
                assert verdict == benchmark.verdict([float(train)], [low, high])


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ([0.9, 1.0], [0.6, 0.9], "pass"),
        ([0.9, 1.0], [0.1, 0.4], "fail"),
        ([0.9, 1.0], [0.4, 0.6], "-"),
        ([0.5, 0.6], [0.9, 0.9], "-"),
    ],
)
def test_verdict(train, test, expected):
    assert benchmark.verdict(train, test) == expected


def test_cell():
    cell = benchmark.cell(np.array([0.9, 1.0]), np.array([0.62, 0.9]))
    assert cell == "    0.95  0.76 0.62-0.90 pass "


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_on_small_versions(name):
    cells = rows()[ESTIMATORS[name].title]
    for i, test in enumerate(benchmark.TESTS):
        areas = benchmark.areas(name, test, n_bags=60, n_seeds=1)
        assert np.isfinite(areas).all()
        assert areas.min() >= 0
        assert areas.max() <= 1
        low, high = map(float, cells[4 * i + 2].split("-"))
        if low >= 0.85:
            assert areas[1, 0] > 0.5, test
        if high <= 0.15:
            assert areas[0, 0] > 0.5, test
            assert areas[1, 0] < 0.5, test


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_seed_gives_the_same_areas(name):
    # Small and of one test only: the networks take most of the time.
    first, again = (benchmark.areas(name, "multi_concept", 20, 1) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def without_poison(bags, labels):
    is_kept = labels >= 0
    sizes = np.add.reduceat(is_kept, bags.offsets[:-1], dtype=np.int64)
    return Bags(bags.instances[is_kept], np.concatenate([[0], np.cumsum(sizes)]))


@pytest.mark.parametrize("name", BEST_INSTANCE)
def test_poison_cannot_lower_the_score_of_the_best_instance(name):
    data = make_assumption_test("single_concept", n_bags=60, random_state=0)
    model = ESTIMATORS[name].build(False, 0).fit(data.bags_train, data.target_train)
    clean = without_poison(data.bags_test, data.instance_labels_test)
    if hasattr(model, "decision_function"):
        change = model.decision_function(data.bags_test) - model.decision_function(clean)
    else:
        change = (model.predict_proba(data.bags_test) - model.predict_proba(clean))[:, 1]
    assert change.min() > -1e-6


def test_the_table_of_five_assumptions_has_every_estimator():
    head, *lines = (FOLDER / "assumptions.txt").read_text(encoding="utf-8").splitlines()
    assert head.split() == list(five.ASSUMPTIONS)
    width = max(len(entry.title) for entry in ESTIMATORS.values())
    assert [line[:width].strip() for line in lines] == [e.title for e in ESTIMATORS.values()]
    assert all(len(line[width:].split()) == 5 for line in lines)


def test_presence_cannot_be_learnt_from_the_best_instance_but_can_be_from_statistics():
    assert five.area("misvm-bag", "standard", 60, 1) > 0.9
    assert five.area("misvm-bag", "presence", 60, 1) < 0.7
    assert five.area("statistics", "presence", 60, 1) > 0.9
    assert five.area("mean", "collective", 60, 1) > 0.9
