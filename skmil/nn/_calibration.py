"""Starting dynamic pooling where it can be trained."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from skmil.functional import length_probability, segment_max, segment_mean, squared_length
from skmil.nn._dp_minn import DPMINN

__all__ = ["scale_to_probability"]

#: Halvings of the interval, on a logarithmic scale, that holds the factor.
_STEPS = 24


@torch.no_grad()
def scale_to_probability(
    network: DPMINN,
    batches: Iterable[tuple[Tensor, Tensor, int]],
    bag_weight: Tensor,
    probability: float = 0.5,
) -> None:
    """Scale the embeddings of a network so that bags have a given mean probability.

    The length of a pooled embedding grows faster than the embeddings that are pooled,
    because longer embeddings also sharpen the weights. So the factor is found by
    bisection: below, where even the longest instance of all is too short, and above, where
    even the shortest mean of a bag is too long. Bags whose embeddings are all zero, which
    no factor changes, do not count.

    Parameters
    ----------
    network : DPMINN
        The network; the last layer of its encoder is changed in place.
    batches : iterable of (instances, bag_index, n_bags)
        All bags, in batches.
    bag_weight : Tensor of shape (n_bags,)
        How much each bag counts in the mean; not all zero.
    probability : float, default=0.5
        The wanted weighted mean of ``n^2 / (1 + n^2)``, the same for each capsule, where n
        is the length of a pooled embedding. Between 0 and 1.
    """
    was_training = network.training
    network.eval()  # as the embeddings are without dropout
    embedded = [
        (network.embed(instances), bag_index, n_bags) for instances, bag_index, n_bags in batches
    ]
    # All of shape (n_bags, n_capsules), squared.
    longest = torch.cat([segment_max(squared_length(f), i, n) for f, i, n in embedded])
    average = torch.cat([squared_length(segment_mean(f, i, n)) for f, i, n in embedded])
    weight = bag_weight.unsqueeze(1) * (average > 0)

    def mean_probability(factor: Tensor) -> Tensor:
        pooled = [network.pooling(factor.unsqueeze(-1) * f, i, n)[0] for f, i, n in embedded]
        p = torch.cat([length_probability(squared_length(vectors)) for vectors in pooled])
        return (weight * p).sum(0) / weight.sum(0)

    wanted = probability / (1 - probability)  # the squared length
    shortest = torch.where(weight > 0, average, torch.inf).amin(0)
    longest = torch.where(weight > 0, longest, 0.0).amax(0)
    low, high = (wanted / longest).sqrt(), (wanted / shortest).sqrt()
    for _ in range(_STEPS):
        middle = (low * high).sqrt()
        too_long = mean_probability(middle) > probability
        low, high = torch.where(too_long, low, middle), torch.where(too_long, middle, high)
    network.train(was_training)
    factor = (low * high).sqrt()
    network.rescale(torch.where(weight.sum(0) > 0, factor, torch.ones_like(factor)))
