"""The instance encoder: the same small network applied to every instance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

__all__ = ["Encoder"]


class Encoder(nn.Sequential):
    """Fully connected layers with ReLU, from instances to embeddings.

    Weights start as a truncated normal with the variance that keeps the scale of
    activations through ReLU layers (2 / fan-in), biases at zero. The encoder is then
    positively homogeneous: scaling a layer's weights scales all embeddings.

    Parameters
    ----------
    n_features : int
        Width of an instance.
    hidden_layer_sizes : sequence of int
        Widths of the layers; the last is the width of the embedding.
    dropout : float, default=0.0
        Probability of dropping a unit of each layer but the last, in training.

    Examples
    --------
    >>> import torch
    >>> from skmil.nn import Encoder
    >>> Encoder(10, (32, 8))(torch.ones(5, 10)).shape
    torch.Size([5, 8])
    """

    def __init__(
        self, n_features: int, hidden_layer_sizes: Sequence[int], dropout: float = 0.0
    ) -> None:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((n_features, *hidden_layer_sizes)):
            if layers and dropout > 0:
                layers.append(nn.Dropout(dropout))
            layers += [_linear(fan_in, fan_out), nn.ReLU(inplace=True)]
        super().__init__(*layers)

    @property
    def last_linear(self) -> nn.Linear:
        """The layer that ends in the embedding."""
        layer = self[-2]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, instances: Tensor) -> Tensor:
        """Embed instances of shape (n_instances, n_features)."""
        for layer in self:
            instances = layer(instances)
        return instances

    def activations(self, instances: Tensor) -> list[Tensor]:
        """Return what each layer makes of the instances, the embeddings last."""
        outputs = []
        for layer in self:
            instances = layer(instances)
            if isinstance(layer, nn.ReLU):
                outputs.append(instances)
        return outputs


def _linear(fan_in: int, fan_out: int) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    truncated_normal(layer, std=(2.0 / fan_in) ** 0.5)
    return layer


def truncated_normal(module: nn.Module, std: float = 0.05) -> None:
    """Draw the weights of a linear layer from a normal cut at two deviations; biases are zero.

    Other modules stay as they are, so that a whole network can be told to apply this.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        nn.init.zeros_(module.bias)
