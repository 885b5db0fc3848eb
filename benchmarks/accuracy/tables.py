"""Make every table and figure of accuracy from the file of results alone.

    python benchmarks/accuracy/tables.py [--results FILE] [--to DIR]

Writes `tables.md`, for reading, and `tables/*.csv` and `figures/*.svg` for the documentation.
Methods without any result are left out. An en dash stands where others have none, and what is not
over all 50 folds says so.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _figures import CONFIGURATIONS, draw_ablation, draw_leak
from _methods import METHODS
from _published import CLASSICS, PUBLISHED, SPREAD, published
from _results import Results
from _summary import N_FOLDS, Cell, mean_of, summarise

NONE = "\N{EN DASH}"
NEWSGROUPS = (
    *("news_alt_atheism", "news_comp_graphics", "news_comp_sys_mac_hardware"),
    *("news_misc_forsale", "news_rec_motorcycles", "news_rec_sport_hockey", "news_sci_crypt"),
    *("news_sci_space", "news_soc_religion_christian", "news_talk_politics_guns"),
)
OTHERS = ("birds", "derived_colon_nuclei", "derived_ucsb_breast")
GROUPS = {"classics": CLASSICS, "newsgroups": NEWSGROUPS, "others": OTHERS}
TUNINGS = {"default": "default parameters", "nested": "parameters from inner cross-validation"}
#: The rows of the tables of all methods, DP-MINN first; the rest is for the ablations.
ROWS = sorted(
    (
        name
        for name in METHODS
        if not name.startswith(("dp-minn-t", "dp-minn-single-", "dp-minn-paper-"))
    ),
    key=lambda name: not name.startswith("dp-minn"),
)
#: Networks that are never calibrated, so that all their epochs have the same threshold.
LEAKY = (
    *("dp-minn-paper", "dp-minn-uncalibrated", "dp-minn-single"),
    *("mi-net", "mi-net-ds", "attention"),
)
#: What the ablations vary: the ends of the names of methods, and what they mean.
T_VARIANTS = {f"-t{T}": f"T = {T}" for T in range(1, 6)}
LOSS_VARIANTS = {"": "margin loss", "-ce": "cross-entropy"}


class Table(NamedTuple):
    """A table of text; `name` is that of its file."""

    name: str
    title: str
    header: list
    rows: list


def main(argv=None):
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=here / "results.csv")
    parser.add_argument("--to", type=Path, default=here)
    options = parser.parse_args(argv)
    rows = list(Results(options.results).read().values())
    cells = under_both_names(summarise(rows))
    for folder in ("tables", "figures"):
        (options.to / folder).mkdir(parents=True, exist_ok=True)
    tables = all_tables(cells)
    for table in tables:
        if table.name not in (*NEWSGROUPS, *OTHERS):
            write_csv(table, options.to / "tables" / f"{table.name}.csv")
    text = "\n\n".join([introduction(rows), *(markdown(table) for table in tables if table.rows)])
    (options.to / "tables.md").write_text(text + "\n", encoding="utf-8")
    draw(cells, options.to / "figures")


def under_both_names(cells):
    """Return the cells, those of each configuration also as the variant with T = 3."""
    same = {
        (data, f"{method}-t3", tuning): cell
        for (data, method, tuning), cell in cells.items()
        if method in CONFIGURATIONS
    }
    return same | cells


def draw(cells, folder):
    """Draw all figures."""
    paper = any(method == "dp-minn-paper" for _, method, _ in cells)
    draw_leak(cells, folder / "leak.svg", "dp-minn-paper" if paper else "dp-minn")
    draw_ablation(cells, folder / "T.svg", {f"-t{T}": T for T in range(1, 6)}, "T")
    draw_ablation(cells, folder / "loss.svg", {"": "margin", "-ce": "cross-\nentropy"})


def all_tables(cells):
    """Return all tables."""
    tables = [
        overview(cells, group, names, tuning)
        for group, names in GROUPS.items()
        for tuning in TUNINGS
    ]
    tables += [
        ablation(cells, "T", "Iterations of dynamic pooling", T_VARIANTS),
        ablation(cells, "loss", "Loss", LOSS_VARIANTS),
        leak(cells),
        unrun(cells),
    ]
    return tables + [details(cells, data) for names in GROUPS.values() for data in names]


def overview(cells, group, names, tuning):
    """Return the accuracies of all methods on a group of data sets."""
    name = group if tuning == "default" else f"{group}_{tuning}"
    rows = []
    for method in ROWS:
        places = [(data, method, tuning) for data in names]
        found = [cells.get(place) for place in places]
        if not any(found):
            continue
        label = METHODS[method].title
        figures = [beside(cells, place) for place in places]
        means = [number(mean_of(cells, places))] if group != "others" else []
        if None not in found and len({cell.n_folds for cell in found}) == 1:
            part = part_of(found[0])  # said once for all cells
            label, figures = label + part, [figure.removesuffix(part) for figure in figures]
        rows.append([label, *figures, *means])
    header = ["", *map(short, names), *(["mean"] if group != "others" else [])]
    title = f"{group.capitalize()}, {TUNINGS[tuning]}: accuracy (difference to the printed one)"
    return Table(name, title, header, rows)


def beside(cells, place):
    """Return an accuracy, and its difference to the printed one in brackets."""
    data, method, _ = place
    if (cell := cells.get(place)) is None:
        return NONE
    return difference(cell.accuracy, published(method, data)) + part_of(cell)


def difference(accuracy, printed):
    """Return an accuracy, and its difference to the printed one if there is one."""
    if printed is None or np.isnan(accuracy):
        return number(accuracy)
    return f"{accuracy:.3f} ({accuracy - printed:+.3f})"


def ablation(cells, name, title, variants):
    """Return accuracies of variants of DP-MINN on the classics, and the printed ones."""
    rows = []
    for stem, label in CONFIGURATIONS.items():
        for end, variant in variants.items():
            places = [(data, stem + end, "default") for data in CLASSICS]
            if any(place in cells for place in places):
                found = [with_spread(cells.get(place)) for place in places]
                rows.append([f"{label}, {variant}", *found, number(mean_of(cells, places))])
    for end, variant in variants.items():
        printed = [published(f"dp-minn{end}", data) for data in CLASSICS]
        rows.append([f"printed, {variant}", *map(number, printed), number(np.mean(printed))])
    title += ": accuracy ± standard deviation over repeats"
    return Table(name, title, ["DP-MINN", *map(short, CLASSICS), "mean"], rows)


def leak(cells):
    """Return what the same runs score if the test fold has a say."""
    header = ["", "data", "honest", "best epoch", "best threshold", "both", "printed"]
    header += ["AUC", "AUC, best epoch"]
    rows = []
    for method in LEAKY:
        for group, names in (("classics", CLASSICS), ("newsgroups", NEWSGROUPS)):
            if any((data, method, "default") in cells for data in names):
                rows += [leak_row(cells, method, [data], short(data)) for data in names]
                rows.append(leak_row(cells, method, names, f"mean of {group}"))
    title = "The leak: the same runs, scored with the help of the test folds"
    return Table("leak", f"{title} (difference to the printed accuracy)", header, rows)


def leak_row(cells, method, names, label):
    """Return the figures of a data set, or the means of several."""
    found = [cells.get((data, method, "default")) for data in names]
    printed = [published(method, data) for data in names]
    printed = None if None in printed else np.mean(printed)
    row = [METHODS[method].title, label, *[NONE] * 4, number(printed), NONE, NONE]
    is_part = len(names) > 1 and any(cell is None or cell.n_folds < N_FOLDS for cell in found)
    if None in found or is_part:
        return row
    cell = Cell(*np.mean(found, axis=0))
    scores = cell.accuracy, cell.best_epoch, cell.best_threshold, cell.best_both
    row[2:6] = [difference(score, printed) for score in scores]
    row[2] += part_of(cell)
    row[7:] = number(cell.auc), number(cell.auc_best_epoch)
    return row


def unrun(cells):
    """Return the printed figures of data sets for which there are no results."""
    there = {data for data, _, _ in cells}
    missing = dict.fromkeys(data for _, data in PUBLISHED if data not in there)
    rows = [
        [
            data,
            *map(number, (published("dp-minn", data), SPREAD.get(data), published("mi-net", data))),
        ]
        for data in missing
    ]
    return Table("unrun", "Printed, but not run here", ["", "DP-MINN", "±", "MI-Net"], rows)


def details(cells, data):
    """Return all figures of one data set."""
    header = ["", "accuracy", "sd folds", "sd repeats", "AUC", "log loss"]
    header += ["nested", "sd folds", "sd repeats", "AUC", "printed"]
    rows = []
    for method in ROWS:
        default = cells.get((data, method, "default"))
        nested = cells.get((data, method, "nested"))
        if default is None and nested is None:
            continue
        figures = [*figures_of(default), number(default.log_loss if default else None)]
        figures += figures_of(nested)
        rows.append([METHODS[method].title, *figures, number(published(method, data))])
    return Table(data, f"{short(data)}: all figures", header, rows)


def figures_of(cell):
    if cell is None:
        return [NONE] * 4
    spreads = number(cell.over_folds), number(cell.over_repeats)
    return [number(cell.accuracy) + part_of(cell), *spreads, number(cell.auc)]


def with_spread(cell):
    if cell is None:
        return NONE
    spread = "" if np.isnan(cell.over_repeats) else f" ± {cell.over_repeats:.3f}"
    return number(cell.accuracy) + spread + part_of(cell)


def part_of(cell):
    """Return how many folds there are, unless it is all of them."""
    return "" if cell.n_folds == N_FOLDS else f", {cell.n_folds:.0f} of {N_FOLDS} folds"


def number(value):
    return NONE if value is None or np.isnan(value) else f"{value:.3f}"


def short(data):
    return data.removeprefix("news_").replace("_", " ")


def introduction(rows):
    """Return the first lines of the text: what the tables are made of."""
    codes = ", ".join(sorted({row["code"] for row in rows})) or NONE
    return f"""# Accuracy

Five times ten folds; scaling and choice of parameters inside the training fold; last iterate, the
classifier's own decision. "sd folds" is the standard deviation over the {N_FOLDS} folds, "sd
repeats" that of the five means of ten folds. "Printed" are the tables of Yan et al. (ACML 2018).

Made by `tables.py` from {len(rows)} folds in `results.csv`; code versions: {codes}."""


def markdown(table):
    """Return a table in Markdown."""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"## {table.title}\n\n{body}"


def write_csv(table, path):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([table.header, *table.rows])


if __name__ == "__main__":
    main()
