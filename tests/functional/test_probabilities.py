import numpy as np
import pytest
import torch
from hypothesis import given
from packing import every_pooling, naive_pool, pack
from strategies import ragged_bags
from torch.autograd import gradcheck

from skmil import functional as F


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


@every_pooling
@pytest.mark.parametrize("n_classes", [1, 3])
def test_pooled_probability_gradcheck(pooling, r, n_classes):
    bag_index = torch.tensor([0, 0, 0, 1, 2, 2])
    logits = torch.randn(6, n_classes, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: F.pool_probability(x, bag_index, 3, pooling, r), (logits,))
    assert gradcheck(lambda x: F.segment_pool(x, bag_index, 3, pooling, r), (logits,))
    assert gradcheck(lambda x: F.average_probability(x.view(3, 2, -1)), (logits,))
