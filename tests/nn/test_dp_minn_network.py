import pytest
import torch

from skmil import functional as F
from skmil.nn import DPMINN, DynamicPooling, Encoder

BAG_INDEX = torch.tensor([0, 0, 1, 1, 1])


def test_the_network_is_encoder_pooling_and_length():
    network = DPMINN(4, (8, 3), T=2)
    x = torch.randn(5, 4)
    scores, embeddings, weights = network(x, BAG_INDEX, 2)
    pooled, expected_weights = F.dynamic_pooling(network.encoder(x), BAG_INDEX, 2, T=2)
    torch.testing.assert_close(scores, (pooled**2).sum(-1, keepdim=True))
    torch.testing.assert_close(embeddings[:, 0], F.squash(pooled))
    torch.testing.assert_close(weights[:, 0], expected_weights)
    torch.testing.assert_close(
        embeddings.norm(dim=-1), F.length_probability(scores), rtol=1e-5, atol=1e-7
    )


def test_logits_are_linear_in_the_unsquashed_embedding():
    network = DPMINN(4, (8, 3), n_logits=1)
    scores, embeddings, _ = network(torch.randn(5, 4), BAG_INDEX, 2)
    torch.testing.assert_close(scores, network.head(embeddings[:, 0]))


def test_each_capsule_has_embeddings_of_its_own():
    network = DPMINN(4, (8, 3), n_capsules=2)
    x = torch.randn(5, 4)
    scores, embeddings, weights = network(x, BAG_INDEX, 2)
    assert scores.shape == (2, 2)
    assert embeddings.shape == (2, 2, 3)
    assert weights.shape == (5, 2)
    for k in range(2):
        own = network.encoder(x)[:, 3 * k : 3 * k + 3]
        pooled, own_weights = F.dynamic_pooling(own, BAG_INDEX, 2)
        torch.testing.assert_close(scores[:, k], F.squared_length(pooled))
        torch.testing.assert_close(weights[:, k], own_weights)


def test_rescaling_multiplies_the_embeddings_of_each_capsule():
    network = DPMINN(4, (8, 3), n_capsules=2)
    x = torch.randn(5, 4)
    before = network.embed(x)
    network.rescale(torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(network.embed(x), before * torch.tensor([[[2.0], [0.5]]]))


def test_pooling_module_is_the_function():
    embeddings = torch.randn(5, 3)
    for found, expected in zip(
        DynamicPooling(T=2)(embeddings, BAG_INDEX, 2),
        F.dynamic_pooling(embeddings, BAG_INDEX, 2, 2),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)


def test_encoder_starts_with_truncated_normal_weights_and_zero_biases():
    encoder = Encoder(500, (400, 300))
    for layer in (encoder[0], encoder[2]):
        std = (2 / layer.in_features) ** 0.5
        assert layer.weight.abs().max() <= 2 * std
        assert layer.weight.std().item() == pytest.approx(0.88 * std, rel=0.02)
        assert (layer.bias == 0).all()


def test_dropout_acts_between_layers_in_training_only():
    encoder = Encoder(20, (30, 10), dropout=0.5)
    x = torch.randn(6, 20)
    assert not torch.equal(encoder(x), encoder(x))
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))
    assert [type(layer).__name__ for layer in encoder] == [
        *("Linear", "ReLU", "Dropout", "Linear", "ReLU")
    ]


def test_dead_units_give_neither_nan_scores_nor_nan_gradients():
    network = DPMINN(4, (8, 3))
    with torch.no_grad():
        network.encoder.last_linear.bias.fill_(-100.0)
    scores, _, weights = network(torch.randn(5, 4), BAG_INDEX, 2)
    assert (scores == 0).all()
    F.margin_loss(F.length_probability(scores), torch.ones(2, 1)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    torch.testing.assert_close(weights[:2, 0], torch.tensor([0.5, 0.5]))
