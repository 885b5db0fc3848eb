"""Reductions of packed values, bag by bag."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "segment_logmeanexp",
    "segment_max",
    "segment_mean",
    "segment_pool",
    "segment_softmax",
    "segment_sum",
]

Pooling = Literal["max", "mean", "lse"]


def segment_sum(values: Tensor, bag_index: Tensor, n_bags: int) -> Tensor:
    """Sum the values of each bag.

    Parameters
    ----------
    values : Tensor of shape (n_instances, ...)
        Packed values.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row, in 0..n_bags - 1.
    n_bags : int
        Number of bags.

    Returns
    -------
    sums : Tensor of shape (n_bags, ...)
        One sum per bag.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import segment_sum
    >>> segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 1, 1]), 2)
    tensor([1., 6.])
    """
    zeros = values.new_zeros((n_bags, *values.shape[1:]))
    return zeros.index_add(0, bag_index, values)


def segment_mean(values: Tensor, bag_index: Tensor, n_bags: int) -> Tensor:
    """Average the values of each bag.

    Parameters
    ----------
    values : Tensor of shape (n_instances, ...)
        Packed values.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.

    Returns
    -------
    means : Tensor of shape (n_bags, ...)
        One mean per bag.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import segment_mean
    >>> segment_mean(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 1, 1]), 2)
    tensor([1., 3.])
    """
    sums = segment_sum(values, bag_index, n_bags)
    sizes = torch.bincount(bag_index, minlength=n_bags).to(values.dtype)
    return sums / sizes.view(-1, *[1] * (values.ndim - 1))


def segment_max(values: Tensor, bag_index: Tensor, n_bags: int) -> Tensor:
    """Return the largest value of each bag; instances that tie share the gradient.

    Parameters
    ----------
    values : Tensor of shape (n_instances, ...)
        Packed values.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.

    Returns
    -------
    maxima : Tensor of shape (n_bags, ...)
        The maximum of each bag, taken elementwise over its rows.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import segment_max
    >>> segment_max(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 1, 1]), 2)
    tensor([1., 4.])
    """
    index = bag_index.view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    lowest = values.new_full((n_bags, *values.shape[1:]), -torch.inf)
    return lowest.scatter_reduce(0, index, values, reduce="amax")


def segment_logmeanexp(
    values: Tensor, bag_index: Tensor, n_bags: int, sharpness: float = 1.0
) -> Tensor:
    """Return ``log(mean(exp(sharpness * values))) / sharpness`` of each bag.

    A smooth bridge between the mean (sharpness to 0) and the maximum (to infinity).

    Parameters
    ----------
    values : Tensor of shape (n_instances, ...)
        Packed values.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    sharpness : float, default=1.0
        Positive.

    Returns
    -------
    pooled : Tensor of shape (n_bags, ...)
        One value per bag.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import segment_logmeanexp
    >>> segment_logmeanexp(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([0, 1, 1]), 2)
    tensor([1., 2.])
    """
    # Shifting by the maximum changes neither value nor gradient, so it needs no gradient.
    peak = segment_max(values.detach(), bag_index, n_bags)
    # expm1 and log1p keep the digits that a small sharpness would round away.
    excess = segment_mean(torch.expm1(sharpness * (values - peak[bag_index])), bag_index, n_bags)
    return peak + torch.log1p(excess) / sharpness


def segment_pool(
    values: Tensor,
    bag_index: Tensor,
    n_bags: int,
    pooling: Pooling = "max",
    sharpness: float = 1.0,
) -> Tensor:
    """Pool the values of each bag by one of the three poolings of [1]_.

    Parameters
    ----------
    values : Tensor of shape (n_instances, ...)
        Packed values.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    pooling : {"max", "mean", "lse"}, default="max"
        Maximum, mean, or the bridge between them, :func:`segment_logmeanexp`.
    sharpness : float, default=1.0
        For "lse": how close it comes to the maximum. Positive; *r* in the paper.

    Returns
    -------
    pooled : Tensor of shape (n_bags, ...)
        One value per bag.

    References
    ----------
    .. [1] Wang, X., Yan, Y., Tang, P., Bai, X., Liu, W. (2018). Revisiting multiple instance
       neural networks. Pattern Recognition 74, 15-24.
       https://doi.org/10.1016/j.patcog.2017.08.026

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import segment_pool
    >>> segment_pool(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 1, 1]), 2, "mean")
    tensor([1., 3.])
    """
    if pooling == "max":
        return segment_max(values, bag_index, n_bags)
    if pooling == "mean":
        return segment_mean(values, bag_index, n_bags)
    return segment_logmeanexp(values, bag_index, n_bags, sharpness)


def segment_softmax(logits: Tensor, bag_index: Tensor, n_bags: int) -> Tensor:
    """Softmax over the instances of each bag.

    Parameters
    ----------
    logits : Tensor of shape (n_instances, ...)
        Packed logits.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.

    Returns
    -------
    weights : Tensor of shape (n_instances, ...)
        Non-negative, summing to 1 over the rows of each bag.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import segment_softmax
    >>> segment_softmax(torch.tensor([7.0, 0.0, 0.0]), torch.tensor([0, 1, 1]), 2)
    tensor([1.0000, 0.5000, 0.5000])
    """
    peak = segment_max(logits.detach(), bag_index, n_bags)
    powers = torch.exp(logits - peak[bag_index])
    return powers / segment_sum(powers, bag_index, n_bags)[bag_index]
