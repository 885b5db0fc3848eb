import pytest
import torch

from skmil.nn import DPMINN, scale_to_probability

BAG_INDEX = torch.tensor([0, 0, 1, 1, 1, 2])


def probabilities(network, x):
    squared, _, _ = network(x, BAG_INDEX, 3)
    return squared / (1 + squared)


@pytest.mark.parametrize("T", [1, 2, 3, 5])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("n_capsules", [1, 3])
def test_bags_have_the_wanted_mean_probability_whatever_they_had_before(T, scale, n_capsules):
    network = DPMINN(4, (8, 3), T=T, n_capsules=n_capsules).double()
    x = scale * torch.randn(6, 4, dtype=torch.float64) ** 3  # of very different lengths
    weight = torch.tensor([1.0, 0.0, 3.0], dtype=torch.float64)
    batches = [(x[:5], BAG_INDEX[:5], 2), (x[5:], BAG_INDEX[5:] - 2, 1)]
    scale_to_probability(network, batches, weight, 0.7)
    mean = (weight.unsqueeze(1) * probabilities(network, x)).sum(0) / 4
    torch.testing.assert_close(mean, torch.full_like(mean, 0.7), rtol=1e-4, atol=0)


def test_dead_embeddings_are_left_as_they_are():
    network = DPMINN(4, (8, 3))
    before = network.encoder.last_linear.weight.clone()
    scale_to_probability(network, [(torch.zeros(6, 4), BAG_INDEX, 3)], torch.ones(3))
    assert torch.equal(network.encoder.last_linear.weight, before)


def test_dead_bags_do_not_count():
    network = DPMINN(4, (8, 3))
    x = torch.randn(6, 4)
    x[2:5] = 0  # the second bag
    scale_to_probability(network, [(x, BAG_INDEX, 3)], torch.ones(3))
    p = probabilities(network, x)
    assert p[1].item() == 0
    assert p[[0, 2]].mean().item() == pytest.approx(0.5, abs=1e-3)


def test_dropout_plays_no_part():
    torch.manual_seed(1)
    without = DPMINN(4, (8, 3))
    torch.manual_seed(1)
    network = DPMINN(4, (8, 3), dropout=0.5)
    x = torch.randn(6, 4)
    for each in (without, network):
        scale_to_probability(each, [(x, BAG_INDEX, 3)], torch.ones(3))
    assert network.training
    torch.testing.assert_close(
        network.encoder.last_linear.weight, without.encoder.last_linear.weight
    )
