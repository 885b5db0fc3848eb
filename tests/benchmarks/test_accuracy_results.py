"""The file of results."""

import json

import pytest
from _results import FIELDS, Results


def row(fold=0, method="a", **changed):
    key = {"data": "set", "method": method, "tuning": "default", "repeat": 0, "fold": fold}
    return {**key, "n_test": 4, "n_correct": 3, "settings": "hash", **changed}


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results.csv")


def lines(results):
    return results.path.read_text().splitlines()


def test_there_need_be_no_file(results):
    assert results.read() == {}
    results.tidy()
    assert not results.path.exists()


def test_rows_come_back_in_order(results):
    results.append([row(10, "b"), row(2, "b")], {"T": "3"})
    results.append([row(method="a", chosen='{"T": 1, "C": 2}')], {"T": "3"})
    rows = results.read()
    assert [key[1] + str(key[4]) for key in rows] == ["a0", "b2", "b10"]
    assert rows["set", "a", "default", 0, 0]["chosen"] == '{"T": 1, "C": 2}'
    assert rows["set", "a", "default", 0, 0]["auc"] == ""
    assert results.read_settings() == {"hash": {"T": "3"}}


def test_tidying_sorts_and_drops_what_was_replaced(results):
    results.append([row(1, settings="old")], {"T": "1"})
    results.append([row(0)], {"T": "3"})
    results.append([row(1, n_correct=4)], {"T": "3"})
    assert len(lines(results)) == 4
    results.tidy()
    header, first, second = lines(results)
    assert header == ",".join(FIELDS)
    assert first.startswith("set,a,default,0,0,4,3")
    assert second.startswith("set,a,default,0,1,4,4")
    assert results.read_settings() == {"hash": {"T": "3"}}
    before = results.path.read_bytes()
    results.tidy()
    assert results.path.read_bytes() == before


@pytest.mark.parametrize("missing", [1, 5, 20])
def test_an_unfinished_last_line_is_dropped(results, missing):
    results.append([row(0), row(1, chosen="long" * 10)], {})
    text = results.path.read_bytes()
    results.path.write_bytes(text[:-missing])
    assert [key[4] for key in results.read()] == [0]
    results.append([row(2)], {})
    assert [key[4] for key in results.read()] == [0, 2]
    assert len(lines(results)) == 3


def test_rows_of_an_older_file_survive_a_new_column(results):
    old = [field for field in FIELDS if field != "log_loss"]
    cells = {**dict.fromkeys(old, ""), **row()}
    results.path.write_text(",".join(old) + "\n" + ",".join(str(cells[f]) for f in old) + "\n")
    results.tidy()
    assert lines(results)[0] == ",".join(FIELDS)
    assert results.read()["set", "a", "default", 0, 0]["n_correct"] == "3"


def test_settings_are_plain_json(results):
    results.append([row()], {"T": "3", "": "DPMINNClassifier"})
    assert json.loads(results.settings_path.read_text())["hash"]["T"] == "3"
