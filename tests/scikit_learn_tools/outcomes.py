"""What tests find out about tools of scikit-learn, and what the user guide says of them."""

import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sklearn

import skmil
from skmil import check_bags

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "scikit_learn.rst"

#: By name of the tool: what becomes of bags in a plain list, and of `Bags`.
OUTCOMES: dict[str, tuple[str, str]] = {}

# A list of bags of one size is easily taken for something else: NumPy makes it a 3-D array.
CONTAINERS = ("list", "list of equal sizes", "Bags")


def tool(*names, given_list="works", given_bags="works"):
    """Say what a test proves of these tools, and run it for each container.

    The test takes the argument `container` and makes its bags with :func:`make_data`. One of a
    tool that refuses bags takes the fixture `refusal` besides, which has to be used.
    """

    def register(test):
        for name in names:
            outcome = given_list, given_bags
            assert OUTCOMES.setdefault(name, outcome) == outcome, f"Two tests disagree on {name}."
        return pytest.mark.parametrize("container", CONTAINERS)(test)

    return register


def refused(*names):
    """Say that a test proves that these tools refuse bags, whatever holds them."""
    return tool(*names, given_list="refused", given_bags="refused")


def make_data(container, n_classes=2, n_bags=24):
    """Return bags and labels, in which a linear model makes some mistakes."""
    rng = np.random.default_rng(0)
    y = np.arange(n_bags) % n_classes
    sizes = np.full(n_bags, 3) if container == "list of equal sizes" else rng.integers(1, 5, n_bags)
    X = [rng.normal(size=(size, 3)) for size in sizes]
    for bag, label in zip(X, y, strict=True):
        bag[0, label] += 2.0
    return (check_bags(X) if container == "Bags" else X), y


def take(X, indices):
    """Return a plain list of the chosen bags."""
    return [X[i] for i in indices]


@contextmanager
def raises(error, match, by=("sklearn",)):
    """Expect an error of one of the packages `by`, or of what it calls that is neither."""
    with pytest.raises(error, match=match) as caught:
        yield
    homes = {Path(package.__file__).parent: package.__name__ for package in (sklearn, skmil)}
    owners = [
        homes[folder]
        for entry in caught.traceback
        for folder in Path(entry.path).parents
        if folder in homes
    ]
    assert owners[-1] in by, f"raised by {owners[-1]}: {caught.value}"


def read_page():
    """Return the rows of the tables of tools in the user guide, {tool: (list, Bags)}.

    The first cell of a row may name several tools, each in double backticks.
    """
    outcomes = {}
    for names, given_list, given_bags, _ in _rows(PAGE.read_text(encoding="utf-8")):
        for name in re.findall(r"``(.+?)``", names):
            assert name not in outcomes, f"The page has two rows for {name}."
            outcomes[name] = (given_list, given_bags)
    return outcomes


def _rows(text):
    """Return the cells of all rows of all list-tables."""
    rows = []
    inside = False
    for line in text.splitlines():
        if not line.startswith(" "):
            inside = line.startswith(".. list-table::") or (inside and not line)
        elif inside and line.startswith("   * - "):
            rows.append([line[7:]])
        elif inside and line.startswith("     - "):
            rows[-1].append(line[7:])
        elif inside and line.startswith("       "):
            rows[-1][-1] += " " + line.strip()
    return rows
