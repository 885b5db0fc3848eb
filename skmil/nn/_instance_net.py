"""The network mi-Net: every instance is classified, and the probabilities are pooled."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skmil.functional import Pooling, pool_probability
from skmil.nn._bag_network import BagNetwork
from skmil.nn._encoder import Encoder

__all__ = ["InstanceNet"]


class InstanceNet(BagNetwork):
    """Network that classifies instances and pools their probabilities, mi-Net of [1]_.

    Parameters
    ----------
    n_features : int
        Width of an instance.
    hidden_layer_sizes : sequence of int, default=(256, 128, 64)
        Widths of the encoder's layers.
    n_logits : int, default=1
        1 for two classes, else one for each class.
    pooling : {"max", "mean", "lse"}, default="max"
        How to pool; see :func:`skmil.functional.pool_probability`.
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
    >>> from skmil.nn import InstanceNet
    >>> network = InstanceNet(10, (32, 8))
    >>> scores, logits = network(torch.ones(3, 10), torch.tensor([0, 0, 1]), 2)
    >>> scores.shape, logits.shape
    (torch.Size([2, 1]), torch.Size([3, 1]))
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int] = (256, 128, 64),
        *,
        n_logits: int = 1,
        pooling: Pooling = "max",
        sharpness: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.sharpness = sharpness
        self.encoder = Encoder(n_features, hidden_layer_sizes, dropout)
        self.head = nn.Linear(hidden_layer_sizes[-1], n_logits)

    def embed(self, instances: Tensor) -> Tensor:
        """Return the logits of the instances, of shape (n_instances, n_logits)."""
        logits: Tensor = self.head(self.encoder(instances))
        return logits

    def pool(self, embedded: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, Tensor]:
        """Score bags from their embedded instances.

        Parameters
        ----------
        embedded : Tensor of shape (n_instances, n_logits)
            Logits of the instances.
        bag_index : int64 Tensor of shape (n_instances,)
            The bag of each instance.
        n_bags : int
            Number of bags.

        Returns
        -------
        scores : Tensor of shape (n_bags, n_logits)
            Log-odds of the pooled probability, or logarithms of those of several classes.
        logits : Tensor of shape (n_instances, n_logits)
            Logits of the instances.
        """
        scores = pool_probability(embedded, bag_index, n_bags, self.pooling, self.sharpness)
        return scores, embedded
