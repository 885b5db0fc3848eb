"""An ensemble of any bag networks gives the outputs of its members, side by side."""

import pytest
import torch
from torch.testing import assert_close

from skmil.nn import (
    DPMINN,
    AttentionMIL,
    CrossEntropyLoss,
    DeepSupervisionLoss,
    DPMINNEnsemble,
    Ensemble,
    EnsembleLoss,
    InstanceNet,
    MarginLoss,
    MINet,
)

CASES = {
    "DPMINN": (Ensemble, lambda: DPMINN(5, (8, 4), n_capsules=2), MarginLoss(relative=True)),
    "MINet": (
        Ensemble,
        lambda: MINet(5, (8, 4), variant="deep_supervision"),
        DeepSupervisionLoss(),
    ),
    "AttentionMIL": (Ensemble, lambda: AttentionMIL(5, (8, 4)), CrossEntropyLoss()),
    "InstanceNet": (Ensemble, lambda: InstanceNet(5, (8, 4)), CrossEntropyLoss()),
    "pooled together": (
        DPMINNEnsemble,
        lambda: DPMINN(5, (8, 4), n_capsules=3, T=2),
        MarginLoss(relative=True),
    ),
    "pooled together, with a head": (
        DPMINNEnsemble,
        lambda: DPMINN(5, (8, 4), n_logits=1, routing_gradient="last"),
        CrossEntropyLoss(),
    ),
}
SIZES = [3, 1, 4]


@pytest.fixture(params=CASES)
def case(request):
    kind, build, loss = CASES[request.param]
    return kind, [build() for _ in range(3)], loss


def batch():
    bag_index = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES))
    return torch.randn(sum(SIZES), 5), bag_index, len(SIZES)


def test_outputs_are_those_of_the_members(case):
    kind, networks, _ = case
    inputs = batch()
    found = kind(networks)(*inputs)
    for m, network in enumerate(networks):
        expected = network(*inputs)
        assert len(found) == len(expected)
        for output, part in zip(found, expected, strict=True):
            assert_close(output[:, m], part)


def test_the_loss_gives_each_member_the_gradient_it_has_by_itself(case):
    kind, networks, loss = case
    inputs, target = batch(), (torch.tensor([0, 1, 1]), torch.tensor([1.0, 2.0, 0.5]))
    mean = EnsembleLoss(loss)(kind(networks)(*inputs), target)
    mean.backward()
    losses = [loss(network(*inputs), target) for network in networks]
    assert_close(mean, torch.stack(losses).mean())
    for network, own in zip(networks, losses, strict=True):
        parameters = list(network.parameters())
        for p, gradient in zip(parameters, torch.autograd.grad(own, parameters), strict=True):
            assert_close(p.grad, gradient)


def test_embeddings_of_all_members_count():
    assert Ensemble([DPMINN(5, (8, 4), n_capsules=2), DPMINN(5, (8, 6))]).embedding_size == 14


@pytest.mark.parametrize("changed", [{"T": 1}, {"routing_gradient": "last"}, {"n_capsules": 2}])
def test_members_that_are_pooled_together_have_to_be_alike(changed):
    with pytest.raises(ValueError, match="same n_capsules, T and routing_gradient, got"):
        DPMINNEnsemble([DPMINN(5, (8, 4)), DPMINN(5, (8, 4), **changed)])
    with pytest.raises(ValueError, match="same n_capsules"):
        DPMINNEnsemble([])
