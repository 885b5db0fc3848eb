"""Pooled and averaged probabilities, computed without forming them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from skmil.functional._segments import Pooling, segment_logmeanexp, segment_max, segment_mean

__all__ = ["average_probability", "pool_probability"]

#: Here a probability can still be held in float32, and exp(p) is 1 + p in any precision.
_SMALL = 1e-30


def pool_probability(
    logits: Tensor,
    bag_index: Tensor,
    n_bags: int,
    pooling: Pooling = "max",
    sharpness: float = 1.0,
) -> Tensor:
    """Pool the class probabilities of the instances of each bag.

    A single column of logits stands for two classes: it is turned into probabilities by a
    sigmoid, and the pooled probability back into a logit. Several columns, one per class,
    are turned into probabilities by a softmax; then the logarithm of the pooled
    probabilities is returned, whose softmax is their share in the sum of all classes.

    Probabilities stay between 0 and 1 with each pooling, as each lies between the least and
    the greatest of the bag. They never stand as such: score and gradient are finite for
    every finite logit.

    Parameters
    ----------
    logits : Tensor of shape (n_instances, 1) or (n_instances, n_classes)
        Packed logits.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    pooling : {"max", "mean", "lse"}, default="max"
        As in :func:`segment_pool`.
    sharpness : float, default=1.0
        As in :func:`segment_pool`.

    Returns
    -------
    scores : Tensor of shape (n_bags, 1) or (n_bags, n_classes)
        Log-odds, or logarithms, of the pooled probabilities.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import pool_probability
    >>> logits = torch.logit(torch.tensor([[0.2], [0.3], [0.5]]))
    >>> torch.sigmoid(pool_probability(logits, torch.tensor([0, 1, 1]), 2, "mean"))
    tensor([[0.2000],
            [0.4000]])
    """
    if logits.shape[1] > 1:
        log_p = log_softmax(logits, dim=1)
        return _log_pooled_probability(log_p, bag_index, n_bags, pooling, sharpness)
    if pooling == "max":
        return segment_max(logits, bag_index, n_bags)
    # The complement of "lse" is "lse" of the complements with the opposite sharpness.
    present, absent = (
        _log_pooled_probability(logsigmoid(sign * logits), bag_index, n_bags, pooling, r)
        for sign, r in ((1, sharpness), (-1, -sharpness))
    )
    return present - absent


def _log_pooled_probability(
    log_p: Tensor, bag_index: Tensor, n_bags: int, pooling: Pooling, sharpness: float
) -> Tensor:
    """Return the logarithm of pooled probabilities from those of the instances."""
    if pooling == "max":
        return segment_max(log_p, bag_index, n_bags)
    log_mean = segment_logmeanexp(log_p, bag_index, n_bags)
    if pooling == "mean":
        return log_mean
    p = torch.exp(log_p)
    sign = 1 if sharpness > 0 else -1
    peak = sign * segment_max(sign * p.detach(), bag_index, n_bags)
    # log1p and expm1 keep the digits of probabilities that are small against 1.
    excess = segment_mean(torch.expm1(sharpness * (p - peak[bag_index])), bag_index, n_bags)
    pooled = peak + torch.log1p(excess) / sharpness
    # Where all are tiny, "lse" is the mean, whose logarithm is known without underflow.
    small = pooled * abs(sharpness) < _SMALL
    return torch.where(small, log_mean, pooled.clamp(min=torch.finfo(p.dtype).tiny).log())


def average_probability(logits: Tensor) -> Tensor:
    """Average the class probabilities that several classifiers give to the same bags.

    As in :func:`pool_probability`, one column stands for two classes.

    Parameters
    ----------
    logits : Tensor of shape (n_bags, n_classifiers, 1) or (n_bags, n_classifiers, n_classes)
        Logits.

    Returns
    -------
    scores : Tensor of shape (n_bags, 1) or (n_bags, n_classes)
        Log-odds, or logarithms, of the mean probabilities.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import average_probability
    >>> logits = torch.logit(torch.tensor([[[0.3], [0.5]]]))
    >>> torch.sigmoid(average_probability(logits))
    tensor([[0.4000]])
    """
    if logits.shape[2] > 1:
        return torch.logsumexp(log_softmax(logits, dim=2), dim=1) - math.log(logits.shape[1])
    return torch.logsumexp(logsigmoid(logits), dim=1) - torch.logsumexp(logsigmoid(-logits), dim=1)
