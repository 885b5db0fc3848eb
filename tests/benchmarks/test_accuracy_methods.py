"""The methods, their settings and their grids."""

import re

import pytest
from _grids import GRIDS
from _leak import EpochScores
from _methods import METHODS, Case
from _settings import describe, digest
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline

from skmil import BagStatistics, DPMINNClassifier
from skmil._cli._registry import ESTIMATORS


def build(method, data="musk1", n_train=83, seed=0):
    return METHODS[method].build(Case(data, False, n_train, seed))


def test_every_named_estimator_is_a_row():
    assert set(ESTIMATORS) <= set(METHODS)
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_rows_can_be_built_from_a_seed(method):
    assert digest(describe(build(method, seed=0))) == digest(describe(build(method, seed=1)))
    seeds = [
        value
        for name, value in build(method, seed=7).get_params().items()
        if "random_state" in name
    ]
    assert all(seed in (7, None) for seed in seeds)


@pytest.mark.parametrize("method", GRIDS)
def test_grids_name_parameters_of_their_methods(method):
    candidates = list(ParameterGrid(GRIDS[method]))
    assert len(candidates) <= 12
    settings = [digest(describe(build(method).set_params(**chosen))) for chosen in candidates]
    assert len(set(settings)) == len(candidates)


@pytest.mark.parametrize(
    ("data", "n_train", "iterations", "decay_every"),
    [("musk1", 83, 10_000, 250), ("tiger", 180, 10_000, 250), ("news_sci_med", 90, 5_000, 64)],
)
def test_the_paper_counts_steps_with_one_bag(data, n_train, iterations, decay_every):
    model = build("dp-minn-paper", data, n_train)
    assert model.batch_size == 1
    assert model.max_epochs * n_train == pytest.approx(iterations, abs=n_train / 2)
    steps = 2 * n_train
    assert model.learning_rate_decay**2 == pytest.approx(0.96 ** (steps / decay_every))


def test_the_notes_of_the_classifier_spell_out_the_configuration_for_musk1():
    notes = " ".join(
        DPMINNClassifier.__doc__.split("**The configuration of the paper.**")[1].split()
    )
    spelt_out = eval(re.search(r"``(DPMINNClassifier\(.*?\))``", notes)[1])
    expected = build("dp-minn-paper").get_params()
    assert spelt_out.set_params(random_state=0).get_params() == expected


def test_the_paper_has_no_settings_for_other_data():
    assert METHODS["dp-minn-paper"].serves("news_sci_space")
    assert METHODS["dp-minn-paper"].serves("ucsb_breast")
    assert not METHODS["dp-minn-paper"].serves("derived_ucsb_breast")
    assert METHODS["dp-minn"].serves("derived_ucsb_breast")


def test_the_same_settings_are_found_under_two_names():
    same = f"dp-minn-t{DPMINNClassifier().T}"
    assert describe(build(same)) == describe(build("dp-minn"))
    assert describe(build("dp-minn-single-t3")) == describe(build("dp-minn-single"))
    assert describe(build("dp-minn-paper-t3")) == describe(build("dp-minn-paper"))
    assert describe(build("dp-minn-t1")) != describe(build("dp-minn-t2"))


def test_settings_tell_all_but_seeds_and_callbacks():
    model = DPMINNClassifier(T=2, random_state=3)
    settings = describe(model)
    assert settings[""] == "DPMINNClassifier"
    assert settings["T"] == "2"
    assert "random_state" not in settings
    model.set_params(callbacks=[EpochScores(model, None)])
    assert describe(model) == settings


def test_settings_tell_the_parts_of_a_pipeline():
    model = make_pipeline(BagStatistics(), DPMINNClassifier())
    settings = describe(model)
    assert settings["bagstatistics"] == "BagStatistics"
    assert settings["dpminnclassifier__T"] == "3"
    changed = make_pipeline(BagStatistics(["mean"]), DPMINNClassifier())
    assert digest(describe(changed)) != digest(settings)
