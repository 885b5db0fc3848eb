import numpy as np
import pytest
import torch
from hypothesis import given
from packing import pack
from strategies import ragged_bags

from skmil import functional as F


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
