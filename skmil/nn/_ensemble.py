"""Several bag networks side by side, which are trained and asked together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from skmil.nn._bag_network import BagNetwork

__all__ = ["Ensemble", "EnsembleLoss"]


class Ensemble(BagNetwork):
    """Bag networks of the same kind that see the same bags.

    Parameters
    ----------
    networks : iterable of BagNetwork
        The members. They share nothing.

    Examples
    --------
    >>> import torch
    >>> from skmil.nn import DPMINN, Ensemble
    >>> network = Ensemble(DPMINN(n_features=10) for _ in range(5))
    >>> bag_index = torch.tensor([0, 0, 1])
    >>> scores, embeddings, weights = network(torch.ones(3, 10), bag_index, 2)
    >>> scores.shape, embeddings.shape, weights.shape
    (torch.Size([2, 5, 1]), torch.Size([2, 5, 1, 64]), torch.Size([3, 5, 1]))
    """

    def __init__(self, networks: Iterable[BagNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def embed(self, instances: Tensor) -> Tensor:
        """Return what each member makes of the instances, (n_instances, n_members, ...)."""
        return torch.stack([network.embed(instances) for network in self.members], dim=1)

    def pool(self, embedded: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, ...]:
        """Return the outputs of the members, stacked along the second axis."""
        outputs = [
            network.pool(part, bag_index, n_bags)
            for network, part in zip(self.members, embedded.unbind(1), strict=True)
        ]
        return tuple(torch.stack(parts, dim=1) for parts in zip(*outputs, strict=True))

    @property
    def embedding_size(self) -> int:
        """Width of a bag embedding, that of all members together."""
        return sum(cast("int", network.embedding_size) for network in self.members)

    @property
    def members(self) -> list[BagNetwork]:
        """The networks it consists of."""
        return [cast("BagNetwork", network) for network in self.networks]


class EnsembleLoss(nn.Module):
    """The mean loss of the members of an :class:`Ensemble`, each trained as if alone.

    The gradient is that of the sum, so that neither step sizes nor penalties depend on how many
    members there are.

    Parameters
    ----------
    loss : module
        The loss of one network: a mean over bags, to each of which its own outputs count.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Return the loss of a batch, whose outputs have the members along the second axis."""
        n_members = outputs[0].shape[1]
        mean: Tensor = self.loss(  # to the loss, a bag seen by each of five members is five bags
            [output.flatten(0, 1) for output in outputs],
            [values.repeat_interleave(n_members) for values in target],
        )
        total = n_members * mean
        return mean.detach() + (total - total.detach())
