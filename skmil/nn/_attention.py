"""Attention: a small network decides how much each instance contributes to its bag."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skmil.functional import attention_pooling
from skmil.nn._bag_network import BagNetwork
from skmil.nn._encoder import Encoder

__all__ = ["AttentionMIL", "AttentionPooling"]


class AttentionPooling(nn.Module):
    """Attention pooling as a module; see :func:`skmil.functional.attention_pooling`.

    Parameters
    ----------
    n_dimensions : int
        Width of an instance embedding.
    attention_size : int, default=64
        Width of the hidden layer that the weights are computed from.
    gated : bool, default=False
        Whether a second layer gates the hidden layer.
    """

    def __init__(self, n_dimensions: int, attention_size: int = 64, gated: bool = False) -> None:
        super().__init__()
        self.V = nn.Linear(n_dimensions, attention_size, bias=False)
        self.U = nn.Linear(n_dimensions, attention_size, bias=False) if gated else None
        self.w = nn.Linear(attention_size, 1, bias=False)  # the softmax would cancel a bias

    def forward(self, embeddings: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, Tensor]:
        """Return pooled embeddings and instance weights."""
        gate = None if self.U is None else self.U.weight
        return attention_pooling(
            embeddings, bag_index, n_bags, self.V.weight, self.w.weight[0], gate
        )


class AttentionMIL(BagNetwork):
    """Network with attention pooling and a linear classifier, after [1]_.

    Parameters
    ----------
    n_features : int
        Width of an instance.
    hidden_layer_sizes : sequence of int, default=(256, 128, 64)
        Widths of the encoder's layers.
    n_logits : int, default=1
        1 for two classes, else one for each class.
    attention_size : int, default=64
        Width of the hidden layer of the attention.
    gated : bool, default=False
        Whether the attention is gated.
    dropout : float, default=0.0
        Dropout inside the encoder.

    References
    ----------
    .. [1] Ilse, M., Tomczak, J. M., Welling, M. (2018). Attention-based deep multiple
       instance learning. Proceedings of the 35th International Conference on Machine
       Learning, PMLR 80:2127-2136. https://proceedings.mlr.press/v80/ilse18a.html

    Examples
    --------
    >>> import torch
    >>> from skmil.nn import AttentionMIL
    >>> network = AttentionMIL(10, (32, 8))
    >>> scores, embeddings, weights = network(torch.ones(3, 10), torch.tensor([0, 0, 1]), 2)
    >>> scores.shape, embeddings.shape, weights.shape
    (torch.Size([2, 1]), torch.Size([2, 8]), torch.Size([3]))
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int] = (256, 128, 64),
        *,
        n_logits: int = 1,
        attention_size: int = 64,
        gated: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding_size = hidden_layer_sizes[-1]
        self.encoder = Encoder(n_features, hidden_layer_sizes, dropout)
        self.pooling = AttentionPooling(self.embedding_size, attention_size, gated)
        self.head = nn.Linear(self.embedding_size, n_logits)

    def embed(self, instances: Tensor) -> Tensor:
        """Return instance embeddings of shape (n_instances, embedding_size)."""
        embeddings: Tensor = self.encoder(instances)
        return embeddings

    def pool(
        self, embedded: Tensor, bag_index: Tensor, n_bags: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Score bags from their embedded instances.

        Parameters
        ----------
        embedded : Tensor of shape (n_instances, embedding_size)
            Instance embeddings.
        bag_index : int64 Tensor of shape (n_instances,)
            The bag of each instance.
        n_bags : int
            Number of bags.

        Returns
        -------
        scores : Tensor of shape (n_bags, n_logits)
            The logits.
        embeddings : Tensor of shape (n_bags, embedding_size)
            The weighted sums that enter the classifier.
        weights : Tensor of shape (n_instances,)
            Instance weights.
        """
        pooled, weights = self.pooling(embedded, bag_index, n_bags)
        logits: Tensor = self.head(pooled)
        return logits, pooled, weights
