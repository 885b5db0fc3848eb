"""Packed bags, and loops over bags to hold functions of packed bags against."""

import numpy as np
import pytest
import torch


def pack(bags):
    """Return values, bag index and number of bags as the functions take them."""
    values = torch.from_numpy(bags.instances).requires_grad_()
    return values, torch.from_numpy(bags.bag_index), bags.n_bags


def per_bag(function, values, bag_index, n_bags):
    return torch.stack([function(values[bag_index == i]) for i in range(n_bags)])


def naive_pool(values, pooling, r):
    """Pool the rows of one array as the formulas are printed."""
    if pooling == "max":
        return np.max(values, axis=0)
    if pooling == "mean":
        return np.mean(values, axis=0)
    return np.log(np.mean(np.exp(r * values), axis=0)) / r


POOLINGS = [("max", 1.0), ("mean", 1.0), ("lse", 1.0), ("lse", 5.0), ("lse", 0.2)]


every_pooling = pytest.mark.parametrize(("pooling", "r"), POOLINGS)
