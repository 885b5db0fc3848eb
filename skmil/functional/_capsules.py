"""Vectors whose length is a probability: squash and the margin loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm

__all__ = [
    "length_probability",
    "margin_loss",
    "relative_probability",
    "squared_length",
    "squash",
]

#: What is added to squared lengths that are compared, so that two of zero can be.
SMALLEST = 1e-6

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


def relative_probability(squared: Tensor) -> Tensor:
    """Return ``n_k^2 / (n_1^2 + ... + n_K^2)``, the share of each of K vectors.

    To each squared length 1e-6 is added first, so vectors that are all zero have equal shares, and
    the gradient is finite.

    Parameters
    ----------
    squared : Tensor of shape (..., K)
        Squared lengths ``n_k^2`` before squashing, as from :func:`squared_length`.

    Returns
    -------
    probability : Tensor
        Values from 0 to 1, of the same shape, which sum to 1 over the last axis.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import relative_probability
    >>> relative_probability(torch.tensor([[1.0, 3.0], [0.0, 0.0]]))
    tensor([[0.2500, 0.7500],
            [0.5000, 0.5000]])
    """
    squared = squared + SMALLEST
    return squared / squared.sum(-1, keepdim=True)


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
    squashed, _ = squash_and_factors(vectors)
    return squashed


def squash_and_factors(vectors: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return squashed vectors, and what :func:`squash_gradient` needs.

    Parameters
    ----------
    vectors : Tensor of shape (..., n_dimensions)
        Vectors.

    Returns
    -------
    squashed : Tensor of shape (..., n_dimensions)
        Vectors shorter than 1.
    factors : tuple of Tensor
        Intermediate results.
    """
    # A factor taken out of long vectors cancels in the result but keeps squares finite.
    largest = vector_norm(vectors.detach(), torch.inf, -1, keepdim=True)
    m = 1 / largest.clamp(min=1.0)
    scaled = vectors * m
    length = vector_norm(scaled, 2, -1, keepdim=True)  # of gradient 0 at the zero vector
    ratio = length / (m * m + length * length)
    return scaled * ratio, (m, scaled, length, ratio)


def squash_gradient(factors: tuple[Tensor, ...], gradient: Tensor) -> Tensor:
    """Return the gradient with respect to vectors from that of what squash made of them.

    With the unit vector u along the vector, its length n and p = n^2 / (1 + n^2), that is
    ``p / n * (gradient + (1 - 2 * p) * (u . gradient) * u)``.

    Parameters
    ----------
    factors : tuple of Tensor
        From :func:`squash_and_factors`.
    gradient : Tensor of shape (..., n_dimensions)
        Gradient with respect to the squashed vectors.

    Returns
    -------
    gradient : Tensor of shape (..., n_dimensions)
        Gradient with respect to the vectors.
    """
    m, scaled, length, ratio = factors
    unit = scaled / length.clamp(min=torch.finfo(length.dtype).tiny)
    along = (unit * gradient).sum(-1, keepdim=True)
    return ratio * m * (gradient + (1 - 2 * ratio * length) * along * unit)


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
