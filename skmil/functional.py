"""The equations of deep multiple instance learning, as pure functions of packed bags.

Instances of all bags of a batch stand in one tensor; `bag_index` says which bag each row
belongs to. Nothing is padded, so the result for a bag cannot depend on the other bags.

Every bag needs at least one instance. Shapes in comments: N instances, B bags, K capsules
and D embedding dimensions.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

__all__ = [
    "attention_pooling",
    "average_probability",
    "dynamic_pooling",
    "length_probability",
    "margin_loss",
    "pool_probability",
    "segment_logmeanexp",
    "segment_max",
    "segment_mean",
    "segment_pool",
    "segment_softmax",
    "segment_sum",
    "squared_length",
    "squash",
]

Pooling = Literal["max", "mean", "lse"]
RoutingGradient = Literal["full", "last"]

#: Squared lengths are capped here: p = n^2 / (1 + n^2) is 1 long before, in any precision,
#: and the cap keeps inf / inf away.
_LONGEST = 1e30

#: Here a probability can still be held in float32, and exp(p) is 1 + p in any precision.
_SMALL = 1e-30


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
    powers = torch.exp(sharpness * (values - peak[bag_index]))
    return peak + torch.log(segment_mean(powers, bag_index, n_bags)) / sharpness


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


def attention_pooling(
    embeddings: Tensor,
    bag_index: Tensor,
    n_bags: int,
    V: Tensor,
    w: Tensor,
    U: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Pool the instances of each bag by learnt attention.

    The weight of an instance with embedding h is a softmax over its bag of
    ``w . tanh(V h)``, or of ``w . (tanh(V h) * sigmoid(U h))`` with a gate; Eqs. 8 and 9 of
    [1]_.

    Parameters
    ----------
    embeddings : Tensor of shape (n_instances, n_dimensions)
        Packed instance embeddings.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    V : Tensor of shape (attention_size, n_dimensions)
        What maps an embedding to the hidden layer of the attention.
    w : Tensor of shape (attention_size,)
        What maps the hidden layer to the logit of an instance.
    U : Tensor of shape (attention_size, n_dimensions), default=None
        What maps an embedding to the gate of the hidden layer; None for no gate.

    Returns
    -------
    pooled : Tensor of shape (n_bags, n_dimensions)
        The weighted sums.
    weights : Tensor of shape (n_instances,)
        The instance weights, summing to 1 in each bag.

    References
    ----------
    .. [1] Ilse, M., Tomczak, J. M., Welling, M. (2018). Attention-based deep multiple
       instance learning. ICML, PMLR 80:2127-2136.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import attention_pooling
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> V, w = torch.tensor([[9.0, 0.0]]), torch.ones(1)
    >>> pooled, weights = attention_pooling(embeddings, torch.tensor([0, 0]), 1, V, w)
    >>> weights
    tensor([0.7311, 0.2689])
    """
    hidden = torch.tanh(embeddings @ V.T)  # (N, L)
    if U is not None:
        hidden = hidden * torch.sigmoid(embeddings @ U.T)
    weights = segment_softmax(hidden @ w, bag_index, n_bags)  # (N,)
    return segment_sum(weights.unsqueeze(1) * embeddings, bag_index, n_bags), weights


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
