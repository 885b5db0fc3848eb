"""A short run of the fuzzing of the readers, and a test that it finds what it looks for."""

import bad_readers
import fuzz_readers
import pytest
from fuzz_readers import CASES, Case, content_of, damage, fuzz, read_copy
from real_data import path_of, raw_path_of


@pytest.mark.parametrize("name", CASES)
def test_damaged_copies_are_read_or_refused(name, tmp_path):
    folder = path_of(name).parent if name.endswith(".npz") else raw_path_of(name).parent
    case = CASES[name]
    for other in case.beside:
        (tmp_path / other).write_bytes(content_of(other, folder))
    honest = content_of(name, folder)
    path = tmp_path / name
    path.write_bytes(honest)
    assert read_copy(case, path) == "read"
    outcomes = set()
    for number in range(30):
        copy, _ = damage(name, honest, number)
        path.write_bytes(copy)
        outcomes.add(read_copy(case, path))
    assert "refused" in outcomes


@pytest.mark.parametrize("name", ["musk1.data", "alt_atheism.mat"])
def test_a_copy_is_made_from_its_number_alone(name):
    honest = content_of(name, raw_path_of(name).parent)
    copies = [damage(name, honest, number) for number in range(20)]
    assert copies == [damage(name, honest, number) for number in range(20)]
    assert len({copy for copy, _ in copies}) == 20


@pytest.mark.skipif(not fuzz_readers.CAN_MEASURE, reason="memory is measured through /proc")
@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (bad_readers.anonymous, "does not name the file"),
        (bad_readers.raising, "KeyError"),
        (bad_readers.greedy, "MiB of memory"),
        (bad_readers.gullible, "MemoryError"),
        (bad_readers.dying, "the process died"),
        (bad_readers.hanging, "more than 1 s"),
        (bad_readers.warning, "RuntimeWarning"),
    ],
)
def test_fuzzing_finds_what_a_reader_may_not_do(tmp_path, monkeypatch, read, problem):
    monkeypatch.setattr(fuzz_readers, "TIME_FLOOR", 1.0)
    (tmp_path / "tiny.data").write_bytes(bad_readers.HONEST)
    report = fuzz(Case("tiny.data", read), tmp_path, range(2))
    assert report["outcomes"] == {"failed": 2}
    assert [number for number, _, _ in report["failures"]] == [0, 1]
    assert problem in report["failures"][0][2]


@pytest.mark.skipif(not fuzz_readers.CAN_MEASURE, reason="memory is measured through /proc")
def test_fuzzing_finds_nothing_in_a_good_reader(tmp_path):
    (tmp_path / "tiny.data").write_bytes(bad_readers.HONEST)
    report = fuzz(Case("tiny.data", bad_readers.good), tmp_path, range(20))
    assert report["outcomes"].total() == 20
    assert report["outcomes"]["failed"] == 0
    assert report["outcomes"]["refused"] > 0
    assert report["failures"] == []
