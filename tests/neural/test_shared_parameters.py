"""Parameters that several networks have mean the same and are described in the same words."""

import inspect
import re

import pytest
from estimators import is_neural, public_estimators

from skmil import DPMINNClassifier
from skmil.neural._base import BaseNeuralBagClassifier

NEURAL = [Estimator for Estimator in public_estimators() if is_neural(Estimator)]
every_network = pytest.mark.parametrize("Estimator", NEURAL)
# What is a matter of the single network.
OWN = {"hidden_layer_sizes", "loss", "weight_decay"}


def described(Estimator):
    """Return type, default and description of each parameter, from the docstring."""
    section = inspect.getdoc(Estimator).split("Parameters\n----------\n")[1].split("\n\n")[0]
    items = re.findall(r"^(\w+) : (.*?)(?:, default=(\S+))?\n((?:    .*\n?)+)", section, re.M)
    return {name: (kind, default, text.rstrip()) for name, kind, default, text in items}


@every_network
def test_every_parameter_is_described_with_its_default(Estimator):
    parameters = inspect.signature(Estimator).parameters
    items = described(Estimator)
    assert list(items) == list(parameters)
    for name, parameter in parameters.items():
        if name != "hidden_layer_sizes":  # its default has spaces
            assert eval(items[name][1]) == parameter.default, name


@every_network
def test_shared_parameters_are_described_alike(Estimator):
    reference, items = described(DPMINNClassifier), described(Estimator)
    assert set(BaseNeuralBagClassifier._parameter_constraints) <= set(items)
    for name in reference.keys() & items.keys() - OWN:
        assert items[name][0] == reference[name][0], name
        assert items[name][2] == reference[name][2], name
