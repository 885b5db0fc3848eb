import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import ragged_bags
from torch.autograd import gradcheck

from skmil import functional as F


def pack(bags):
    """Return values, bag index and number of bags as the functions take them."""
    values = torch.from_numpy(bags.instances).requires_grad_()
    return values, torch.from_numpy(bags.bag_index), bags.n_bags


def per_bag(function, values, bag_index, n_bags):
    return torch.stack([function(values[bag_index == i]) for i in range(n_bags)])


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


@pytest.mark.parametrize(
    ("segment", "reference"),
    [
        (F.segment_sum, lambda v: v.sum(0)),
        (F.segment_mean, lambda v: v.mean(0)),
        (F.segment_max, lambda v: v.amax(0)),
        (F.segment_logmeanexp, lambda v: torch.log(torch.exp(v).mean(0))),
    ],
)
@given(bags=ragged_bags())
def test_segment_reductions_equal_a_loop_over_bags(segment, reference, bags):
    values, bag_index, n_bags = pack(bags)
    found = segment(values, bag_index, n_bags)
    expected = per_bag(reference, values, bag_index, n_bags)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), values),
        torch.autograd.grad((expected * weights).sum(), values),
    )


@given(bags=ragged_bags())
def test_segment_softmax_equals_softmax_of_each_bag(bags):
    values, bag_index, n_bags = pack(bags)
    found = F.segment_softmax(values, bag_index, n_bags)
    for i in range(n_bags):
        rows = bag_index == i
        torch.testing.assert_close(found[rows], torch.softmax(values[rows], 0))


def test_segment_softmax_survives_huge_logits():
    logits = torch.tensor([1e30, -1e30, 3e38, 0.0])
    weights = F.segment_softmax(logits, torch.tensor([0, 0, 1, 1]), 2)
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0, 1.0, 0.0]))


@pytest.mark.parametrize("sharpness", [1e-4, 1.0, 1e3])
def test_logmeanexp_lies_between_mean_and_maximum(sharpness):
    values = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    bag_index = torch.zeros(3, dtype=torch.int64)
    pooled = F.segment_logmeanexp(values, bag_index, 1, sharpness).item()
    expected = np.log(np.mean(np.exp(sharpness * (values.numpy() - 6)))) / sharpness + 6
    assert pooled == pytest.approx(expected)
    if sharpness == 1e-4:
        assert pooled == pytest.approx(3.0, abs=1e-3)
    if sharpness == 1e3:
        assert pooled == pytest.approx(6.0, abs=2e-3)


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


# --- Poolings of other networks ----------------------------------------------------------


def naive_pool(values, pooling, r):
    """Pool the rows of one array as the formulas are printed."""
    if pooling == "max":
        return np.max(values, axis=0)
    if pooling == "mean":
        return np.mean(values, axis=0)
    return np.log(np.mean(np.exp(r * values), axis=0)) / r


POOLINGS = [("max", 1.0), ("mean", 1.0), ("lse", 1.0), ("lse", 5.0), ("lse", 0.2)]
every_pooling = pytest.mark.parametrize(("pooling", "r"), POOLINGS)


@every_pooling
@given(bags=ragged_bags())
def test_segment_pool_equals_a_loop_over_bags(pooling, r, bags):
    values, bag_index, n_bags = pack(bags)
    found = F.segment_pool(values, bag_index, n_bags, pooling, r).detach()
    expected = np.array([naive_pool(bag, pooling, r) for bag in bags])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@every_pooling
@given(bags=ragged_bags())
def test_pooled_probabilities_equal_a_loop_over_bags(pooling, r, bags):
    logits, bag_index, n_bags = pack(bags)
    single = logits.shape[1] == 1
    found = F.pool_probability(logits, bag_index, n_bags, pooling, r).detach().numpy()
    assert found.shape == (n_bags, logits.shape[1])
    powers = [np.exp(bag) for bag in bags]
    p = [e / (1 + e) if single else e / e.sum(axis=1, keepdims=True) for e in powers]
    pooled = np.array([naive_pool(rows, pooling, r) for rows in p])
    recovered = 1 / (1 + np.exp(-found)) if single else np.exp(found)
    np.testing.assert_allclose(recovered, pooled, rtol=1e-6, atol=1e-12)
    assert (recovered >= np.array([rows.min(axis=0) for rows in p]) - 1e-12).all()
    assert (recovered <= np.array([rows.max(axis=0) for rows in p]) + 1e-12).all()


@every_pooling
def test_one_instance_keeps_its_probability(pooling, r):
    index = torch.arange(4)
    logits = torch.tensor([[-200.0], [-3.0], [0.5], [200.0]])
    torch.testing.assert_close(F.pool_probability(logits, index, 4, pooling, r), logits)
    classes = torch.randn(4, 3)
    torch.testing.assert_close(
        torch.softmax(F.pool_probability(classes, index, 4, pooling, r), 1),
        torch.softmax(classes, 1),
    )


@pytest.mark.parametrize("r", [1e-6, 1.0, 10.0, 1e3, 1e6])
def test_lse_of_probabilities_lies_between_mean_and_maximum(r):
    bag_index = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    logits = torch.tensor([[0.0], [3.0], [-50.0], [30.0], [40.0], [-40.0], [-42.0]])
    mean, lse, largest = (
        F.pool_probability(logits, bag_index, 3, pooling, r) for pooling in ("mean", "lse", "max")
    )
    assert (lse >= mean - 1e-5).all()
    assert (lse <= largest + 1e-5).all()
    if r == 1e-6:
        torch.testing.assert_close(lse, mean, rtol=1e-4, atol=1e-5)
    # Probabilities next to 0 have no spread that r could act on.
    torch.testing.assert_close(lse[2], mean[2], rtol=1e-4, atol=0)
    if r == 1e6:
        torch.testing.assert_close(lse[0], largest[0], rtol=1e-4, atol=0)


@every_pooling
@pytest.mark.parametrize("n_classes", [1, 3])
@pytest.mark.parametrize("size", [20.0, 100.0, 1e4, 1e30])
def test_pooled_probabilities_and_gradients_are_finite_for_huge_logits(pooling, r, n_classes, size):
    logits = size * torch.tensor([1.0, -1.0, -1.0, -0.9, 1.0, 0.9, 0.0]).unsqueeze(1)
    logits = (logits * torch.tensor([1.0, -1.0, 0.5])[:n_classes]).requires_grad_()
    scores = F.pool_probability(logits, torch.tensor([0, 0, 1, 1, 2, 2, 3]), 4, pooling, r)
    assert torch.isfinite(scores).all()
    (gradient,) = torch.autograd.grad(scores.sum(), logits)
    assert torch.isfinite(gradient).all()
    if n_classes == 1:
        # A bag on the wrong side, however far, is still pulled.
        assert (gradient[2:6] >= 0).all()
        for bag in (slice(2, 4), slice(4, 6)):
            assert gradient[bag].sum().item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_averaged_probabilities_are_the_mean_of_the_classifiers(n_classes):
    logits = 3 * torch.randn(6, 4, n_classes, dtype=torch.float64)
    scores = F.average_probability(logits)
    if n_classes == 1:
        torch.testing.assert_close(torch.sigmoid(scores), torch.sigmoid(logits).mean(1))
    else:
        torch.testing.assert_close(torch.exp(scores), torch.softmax(logits, 2).mean(1))
    assert torch.isfinite(F.average_probability(1e30 * logits)).all()


@pytest.mark.parametrize("gated", [False, True])
@given(bags=ragged_bags())
def test_attention_pooling_equals_a_loop_over_bags(gated, bags):
    h, bag_index, n_bags = pack(bags)
    rng = np.random.default_rng(0)
    V, U = rng.normal(size=(2, 3, h.shape[1]))
    w = rng.normal(size=3)
    tensors = [torch.from_numpy(V), torch.from_numpy(w), torch.from_numpy(U) if gated else None]
    pooled, weights = F.attention_pooling(h.detach(), bag_index, n_bags, *tensors)
    for i, bag in enumerate(bags):
        logits = []
        for instance in bag:
            hidden = np.tanh(V @ instance)
            if gated:
                hidden = hidden / (1 + np.exp(-(U @ instance)))
            logits.append(w @ hidden)
        a = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(weights[bag_index == i], a, rtol=1e-9)
        np.testing.assert_allclose(pooled[i], a @ bag, rtol=1e-7, atol=1e-12)


@every_pooling
@pytest.mark.parametrize("n_classes", [1, 3])
def test_pooled_probability_gradcheck(pooling, r, n_classes):
    bag_index = torch.tensor([0, 0, 0, 1, 2, 2])
    logits = torch.randn(6, n_classes, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: F.pool_probability(x, bag_index, 3, pooling, r), (logits,))
    assert gradcheck(lambda x: F.segment_pool(x, bag_index, 3, pooling, r), (logits,))
    assert gradcheck(lambda x: F.average_probability(x.view(3, 2, -1)), (logits,))
