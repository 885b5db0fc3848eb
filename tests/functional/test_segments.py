import numpy as np
import pytest
import torch
from hypothesis import given
from packing import every_pooling, naive_pool, pack, per_bag
from strategies import ragged_bags

from skmil import functional as F


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


@every_pooling
@given(bags=ragged_bags())
def test_segment_pool_equals_a_loop_over_bags(pooling, r, bags):
    values, bag_index, n_bags = pack(bags)
    found = F.segment_pool(values, bag_index, n_bags, pooling, r).detach()
    expected = np.array([naive_pool(bag, pooling, r) for bag in bags])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sharpness", [1e-8, 1e-6, 1e-4])
def test_logmeanexp_of_little_sharpness_is_the_mean_in_single_precision(sharpness):
    values, bag_index = torch.tensor([0.0, 1.0, 5.0, 7.0]), torch.tensor([0, 0, 0, 1])
    found = F.segment_logmeanexp(values, bag_index, 2, sharpness)
    torch.testing.assert_close(found, torch.tensor([2.0, 7.0]), rtol=1e-3, atol=0)
