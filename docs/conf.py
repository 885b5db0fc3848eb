"""Configuration of the documentation; see https://www.sphinx-doc.org for what the names mean."""

import csv
import re
import tomllib
from pathlib import Path

import skmil
from skmil.datasets._catalogue import load_catalogue

project = "skmil"
author = "skmil developers"
copyright = f"2026, {author}"
version = release = skmil.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
root_doc = "index"

extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

html_theme = "pydata_sphinx_theme"
html_title = f"skmil {version}"
html_theme_options = {"show_prev_next": False}
html_static_path = ["_static"]
html_css_files = ["custom.css"]

autosummary_generate = True
# Types stand in the docstrings, with shapes.
autodoc_typehints = "none"
autodoc_member_order = "bysource"

# Other projects are not linked, so that the documentation builds without a network.
_other_projects = "joblib|matplotlib|numpy|pandas|scipy|sklearn|skorch|torch"
nitpick_ignore_regex = [(r"py:.*", rf"({_other_projects})(\..*)?")]

# The templates in _templates list the members of a class.
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# `tox -e lint` lets a function do with one sentence; the public ones listed here may not. It reads
# the source, so it cannot tell which parameters are unknown (PR02); here they are known.
_rules = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"][
    "numpydoc_validation"
]
numpydoc_validation_checks = set(_rules["checks"]) - {"PR02"}
numpydoc_validation_exclude = {
    # The methods of a network are called by torch; its class says what they need.
    r"^skmil\.nn\.",
    # Inherited from scikit-learn, with docstrings from there.
    r"\.(fit_transform|get_feature_names_out|get_params|score|set_params|set_output)$",
}


def unlink_inherited_docstring(app, what, name, obj, options, lines):
    """Make plain text of links to scikit-learn's own pages, in docstrings inherited from it."""
    text = "\n".join(lines)
    if (getattr(obj, "__module__", None) or "").startswith("sklearn."):
        text = re.sub(r":ref:`([^`<]+?)\s*<[^`]+>`", r"\1", text)
    # Its glossary; the documentation has none of its own. The attributes of a class are listed
    # with the docstrings of inherited properties.
    lines[:] = re.sub(r":term:`([^`]+)`", r"``\1``", text).split("\n")


def write_dataset_table(app):
    """Write the table of published data sets from the catalogue that fetch_dataset uses."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    with (folder / "datasets.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        counts = ("bags", "positive", "instances", "features")
        table.writerow(["name", *counts])
        for entry in load_catalogue().entries.values():
            row = [getattr(entry, f"n_{count}") for count in counts]
            row = ["\N{EN DASH}" if count is None else count for count in row]
            table.writerow([f"``{entry.name}``", *row])


def setup(app):
    """Register the hooks; Sphinx calls this."""
    app.connect("builder-inited", write_dataset_table)
    app.connect("autodoc-process-docstring", unlink_inherited_docstring)
