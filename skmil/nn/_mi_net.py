"""MI-Net: the instances of a bag are pooled into one vector, which is classified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from skmil.functional import Pooling, average_probability, segment_pool
from skmil.nn._bag_network import BagNetwork
from skmil.nn._encoder import Encoder

__all__ = ["MINet"]

Variant = Literal["plain", "deep_supervision", "residual"]


class MINet(BagNetwork):
    """Network that pools the embeddings of a bag and classifies the result, after [1]_.

    Parameters
    ----------
    n_features : int
        Width of an instance.
    hidden_layer_sizes : sequence of int, default=(256, 128, 64)
        Widths of the encoder's layers; all the same for ``variant="residual"``.
    n_logits : int, default=1
        Number of outputs of a classifier: 1 for two classes, else one for each class.
    variant : {"plain", "deep_supervision", "residual"}, default="plain"
        "plain" pools the last layer. "deep_supervision" pools every layer and gives each a
        linear classifier of its own. "residual" pools every layer and classifies the sum.
    pooling : {"max", "mean", "lse"}, default="max"
        How to pool; see :func:`skmil.functional.segment_pool`.
    sharpness : float, default=1.0
        How close "lse" comes to the maximum.
    dropout : float, default=0.0
        Dropout inside the encoder.

    References
    ----------
    .. [1] Wang, X., Yan, Y., Tang, P., Bai, X., Liu, W. (2018). Revisiting multiple instance
       neural networks. Pattern Recognition 74, 15-24.
       https://doi.org/10.1016/j.patcog.2017.08.026

    Examples
    --------
    >>> import torch
    >>> from skmil.nn import MINet
    >>> network = MINet(10, (32, 8), variant="deep_supervision")
    >>> bag_index = torch.tensor([0, 0, 1])
    >>> scores, embeddings, logits = network(torch.ones(3, 10), bag_index, 2)
    >>> scores.shape, embeddings.shape, logits.shape
    (torch.Size([2, 1]), torch.Size([2, 40]), torch.Size([2, 2, 1]))
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int] = (256, 128, 64),
        *,
        n_logits: int = 1,
        variant: Variant = "plain",
        pooling: Pooling = "max",
        sharpness: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if variant == "residual" and len(set(hidden_layer_sizes)) > 1:
            raise ValueError(
                'variant="residual" adds up the layers, so they need the same width, got '
                f"hidden_layer_sizes={tuple(hidden_layer_sizes)}. Use widths such as (128, 128, "
                "128), or another variant."
            )
        self.variant = variant
        self.pooling = pooling
        self.sharpness = sharpness
        self.encoder = Encoder(n_features, hidden_layer_sizes, dropout)
        classified = (
            hidden_layer_sizes if variant == "deep_supervision" else hidden_layer_sizes[-1:]
        )
        self.embedding_size = sum(classified)
        self.heads = nn.ModuleList(nn.Linear(width, n_logits) for width in classified)

    def embed(self, instances: Tensor) -> Tensor:
        """Return the layers that are pooled, side by side."""
        layers = self.encoder.activations(instances)
        return layers[-1] if self.variant == "plain" else torch.cat(layers, dim=1)

    def pool(
        self, embedded: Tensor, bag_index: Tensor, n_bags: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Score bags from their embedded instances.

        Parameters
        ----------
        embedded : Tensor of shape (n_instances, width)
            The layers that are pooled, side by side.
        bag_index : int64 Tensor of shape (n_instances,)
            The bag of each instance.
        n_bags : int
            Number of bags.

        Returns
        -------
        scores : Tensor of shape (n_bags, n_logits)
            The logits; of several classifiers, those of the mean probabilities.
        embeddings : Tensor of shape (n_bags, embedding_size)
            What the classifiers see of each bag, side by side.
        logits : Tensor of shape (n_bags, n_classifiers, n_logits)
            The logits of each classifier.
        """
        pooled = segment_pool(embedded, bag_index, n_bags, self.pooling, self.sharpness)
        if self.variant == "residual":
            pooled = pooled.unflatten(1, (-1, self.embedding_size)).sum(1)
        parts = pooled.split([head.in_features for head in self.heads], dim=1)
        logits = torch.stack([head(x) for head, x in zip(self.heads, parts, strict=True)], dim=1)
        scores = logits[:, 0] if len(parts) == 1 else average_probability(logits)
        return scores, pooled, logits
