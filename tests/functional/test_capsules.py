import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packing import pack
from strategies import ragged_bags
from torch.autograd import gradcheck

from skmil import functional as F


# The algorithm of the paper for one bag, written as it is printed.
def naive_dynamic_pooling(f, T, detach=False):
    b = torch.zeros(len(f), dtype=f.dtype)
    for t in range(1, T + 1):
        h = f.detach() if detach and t < T else f
        c = torch.exp(b) / torch.exp(b).sum()
        sigma = sum(c[i] * h[i] for i in range(len(f)))
        n = sigma.norm()
        s = n**2 / (1 + n**2) * sigma / n
        if t < T:
            b = b + torch.stack([(f.detach() if detach else f)[i] @ s for i in range(len(f))])
            b = b.detach() if detach else b
    return sigma, c


@pytest.mark.parametrize("T", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("routing_gradient", ["full", "last"])
@given(bags=ragged_bags())
def test_dynamic_pooling_equals_the_algorithm_of_the_paper(T, routing_gradient, bags):
    embeddings, bag_index, n_bags = pack(bags)
    pooled, weights = F.dynamic_pooling(embeddings, bag_index, n_bags, T, routing_gradient)
    naive = [
        naive_dynamic_pooling(embeddings[bag_index == i], T, routing_gradient == "last")
        for i in range(n_bags)
    ]
    expected = torch.stack([sigma for sigma, _ in naive])
    torch.testing.assert_close(pooled, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(weights, torch.cat([c for _, c in naive]), rtol=1e-6, atol=1e-9)
    direction = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((pooled * direction).sum(), embeddings),
        torch.autograd.grad((expected * direction).sum(), embeddings),
        rtol=1e-6,
        atol=1e-9,
    )


def test_the_routing_gradient_changes_gradients_but_not_values():
    embeddings = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    bag_index = torch.tensor([0, 0, 0, 1, 1, 1])
    pooled = {
        mode: F.dynamic_pooling(embeddings, bag_index, 2, 3, mode)[0] for mode in ("full", "last")
    }
    torch.testing.assert_close(pooled["full"], pooled["last"])
    full, last = (torch.autograd.grad(p.sum(), embeddings)[0] for p in pooled.values())
    assert not torch.allclose(full, last)


@pytest.mark.parametrize("T", [1, 3])
def test_dynamic_pooling_gradcheck(T):
    bag_index = torch.tensor([0, 0, 0, 1, 2, 2])
    embeddings = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda e: F.dynamic_pooling(e, bag_index, 3, T), (embeddings,))


def test_squash_and_margin_loss_gradcheck():
    vectors = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    # squash holds a factor constant that cancels, which only first derivatives may ignore
    assert gradcheck(F.squash, (vectors,))
    target = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0], dtype=torch.float64)

    def loss(v):
        return F.margin_loss(F.length_probability(F.squared_length(v)), target)

    assert gradcheck(loss, (vectors,))


def test_capsules_are_pooled_independently():
    embeddings = torch.randn(5, 3, 2, dtype=torch.float64)
    bag_index = torch.tensor([0, 0, 1, 1, 1])
    pooled, weights = F.dynamic_pooling(embeddings, bag_index, 2)
    for k in range(3):
        alone, alone_weights = F.dynamic_pooling(embeddings[:, k], bag_index, 2)
        torch.testing.assert_close(pooled[:, k], alone)
        torch.testing.assert_close(weights[:, k], alone_weights)


@given(bags=ragged_bags(), T=st.integers(1, 5))
def test_weights_are_a_distribution_over_each_bag(bags, T):
    embeddings, bag_index, n_bags = pack(bags)
    _, weights = F.dynamic_pooling(embeddings, bag_index, n_bags, T)
    assert (weights >= 0).all()
    sums = F.segment_sum(weights, bag_index, n_bags)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_a_bag_of_one_instance_is_its_instance():
    embeddings = torch.randn(3, 4)
    pooled, weights = F.dynamic_pooling(embeddings, torch.tensor([0, 1, 2]), 3, T=4)
    torch.testing.assert_close(pooled, embeddings)
    torch.testing.assert_close(weights, torch.ones(3))


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-8, 1 / 3, 1.0, 3.0, 1e8, 1e18, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_squash_has_length_n2_over_1_plus_n2_at_any_length(length, dtype):
    direction = torch.tensor([0.6, -0.8], dtype=dtype)
    vector = (length * direction).requires_grad_()
    squashed = F.squash(vector)
    exact = length**2 / (1 + length**2)
    expected = (exact * direction.double()).to(dtype)
    torch.testing.assert_close(squashed, expected, rtol=1e-5, atol=1e-12)
    (gradient,) = torch.autograd.grad(squashed.sum(), vector)
    assert torch.isfinite(gradient).all()
    probability = F.length_probability(F.squared_length(vector))
    assert probability.item() == pytest.approx(exact, rel=1e-5, abs=1e-12)
    (gradient,) = torch.autograd.grad(probability, vector)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-4, 1.0, 1e4, 1e18])
@pytest.mark.parametrize("T", [1, 3, 5])
def test_training_signal_is_finite_at_any_scale(scale, T):
    torch.manual_seed(0)
    embeddings = (scale * torch.rand(7, 3)).requires_grad_()
    bag_index = torch.tensor([0, 0, 0, 0, 1, 2, 2])
    pooled, weights = F.dynamic_pooling(embeddings, bag_index, 3, T)
    loss = F.margin_loss(
        F.length_probability(F.squared_length(pooled)), torch.tensor([1.0, 0.0, 1.0])
    ).sum()
    (gradient,) = torch.autograd.grad(loss, embeddings)
    for tensor in (pooled, weights, F.squash(pooled), loss, gradient):
        assert torch.isfinite(tensor).all()


def test_zero_embeddings_give_zero_gradients_not_nan():
    embeddings = torch.zeros(4, 3, requires_grad=True)
    pooled, _ = F.dynamic_pooling(embeddings, torch.tensor([0, 0, 1, 1]), 2)
    probability = F.length_probability(F.squared_length(pooled))
    (gradient,) = torch.autograd.grad(F.margin_loss(probability, torch.ones(2)).sum(), embeddings)
    assert (gradient == 0).all()


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_autocast_pools_in_float32(low):
    if low == torch.float16 and not torch.amp.is_autocast_available("cpu"):
        pytest.skip("this torch has no float16 autocast on the CPU")
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 4)
    instances, bag_index = torch.randn(6, 5), torch.tensor([0, 0, 0, 1, 1, 2])
    with torch.autocast("cpu", dtype=low):
        pooled, weights = F.dynamic_pooling(layer(instances), bag_index, 3)
        loss = F.margin_loss(
            F.length_probability(F.squared_length(pooled)), torch.tensor([1.0, 0.0, 1.0])
        ).sum()
    loss.backward()
    assert pooled.dtype == weights.dtype == torch.float32
    assert torch.isfinite(layer.weight.grad).all()
    exact, _ = F.dynamic_pooling(layer(instances), bag_index, 3)
    torch.testing.assert_close(pooled, exact, rtol=5e-2, atol=5e-2)


def test_margin_loss_is_zero_beyond_the_margins_and_quadratic_inside():
    probability = torch.tensor([0.95, 0.7, 0.05, 0.4])
    target = torch.tensor([1.0, 1.0, 0.0, 0.0])
    expected = torch.tensor([0.0, 0.04, 0.0, 0.09])
    torch.testing.assert_close(F.margin_loss(probability, target), expected)
    halved = F.margin_loss(probability, target, negative_weight=0.5)
    torch.testing.assert_close(halved, expected * torch.tensor([1.0, 1.0, 0.5, 0.5]))
    wide = F.margin_loss(probability, target, margin_positive=1.0, margin_negative=0.0)
    torch.testing.assert_close(wide, torch.tensor([0.05, 0.3, 0.05, 0.4]) ** 2)


def test_relative_probabilities_sum_to_one_and_have_a_finite_gradient_everywhere():
    vectors = torch.zeros(4, 2, 3, dtype=torch.float64)
    vectors[1, 0, 0] = 2.0
    vectors[2, 1] = 1e-9
    vectors[3] = 1e100
    vectors.requires_grad_()
    p = F.relative_probability(F.squared_length(vectors))
    torch.testing.assert_close(p.sum(-1), torch.ones(4, dtype=torch.float64))
    expected = torch.tensor([0.5, 1.0, 0.5, 0.5], dtype=torch.float64)
    torch.testing.assert_close(p[:, 0], expected, atol=1e-6, rtol=0)
    p[:, 0].sum().backward()
    assert torch.isfinite(vectors.grad).all()
