"""The table of published data sets, ``catalogue.toml``, as objects."""

import functools
import tomllib
from dataclasses import dataclass, field
from importlib import resources

#: Counts that are checked whenever a data set is read, where the table has them.
COUNTS = ("n_bags", "n_positive", "n_instances", "n_features")


@dataclass(frozen=True)
class DataFile:
    """A published file, and how to tell that another one is not it.

    Parameters
    ----------
    repository, commit, path : str
        Where it was published.
    bytes : int, default=None
        Its size; None if that is not known.
    most_bytes : int, default=None
        A bound of the size, where the size itself is not known.
    sha256 : str, default=None
        Hash of the content.
    git_blob : str, default=None
        The name that git gives to the content, where the hash is not known.
    """

    repository: str
    commit: str
    path: str
    bytes: int | None = None
    most_bytes: int | None = None
    sha256: str | None = None
    git_blob: str | None = None

    @property
    def name(self):
        """The name of the file, without folders."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def limit(self):
        """How many bytes it has at most."""
        return self.most_bytes if self.bytes is None else self.bytes

    def address(self, mirror):
        """Return where a mirror, a template, has the file."""
        return mirror.format(repository=self.repository, commit=self.commit, path=self.path)

    def __str__(self):
        size = "size unknown" if self.bytes is None else f"{self.bytes} bytes"
        digest = f"git blob {self.git_blob}" if self.sha256 is None else f"sha256 {self.sha256}"
        return f"{self.name} ({size}, {digest})"


@dataclass(frozen=True)
class Entry:
    """What is known of a data set; see the head of ``catalogue.toml``."""

    name: str
    title: str
    files: tuple[DataFile, ...]
    reader: str
    summary: str
    task: str
    target_names: list[str]
    licence: str
    origin: str
    citations: list[str]
    options: dict = field(default_factory=dict)
    n_bags: int | None = None
    n_positive: int | None = None
    n_instances: int | None = None
    n_features: int | None = None
    n_train: int | None = None
    positive: int | str = 1
    sparse: bool = False
    genuine_instance_labels: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Catalogue:
    """All data sets by name, and the mirrors that have their files."""

    entries: dict[str, Entry]
    mirrors: list[str]


@functools.cache
def load_catalogue():
    """Return the catalogue that comes with the package.

    Returns
    -------
    catalogue : Catalogue
        The data sets and mirrors.
    """
    table = resources.files("skmil.datasets").joinpath("catalogue.toml")
    return parse_catalogue(table.read_text(encoding="utf-8"))


def parse_catalogue(text):
    """Return the catalogue that a table describes.

    Parameters
    ----------
    text : str
        The content of ``catalogue.toml``, or of another table with the same keys.

    Returns
    -------
    catalogue : Catalogue
        The data sets and mirrors.
    """
    table = tomllib.loads(text)
    citations = {
        key: _citation_text(citation) for key, citation in table.get("citations", {}).items()
    }
    families = table.get("families", {})
    entries = {
        name: _entry(name, families.get(own.get("family"), {}) | own, citations)
        for name, own in table["datasets"].items()
    }
    return Catalogue(entries, table["mirrors"])


def _entry(name, values, citations):
    values = dict(values)
    values.pop("family", None)
    place = {key: values.pop(key) for key in ("repository", "commit")}
    values["files"] = tuple(DataFile(**place, **file) for file in values["files"])
    options = values.get("options", {})
    values["options"] = {k: None if v == "none" else v for k, v in options.items()}
    values["citations"] = [citations[key] for key in values["citations"]]
    return Entry(name=name, **values)


def _citation_text(citation):
    doi = citation.get("doi")
    return citation["text"] + (f" https://doi.org/{doi}" if doi else "")
