import numpy as np
import pytest
import torch
from networks import BAG_INDEX, ROWS, layers_of, passes_gradcheck, weights_of
from packing import naive_pool

from skmil.nn import InstanceNet

POOLINGS = [("max", 1.0), ("mean", 1.0), ("lse", 1.0), ("lse", 4.0)]
every_pooling = pytest.mark.parametrize(("pooling", "r"), POOLINGS)


@every_pooling
@pytest.mark.parametrize("n_logits", [1, 3])
def test_the_network_equals_a_loop_over_bags(pooling, r, n_logits):
    network = InstanceNet(4, (7, 3), n_logits=n_logits, pooling=pooling, sharpness=r).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    scores, logits = (t.detach() for t in network(x, BAG_INDEX, 3))
    matrix, bias = weights_of(network.head)
    for i, rows in enumerate(ROWS):
        z = layers_of(network.encoder, x[rows].numpy())[-1] @ matrix.T + bias
        np.testing.assert_allclose(logits[rows], z, rtol=1e-9, atol=1e-12)
        p = 1 / (1 + np.exp(-z)) if n_logits == 1 else np.exp(z) / np.exp(z).sum(1, keepdims=True)
        pooled = naive_pool(p, pooling, r)
        expected = np.log(pooled / (1 - pooled)) if n_logits == 1 else np.log(pooled)
        np.testing.assert_allclose(scores[i], expected, rtol=1e-9, atol=1e-12)


@every_pooling
@pytest.mark.parametrize("n_logits", [1, 3])
def test_gradcheck(pooling, r, n_logits):
    network = InstanceNet(3, (4, 3), n_logits=n_logits, pooling=pooling, sharpness=r)
    assert passes_gradcheck(network, torch.randn(6, 3))


def test_dropout_acts_in_training_only():
    network = InstanceNet(4, (30, 3), dropout=0.5)
    x = torch.randn(6, 4)
    assert not torch.equal(network(x, BAG_INDEX, 3)[1], network(x, BAG_INDEX, 3)[1])
    network.eval()
    assert torch.equal(network(x, BAG_INDEX, 3)[1], network(x, BAG_INDEX, 3)[1])
