"""Vectors whose length is a probability: squash, dynamic pooling and the margin loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from skmil.functional._segments import segment_softmax, segment_sum

__all__ = ["dynamic_pooling", "length_probability", "margin_loss", "squared_length", "squash"]

RoutingGradient = Literal["full", "last"]

#: Squared lengths are capped here: p = n^2 / (1 + n^2) is 1 long before, in any precision,
#: and the cap keeps inf / inf away.
_LONGEST = 1e30


def squared_length(vectors: Tensor) -> Tensor:
    """Return the squared Euclidean length of vectors along the last axis, capped at 1e30.

    Parameters
    ----------
    vectors : Tensor of shape (..., n_dimensions)
        Vectors.

    Returns
    -------
    squared : Tensor of shape (...)
        Squared lengths, always finite for finite vectors.
    """
    return (vectors * vectors).sum(-1).clamp(max=_LONGEST)


def length_probability(squared: Tensor) -> Tensor:
    """Return ``n^2 / (1 + n^2)``, the length of a squashed vector, from ``n^2``.

    No square root is taken, so the gradient is finite at zero.

    Parameters
    ----------
    squared : Tensor
        Squared lengths ``n^2`` before squashing, as from :func:`squared_length`.

    Returns
    -------
    probability : Tensor
        Values from 0 to 1, of the same shape.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import length_probability
    >>> length_probability(torch.tensor([0.0, 1.0, 9.0]))
    tensor([0.0000, 0.5000, 0.9000])
    """
    return squared / (1 + squared)


def squash(vectors: Tensor) -> Tensor:
    """Shorten vectors to length ``n^2 / (1 + n^2)``, keeping their direction.

    The squash of [1]_. Value and gradient are zero at the zero vector, and finite for vectors
    of any length.

    Parameters
    ----------
    vectors : Tensor of shape (..., n_dimensions)
        Vectors.

    Returns
    -------
    squashed : Tensor of shape (..., n_dimensions)
        Vectors shorter than 1.

    References
    ----------
    .. [1] Yan, Y., Wang, X., Guo, X., Fang, J., Liu, W., Huang, J. (2018). Deep
       multi-instance learning with dynamic pooling. ACML, PMLR 95:662-677.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import squash
    >>> squash(torch.tensor([[3.0, 0.0], [0.0, 0.0]]))
    tensor([[0.9000, 0.0000],
            [0.0000, 0.0000]])
    """
    # A factor m taken out of long vectors cancels in the result but keeps squares finite.
    m = vectors.detach().abs().amax(-1, keepdim=True).clamp(min=1.0)
    scaled = vectors / m
    squared = (scaled * scaled).sum(-1, keepdim=True)
    # The root of zero has no gradient; there the vector itself is zero, so 1 serves as well.
    length = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt()
    return scaled * length / (m**-2 + squared)


def dynamic_pooling(
    embeddings: Tensor,
    bag_index: Tensor,
    n_bags: int,
    T: int = 3,
    routing_gradient: RoutingGradient = "full",
) -> tuple[Tensor, Tensor]:
    """Pool the instances of each bag by iterated agreement with the bag's embedding.

    As in [1]_, the weight of an instance in its bag is a softmax over the bag of
    its logit, which starts at zero and grows in each iteration by the inner product of the
    instance's embedding and the squashed bag embedding.

    Parameters
    ----------
    embeddings : Tensor of shape (n_instances, ..., n_dimensions)
        Packed instance embeddings. Axes in between, such as one capsule per class, are
        pooled independently. Half precision is raised to float32.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    T : int, default=3
        Number of iterations, at least 1. One iteration is mean pooling.
    routing_gradient : {"full", "last"}, default="full"
        "full" differentiates through all iterations; "last" treats the weights as
        constants and differentiates only the last weighted sum.

    Returns
    -------
    pooled : Tensor of shape (n_bags, ..., n_dimensions)
        The weighted sum of the last iteration, not squashed; see :func:`squash`.
    weights : Tensor of shape (n_instances, ...)
        The instance weights of the last iteration, summing to 1 in each bag.

    References
    ----------
    .. [1] Yan, Y., Wang, X., Guo, X., Fang, J., Liu, W., Huang, J. (2018). Deep
       multi-instance learning with dynamic pooling. ACML, PMLR 95:662-677.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import dynamic_pooling
    >>> embeddings = torch.tensor([[3.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
    >>> pooled, weights = dynamic_pooling(embeddings, torch.tensor([0, 0, 0]), n_bags=1)
    >>> weights
    tensor([0.0185, 0.4908, 0.4908])
    """
    if embeddings.dtype in (torch.float16, torch.bfloat16):
        embeddings = embeddings.float()
    routed = embeddings if routing_gradient == "full" else embeddings.detach()
    logits = routed.new_zeros(routed.shape[:-1])  # (N, ...)
    for _ in range(T - 1):
        weights = segment_softmax(logits, bag_index, n_bags)
        pooled = segment_sum(weights.unsqueeze(-1) * routed, bag_index, n_bags)  # (B, ..., D)
        logits = logits + (routed * squash(pooled)[bag_index]).sum(-1)
    weights = segment_softmax(logits, bag_index, n_bags)
    return segment_sum(weights.unsqueeze(-1) * embeddings, bag_index, n_bags), weights


def margin_loss(
    probability: Tensor,
    target: Tensor,
    margin_positive: float = 0.9,
    margin_negative: float = 0.1,
    negative_weight: float = 1.0,
) -> Tensor:
    """Return the margin loss of each probability.

    ``target * max(0, margin_positive - p)^2
    + negative_weight * (1 - target) * max(0, p - margin_negative)^2``, from [1]_.

    Parameters
    ----------
    probability : Tensor
        Probabilities from 0 to 1.
    target : Tensor
        Targets 0 or 1, of the same shape.
    margin_positive : float, default=0.9
        A positive at or above this costs nothing.
    margin_negative : float, default=0.1
        A negative at or below this costs nothing.
    negative_weight : float, default=1.0
        Weight of the second term. Capsule networks with one capsule per class use 0.5.

    Returns
    -------
    loss : Tensor
        One loss per probability, of the same shape.

    References
    ----------
    .. [1] Yan, Y., Wang, X., Guo, X., Fang, J., Liu, W., Huang, J. (2018). Deep
       multi-instance learning with dynamic pooling. ACML, PMLR 95:662-677.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import margin_loss
    >>> margin_loss(torch.tensor([0.4, 0.4, 0.95]), torch.tensor([1.0, 0.0, 1.0]))
    tensor([0.2500, 0.0900, 0.0000])
    """
    too_short = (margin_positive - probability).clamp(min=0) ** 2
    too_long = (probability - margin_negative).clamp(min=0) ** 2
    return target * too_short + negative_weight * (1 - target) * too_long
