"""Pooling by learnt instance weights."""

from __future__ import annotations

import torch
from torch import Tensor

from skmil.functional._segments import segment_softmax, segment_sum

__all__ = ["attention_pooling"]


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
