"""The figures of accuracy: what the leak is worth, and the ablations of the paper."""

import matplotlib as mpl
import numpy as np
from _published import CLASSICS, published
from matplotlib.figure import Figure

HONEST, LEAK, PRINTED = "#0072b2", "#d55e00", "#555555"
#: The configurations of DP-MINN that the ablations vary, by the beginning of the method's name.
CONFIGURATIONS = {
    "dp-minn": "default",
    "dp-minn-single": "one network",
    "dp-minn-paper": "paper's configuration",
}
_COLORS = (HONEST, "#56b4e9", LEAK)
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text: small files
    "svg.hashsalt": "skmil",  # and equal files from equal figures
}
_TITLES = [name.capitalize() for name in CLASSICS]


def draw_leak(cells, path, method="dp-minn-paper"):
    """Draw, for each data set, the honest accuracy, the best epoch on the test folds, the printed.

    Parameters
    ----------
    cells : dict of (str, str, str) to Cell
        The results.
    path : Path
        Where the figure goes.
    method : str, default="dp-minn-paper"
        Whose results.
    """
    found = [cells.get((data, method, "default")) for data in CLASSICS]
    rows = np.arange(len(CLASSICS))[::-1]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        axes = figure.add_subplot()
        honest = _values(found, "accuracy")
        leak = _values(found, "best_epoch")
        printed = np.array([published(method, data) for data in CLASSICS])
        axes.hlines(rows, honest, leak, color=LEAK, lw=1.5, alpha=0.5, zorder=1)
        axes.scatter(honest, rows, color=HONEST, label="last iterate")
        axes.scatter(leak, rows, color=LEAK, label="best epoch of each test fold")
        axes.scatter(
            printed, rows, marker="|", s=160, lw=2, color=PRINTED, label="printed in the paper"
        )
        axes.set(xlabel="accuracy", yticks=rows, yticklabels=_TITLES, ylim=(-0.6, rows[0] + 0.6))
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        _save(figure, path)


def draw_ablation(cells, path, variants, label=None):
    """Draw the accuracy of variants of DP-MINN, beside the printed one.

    Parameters
    ----------
    cells : dict of (str, str, str) to Cell
        The results.
    path : Path
        Where the figure goes.
    variants : dict of str to str
        What each variant is called, by the end of its method's name.
    label : str, default=None
        What varies.
    """
    places = np.arange(len(variants))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        panels = figure.subplots(1, len(CLASSICS))
        for axes, data, title in zip(panels, CLASSICS, _TITLES, strict=True):
            printed = [published(f"dp-minn{end}", data) for end in variants]
            axes.plot(places, printed, "_", color=PRINTED, ms=9, mew=2, label="printed")
            for (stem, name), color, shift in zip(
                CONFIGURATIONS.items(), _COLORS, (-0.2, 0.0, 0.2), strict=True
            ):
                found = [cells.get((data, stem + end, "default")) for end in variants]
                bars = np.nan_to_num(_values(found, "over_repeats"))
                style = {"fmt": "o", "ms": 3.5, "color": color, "label": name}
                axes.errorbar(places + shift, _values(found, "accuracy"), bars, **style)
            axes.set(title=title, xlim=(-0.5, len(variants) - 0.5), xlabel=label)
            axes.set_xticks(places, variants.values(), fontsize=8)
        panels[0].set_ylabel("accuracy")
        _legend(figure, panels)
        _save(figure, path)


def _values(cells, name):
    return np.array([np.nan if cell is None else getattr(cell, name) for cell in cells])


def _legend(figure, panels):
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)


def _save(figure, path):
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
