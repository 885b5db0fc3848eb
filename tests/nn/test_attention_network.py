import numpy as np
import pytest
import torch
from networks import BAG_INDEX, ROWS, layers_of, passes_gradcheck, weights_of

from skmil import functional as F
from skmil.nn import AttentionMIL, AttentionPooling

either = pytest.mark.parametrize("gated", [False, True])


@either
@pytest.mark.parametrize("n_logits", [1, 3])
def test_the_network_equals_a_loop_over_bags(gated, n_logits):
    network = AttentionMIL(4, (7, 3), n_logits=n_logits, attention_size=5, gated=gated).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    scores, embeddings, weights = (t.detach() for t in network(x, BAG_INDEX, 3))
    V, w = (layer.weight.detach().numpy() for layer in (network.pooling.V, network.pooling.w))
    matrix, bias = weights_of(network.head)
    for i, rows in enumerate(ROWS):
        h = layers_of(network.encoder, x[rows].numpy())[-1]
        hidden = np.tanh(h @ V.T)
        if gated:
            U = network.pooling.U.weight.detach().numpy()
            hidden = hidden / (1 + np.exp(-h @ U.T))
        e = np.exp(hidden @ w[0])
        a = e / e.sum()
        z = sum(a[k] * h[k] for k in range(len(h)))
        np.testing.assert_allclose(weights[rows], a, rtol=1e-9)
        np.testing.assert_allclose(embeddings[i], z, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(scores[i], matrix @ z + bias, rtol=1e-9, atol=1e-12)


@either
def test_gradcheck(gated):
    network = AttentionMIL(3, (4, 3), attention_size=2, gated=gated)
    assert passes_gradcheck(network, torch.randn(6, 3))


@either
def test_pooling_module_is_the_function(gated):
    pooling = AttentionPooling(3, 2, gated)
    embeddings = torch.randn(6, 3)
    gate = pooling.U.weight if gated else None
    assert (pooling.U is not None) == gated
    expected = F.attention_pooling(
        embeddings, BAG_INDEX, 3, pooling.V.weight, pooling.w.weight[0], gate
    )
    torch.testing.assert_close(pooling(embeddings, BAG_INDEX, 3), expected)


def test_dropout_acts_in_training_only():
    network = AttentionMIL(4, (30, 3), dropout=0.5)
    x = torch.randn(6, 4)
    assert not torch.equal(network(x, BAG_INDEX, 3)[0], network(x, BAG_INDEX, 3)[0])
    network.eval()
    assert torch.equal(network(x, BAG_INDEX, 3)[0], network(x, BAG_INDEX, 3)[0])
