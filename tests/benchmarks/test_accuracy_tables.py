"""Tables and figures, made of nothing but the file of results."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tables
from _methods import METHODS
from _published import CLASSICS, PUBLISHED, published
from _results import FIELDS, Results
from _summary import mean_of, summarise

FOLDER = Path(tables.__file__).parent


def rows_of(data, method, n_correct, tuning="default", **changed):
    """Return rows of a cell; `n_correct` has a row for each repeat, with 10 bags in each fold."""
    return [
        {
            "data": data,
            "method": method,
            "tuning": tuning,
            "repeat": repeat,
            "fold": fold,
            "n_test": 10,
            "n_correct": int(count),
            "auc": 0.5 + 0.1 * fold,
            "settings": "hash",
            "code": "abc",
            **changed,
        }
        for repeat, counts in enumerate(n_correct)
        for fold, count in enumerate(counts)
    ]


@pytest.fixture
def made(tmp_path):
    """Return a function that makes everything of rows, and reads a table."""

    def make(rows):
        results = Results(tmp_path / "results.csv")
        if rows:
            results.append(rows, {})
        tables.main(["--results", str(results.path), "--to", str(tmp_path)])

        def read(name):
            with (tmp_path / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
                header, *lines = csv.reader(file)
            return {line[0]: dict(zip(header[1:], line[1:], strict=True)) for line in lines}

        return read

    return make


def test_means_and_spreads_of_a_cell(tmp_path):
    results = Results(tmp_path / "results.csv")
    leak = {"accuracy_best_epoch": 0.9, "accuracy_best_both": 1.0}
    results.append(rows_of("fox", "mi-net", [[5, 7], [6, 10]], **leak), {})
    (place, cell), *others = summarise(results.read().values()).items()
    assert place == ("fox", "mi-net", "default")
    assert not others
    assert cell.n_folds == 4
    assert cell.accuracy == pytest.approx(0.7)
    assert cell.over_folds == pytest.approx(np.std([0.5, 0.7, 0.6, 1.0], ddof=1))
    assert cell.over_repeats == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert cell.auc == pytest.approx(0.55)
    assert cell.best_epoch == pytest.approx(0.9)
    assert cell.best_both == 1.0
    assert np.isnan(cell.best_threshold)
    assert np.isnan(cell.log_loss)


def test_folds_of_different_sizes_count_alike():
    rows = rows_of("fox", "mi-net", [[5, 10]])
    rows[0]["n_test"] = 5
    rows[1]["n_test"] = 20
    cell = summarise([{**dict.fromkeys(FIELDS, ""), **row} for row in rows])
    assert cell["fox", "mi-net", "default"].accuracy == pytest.approx((1.0 + 0.5) / 2)


def test_results_stand_beside_the_printed_figures(made):
    full = np.full((5, 10), 7)
    rows = [row for data in CLASSICS for row in rows_of(data, "mi-net", full)]
    rows += rows_of("fox", "mean", full + 1)
    rows += rows_of("fox", "em-dd", full[:1, :3])
    rows += rows_of("fox", "mi-net", full + 2, tuning="nested")
    read = made(rows)
    classics = read("classics")
    assert classics["MI-Net"]["musk1"] == "0.700 (-0.187)"
    assert classics["MI-Net"]["fox"] == "0.700 (+0.078)"
    assert classics["MI-Net"]["mean"] == "0.700"
    assert classics["mean"]["fox"] == "0.800"
    assert classics["mean"]["mean"] == tables.NONE
    assert classics["EM-DD"]["fox"] == "0.700 (+0.091), 3 of 50 folds"
    assert "MILES" not in classics
    assert classics["EM-DD"]["tiger"] == tables.NONE
    assert read("classics_nested")["MI-Net"]["fox"] == "0.900 (+0.278)"
    assert "EM-DD" not in read("classics_nested")
    assert set(read("fox")) == {"MI-Net", "mean", "EM-DD"}
    details = read("fox")["MI-Net"]
    assert details["accuracy"] == "0.700"
    assert details["nested"] == "0.900"
    assert details["printed"] == "0.622"
    assert "messidor" in read("unrun")
    assert "fox" not in read("unrun")


def test_a_row_that_is_the_same_part_everywhere_says_so_once(made):
    part = np.full((1, 10), 7)
    read = made([row for data in CLASSICS for row in rows_of(data, "em-dd", part)])
    row = read("classics")["EM-DD, 10 of 50 folds"]
    assert row["tiger"] == "0.700 (-0.030)"
    assert row["mean"] == tables.NONE


def test_the_leak_stands_beside_the_honest_figure(made, tmp_path):
    figures = {"accuracy_best_epoch": 0.95, "accuracy_best_threshold": 0.85}
    figures |= {"accuracy_best_both": 0.975, "auc_best_epoch": 0.99}
    made(rows_of("musk2", "dp-minn-paper", np.full((5, 10), 8), **figures))
    text = (tmp_path / "tables.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if "DP-MINN paper" in line]
    leaks = {row[1]: row[2:] for row in rows if len(row) == 9}
    scores = ["0.800 (-0.126)", "0.950 (+0.024)", "0.850 (-0.076)", "0.975 (+0.049)"]
    assert leaks["musk2"] == [*scores, "0.926", "0.950", "0.990"]
    assert leaks["fox"] == [*[tables.NONE] * 4, "0.655", tables.NONE, tables.NONE]


def test_the_leak_has_a_mean_over_complete_data_sets():
    figures = {"accuracy_best_epoch": 0.95, "accuracy_best_both": 1.0}
    rows = [row for data in CLASSICS for row in full(data, "dp-minn-uncalibrated", **figures)]

    def mean(rows):
        leak = tables.leak(summarise(rows))
        return next(
            row[2:] for row in leak.rows if row[:2] == ["DP-MINN uncalibrated", "mean of classics"]
        )

    assert mean(rows)[:2] == ["0.700 (-0.156)", "0.950 (+0.094)"]
    assert mean(rows)[2:5] == [tables.NONE, "1.000 (+0.144)", "0.856"]
    assert mean(rows[1:])[0] == tables.NONE


def test_an_ablation_shows_spread_and_printed_figures(made):
    counts = np.full((5, 10), 8)
    counts[0] = 9
    read = made(rows_of("tiger", "dp-minn-t2", counts) + rows_of("tiger", "dp-minn-ce", counts))
    spread = np.std([0.9, 0.8, 0.8, 0.8, 0.8], ddof=1)
    assert read("T")["default, T = 2"]["tiger"] == f"0.820 ± {spread:.3f}"
    assert read("T")["printed, T = 2"]["tiger"] == "0.891"
    assert read("T")["printed, T = 3"]["mean"] == "0.856"
    assert read("loss")["default, cross-entropy"]["tiger"] == f"0.820 ± {spread:.3f}"
    assert read("loss")["printed, margin loss"]["tiger"] == "0.897"


def test_the_defaults_are_the_variant_with_three_iterations(made):
    read = made(rows_of("tiger", "dp-minn", np.full((5, 10), 8)))
    assert read("T")["default, T = 3"]["tiger"] == "0.800 ± 0.000"
    assert read("T")["default, T = 3"]["fox"] == tables.NONE
    assert "paper's configuration, T = 3" not in read("T")


def test_everything_is_made_of_nothing(made, tmp_path):
    read = made([])
    assert read("classics") == {}
    first = {path.name: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert {"leak.svg", "T.svg", "loss.svg", "tables.md"} <= set(first)
    assert "Newsgroups" not in (tmp_path / "tables.md").read_text(encoding="utf-8")
    made([])
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.*")} == first


def test_a_mean_is_over_complete_cells_only():
    cells = summarise(full("fox") + full("tiger")[:49])
    places = [(data, "mean", "default") for data in ("fox", "tiger")]
    assert mean_of(cells, places[:1]) == pytest.approx(0.7)
    assert np.isnan(mean_of(cells, places))
    assert np.isnan(mean_of(cells, []))


def full(data, method="mean", **changed):
    """Return all rows of a cell as they are read."""
    rows = rows_of(data, method, np.full((5, 10), 7), **changed)
    return [{**dict.fromkeys(FIELDS, ""), **row} for row in rows]


def test_printed_figures_belong_to_rows():
    assert {method for method, _ in PUBLISHED} <= set(METHODS)
    assert published("dp-minn", "musk1") == published("dp-minn-paper-t3", "musk1") == 0.907
    assert published("dp-minn-paper-ce", "fox") == published("dp-minn-ce", "fox") == 0.580
    assert published("dp-minn-t4", "musk1") == published("dp-minn-single-t4", "musk1") == 0.920
    assert published("mean", "musk1") is None
    # What the paper gives as means of its columns.
    assert np.mean([published("dp-minn", data) for data in CLASSICS]) == pytest.approx(
        0.856, abs=6e-4
    )
    news = [found for (method, data), found in PUBLISHED.items() if data.startswith("news_")]
    assert np.mean(news[:20]) == pytest.approx(0.851, abs=6e-4)
    assert np.mean(news[20:]) == pytest.approx(0.766, abs=6e-4)


def test_the_tables_in_the_repository_are_those_of_its_results(tmp_path):
    tables.main(["--to", str(tmp_path)])
    for path in [tmp_path / "tables.md", *(tmp_path / "tables").iterdir()]:
        stored = FOLDER / path.relative_to(tmp_path)
        assert stored.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), (
            f"run benchmarks/accuracy/tables.py: {stored.name} is not that of results.csv"
        )
    assert {path.name for path in (FOLDER / "tables").iterdir()} == {
        path.name for path in (tmp_path / "tables").iterdir()
    }
