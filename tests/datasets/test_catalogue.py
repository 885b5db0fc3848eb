import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from real_data import path_of

from skmil.datasets import fetch_dataset, list_datasets, readers
from skmil.datasets._catalogue import COUNTS, load_catalogue, parse_catalogue

CATALOGUE = load_catalogue()
ENTRIES = list(CATALOGUE.entries.values())
NEWSGROUPS = [name for name in CATALOGUE.entries if name.startswith("news_")]


def test_all_data_sets_are_listed():
    names = list_datasets()
    assert names[:5] == ["musk1", "musk2", "fox", "tiger", "elephant"]
    assert len(NEWSGROUPS) == 20
    assert {f"web{i}" for i in range(1, 10)} <= set(names)
    assert {"birds", "ucsb_breast", "messidor"} <= set(names)
    assert len(names) == 37


def test_the_table_comes_with_the_package():
    table = resources.files("skmil.datasets").joinpath("catalogue.toml")
    assert parse_catalogue(table.read_text(encoding="utf-8")) == CATALOGUE


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry):
    assert re.fullmatch("[a-z0-9_]+", entry.name)
    assert entry.title
    assert entry.task.endswith("?")
    assert entry.summary.endswith(".")
    assert all(note.endswith(".") for note in entry.notes)
    assert len(entry.target_names) == 2
    assert entry.citations
    assert entry.licence in ("CC BY 4.0", "research use")
    assert (entry.licence == "CC BY 4.0") == (entry.name in ("musk1", "musk2"))
    assert callable(getattr(readers, f"read_{entry.reader}"))
    assert entry.n_bags is not None
    counts = [getattr(entry, name) for name in COUNTS]
    assert all(isinstance(count, int | None) for count in counts)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_file_can_be_verified(entry):
    assert entry.files
    assert len({file.name for file in entry.files}) == len(entry.files)
    for file in entry.files:
        assert re.fullmatch("[0-9a-f]{40}", file.commit)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", file.repository)
        if file.sha256 is None:
            assert re.fullmatch("[0-9a-f]{40}", file.git_blob)
            assert file.bytes is None
        else:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.bytes > 0
        assert file.limit <= 100_000_000


def test_no_two_files_are_the_same():
    digests = [file.sha256 or file.git_blob for entry in ENTRIES for file in entry.files]
    assert len(set(digests)) == len(digests) == 39


def test_addresses():
    file = CATALOGUE.entries["musk1"].files[0]
    assert [file.address(mirror) for mirror in CATALOGUE.mirrors] == [
        f"https://raw.githubusercontent.com/garydoranjr/misvm/{file.commit}/example/musk1.data",
        f"https://github.com/garydoranjr/misvm/raw/{file.commit}/example/musk1.data",
        f"https://cdn.jsdelivr.net/gh/garydoranjr/misvm@{file.commit}/example/musk1.data",
    ]
    assert all(mirror.startswith("https://") for mirror in CATALOGUE.mirrors)


@pytest.mark.parametrize("name", list(CATALOGUE.entries))
def test_counts_are_those_of_checked_copies(name):
    path = path_of(name)
    if not path.exists():
        pytest.skip("no checked copy of this data set is at hand")
    entry, data = CATALOGUE.entries[name], np.load(path)
    n_features = data["csr_shape" if entry.sparse else "instances"]
    assert (entry.n_bags, entry.n_positive, entry.n_instances, entry.n_features) == (
        len(data["y"]),
        data["y"].sum(),
        data["offsets"][-1],
        n_features[1] if entry.sparse else n_features.shape[1],
    )


def test_the_user_guide_names_whom_to_cite():
    guide = Path(__file__).parents[2] / "docs" / "user_guide" / "datasets.rst"
    if not guide.exists():
        pytest.skip("the documentation is not at hand")
    text = " ".join(guide.read_text(encoding="utf-8").split())
    for citation in {citation for entry in ENTRIES for citation in entry.citations}:
        title = re.search('"(.*)"', citation)[1]
        doi = citation.partition("https://doi.org/")[2]
        assert title in text
        assert f":doi:`{doi}`" in text or not doi


def test_a_family_is_overridden_by_its_members():
    text = """
        mirrors = ["http://localhost/{repository}/{commit}/{path}"]
        [citations.one]
        text = "One."
        doi = "10.1000/1"
        [families.f]
        repository = "a/b"
        commit = "c"
        reader = "mat"
        options = { first = "none", second = 2 }
        n_bags = 3
        summary = ""
        task = ""
        target_names = ["no", "yes"]
        licence = ""
        origin = ""
        citations = ["one"]
        [datasets.d]
        family = "f"
        title = "T"
        n_bags = 4
        files = [{ path = "x/y.mat", bytes = 5, sha256 = "0" }]
    """
    entry = parse_catalogue(text).entries["d"]
    assert (entry.n_bags, entry.n_positive) == (4, None)
    assert entry.options == {"first": None, "second": 2}
    assert entry.citations == ["One. https://doi.org/10.1000/1"]
    assert str(entry.files[0]) == "y.mat (5 bytes, sha256 0)"


def test_the_real_catalogue_is_not_changed_by_use(tmp_path):
    before = load_catalogue()
    with pytest.raises(FileNotFoundError):
        fetch_dataset("musk1", data_home=tmp_path, download_if_missing=False)
    assert load_catalogue() is before
