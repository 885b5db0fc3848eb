import numpy as np
import pytest
import torch
from networks import BAG_INDEX, ROWS, layers_of, passes_gradcheck, weights_of
from packing import naive_pool

from skmil.nn import Encoder, MINet

VARIANTS = ["plain", "deep_supervision", "residual"]
POOLINGS = [("max", 1.0), ("mean", 1.0), ("lse", 1.0), ("lse", 4.0)]
every_network = pytest.mark.parametrize("variant", VARIANTS)
every_pooling = pytest.mark.parametrize(("pooling", "r"), POOLINGS)


def build(variant, **params):
    sizes = (6, 6, 6) if variant == "residual" else (7, 6, 3)
    return MINet(4, sizes, variant=variant, **params)


def naive_bag(network, bag, variant, pooling, r):
    """Return probabilities, bag vector and logits of the classifiers for one bag."""
    h = [naive_pool(layer, pooling, r) for layer in layers_of(network.encoder, bag)]
    if variant == "plain":
        vectors = [h[-1]]
    elif variant == "deep_supervision":
        vectors = h
    else:
        x = h[0]
        for layer in h[1:]:
            x = layer + x
        vectors = [x]
    logits, probabilities = [], []
    for head, vector in zip(network.heads, vectors, strict=True):
        matrix, bias = weights_of(head)
        z = matrix @ vector + bias
        p = np.exp(z) / (1 + np.exp(z)) if len(z) == 1 else np.exp(z) / np.exp(z).sum()
        logits.append(z)
        probabilities.append(p)
    return np.mean(probabilities, axis=0), np.concatenate(vectors), np.array(logits)


@every_network
@every_pooling
@pytest.mark.parametrize("n_logits", [1, 3])
def test_the_network_equals_a_loop_over_bags(variant, pooling, r, n_logits):
    network = build(variant, n_logits=n_logits, pooling=pooling, sharpness=r).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    scores, embeddings, logits = (t.detach() for t in network(x, BAG_INDEX, 3))
    assert embeddings.shape == (3, network.embedding_size)
    p = torch.sigmoid(scores) if n_logits == 1 else torch.softmax(scores, 1)
    for i, rows in enumerate(ROWS):
        expected = naive_bag(network, x[rows].numpy(), variant, pooling, r)
        for found, wanted in zip((p[i], embeddings[i], logits[i]), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@every_network
@every_pooling
def test_gradcheck(variant, pooling, r):
    sizes = (4, 4) if variant == "residual" else (4, 3)
    network = MINet(3, sizes, variant=variant, pooling=pooling, sharpness=r)
    assert passes_gradcheck(network, torch.randn(6, 3))


def test_residual_needs_equal_widths():
    with pytest.raises(ValueError, match=r"need the same width, got hidden_layer_sizes=\(8, 4\)"):
        MINet(4, [8, 4], variant="residual")


def test_activations_of_the_encoder_end_in_its_embeddings():
    encoder = Encoder(4, (5, 3), dropout=0.5).eval()
    x = torch.randn(6, 4)
    first, last = encoder.activations(x)
    torch.testing.assert_close(first, torch.relu(encoder[0](x)))
    torch.testing.assert_close(last, encoder(x))


def test_dropout_acts_in_training_only():
    network = build("deep_supervision", dropout=0.5)
    x = torch.randn(6, 4)
    outputs = [network(x, BAG_INDEX, 3)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    network.eval()
    outputs = [network(x, BAG_INDEX, 3)[0] for _ in range(2)]
    assert torch.equal(*outputs)
