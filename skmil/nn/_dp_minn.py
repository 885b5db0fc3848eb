"""The network of DP-MINN: encoder, dynamic pooling, head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from skmil.functional import (
    RoutingGradient,
    dynamic_pooling,
    squared_length,
    squash,
)
from skmil.nn._bag_network import BagNetwork
from skmil.nn._encoder import Encoder
from skmil.nn._ensemble import Ensemble

__all__ = ["DPMINN", "DPMINNEnsemble", "DynamicPooling"]


class DynamicPooling(nn.Module):
    """Dynamic pooling as a module; see :func:`skmil.functional.dynamic_pooling`.

    It has no weights.

    Parameters
    ----------
    T : int, default=3
        Number of iterations.
    routing_gradient : {"full", "last"}, default="full"
        How far back the gradient goes.
    """

    def __init__(self, T: int = 3, routing_gradient: RoutingGradient = "full") -> None:
        super().__init__()
        self.T = T
        self.routing_gradient = routing_gradient

    def forward(self, embeddings: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, Tensor]:
        """Return pooled embeddings and instance weights."""
        return dynamic_pooling(embeddings, bag_index, n_bags, self.T, self.routing_gradient)


class DPMINN(BagNetwork):
    """Deep multiple instance network with dynamic pooling.

    Parameters
    ----------
    n_features : int
        Width of an instance.
    hidden_layer_sizes : sequence of int, default=(256, 128, 64)
        Widths of the encoder's layers.
    n_capsules : int, default=1
        Number of bag embeddings, pooled independently from embeddings of their own.
    n_logits : int or None, default=None
        None scores a bag by the squared lengths of its capsules, one score per capsule. A
        number puts a linear layer with so many outputs on the pooled embedding instead.
    T : int, default=3
        Iterations of dynamic pooling.
    routing_gradient : {"full", "last"}, default="full"
        How far back the gradient goes.
    dropout : float, default=0.0
        Dropout inside the encoder.

    Examples
    --------
    >>> import torch
    >>> from skmil.nn import DPMINN
    >>> network = DPMINN(n_features=10)
    >>> bag_index = torch.tensor([0, 0, 1])
    >>> scores, embeddings, weights = network(torch.ones(3, 10), bag_index, 2)
    >>> scores.shape, embeddings.shape, weights.shape
    (torch.Size([2, 1]), torch.Size([2, 1, 64]), torch.Size([3, 1]))
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int] = (256, 128, 64),
        *,
        n_capsules: int = 1,
        n_logits: int | None = None,
        T: int = 3,
        routing_gradient: RoutingGradient = "full",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        *inner, width = hidden_layer_sizes
        self.n_capsules = n_capsules
        self.encoder = Encoder(n_features, (*inner, n_capsules * width), dropout)
        self.pooling = DynamicPooling(T, routing_gradient)
        self.head = None if n_logits is None else nn.Linear(n_capsules * width, n_logits)

    def embed(self, instances: Tensor) -> Tensor:
        """Return instance embeddings of shape (n_instances, n_capsules, n_dimensions)."""
        embeddings: Tensor = self.encoder(instances)
        width = embeddings.shape[-1] // self.n_capsules
        return embeddings.view(-1, self.n_capsules, width)

    def pool(
        self, embedded: Tensor, bag_index: Tensor, n_bags: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Score bags from their embedded instances.

        Parameters
        ----------
        embedded : Tensor of shape (n_instances, n_capsules, n_dimensions)
            Instance embeddings.
        bag_index : int64 Tensor of shape (n_instances,)
            The bag of each instance.
        n_bags : int
            Number of bags.

        Returns
        -------
        scores : Tensor of shape (n_bags, n_capsules) or (n_bags, n_logits)
            Squared lengths of the capsules before squashing, or logits.
        embeddings : Tensor of shape (n_bags, n_capsules, n_dimensions)
            Bag embeddings as the score sees them: squashed capsules, or the weighted sums
            that enter the linear layer.
        weights : Tensor of shape (n_instances, n_capsules)
            Instance weights.
        """
        pooled, weights = self.pooling(embedded, bag_index, n_bags)
        return (*self.score(pooled), weights)

    def score(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and embeddings of bags from their weighted sums, as :meth:`pool` does.

        Parameters
        ----------
        pooled : Tensor of shape (n_bags, n_capsules, n_dimensions)
            The weighted sums of each bag's instance embeddings.

        Returns
        -------
        scores : Tensor of shape (n_bags, n_capsules) or (n_bags, n_logits)
            Squared lengths, or logits.
        embeddings : Tensor of shape (n_bags, n_capsules, n_dimensions)
            Bag embeddings.
        """
        if self.head is None:
            return squared_length(pooled), squash(pooled)
        return self.head(pooled.flatten(1)), pooled

    @property
    def embedding_size(self) -> int:
        """Width of a bag embedding, that of all capsules together."""
        return self.encoder.last_linear.out_features

    @torch.no_grad()
    def rescale(self, factor: Tensor) -> None:
        """Multiply the embeddings of each capsule by `factor`, shape (n_capsules,)."""
        layer = self.encoder.last_linear
        per_unit = factor.repeat_interleave(layer.out_features // self.n_capsules)
        layer.weight.mul_(per_unit.unsqueeze(1))
        layer.bias.mul_(per_unit)


class DPMINNEnsemble(Ensemble):
    """Several :class:`DPMINN` side by side, whose capsules are pooled together.

    Parameters
    ----------
    networks : iterable of DPMINN
        The members, alike in all but their weights.

    Raises
    ------
    ValueError
        If members differ in their number of capsules or in their pooling.

    Examples
    --------
    >>> import torch
    >>> from skmil.nn import DPMINN, DPMINNEnsemble
    >>> network = DPMINNEnsemble(DPMINN(n_features=10) for _ in range(5))
    >>> bag_index = torch.tensor([0, 0, 1])
    >>> scores, embeddings, weights = network(torch.ones(3, 10), bag_index, 2)
    >>> scores.shape, embeddings.shape, weights.shape
    (torch.Size([2, 5, 1]), torch.Size([2, 5, 1, 64]), torch.Size([3, 5, 1]))
    """

    def __init__(self, networks: Iterable[DPMINN]) -> None:
        super().__init__(networks)
        kinds = {_pooled_how(cast("DPMINN", member)) for member in self.members}
        if len(kinds) != 1:
            raise ValueError(
                "DPMINNEnsemble needs members of the same n_capsules, T and routing_gradient, got "
                f"{sorted(kinds)}. Use Ensemble for members that differ."
            )

    def pool(self, embedded: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, ...]:
        """Return the outputs of the members, stacked along the second axis."""
        members = [cast("DPMINN", member) for member in self.members]
        n_capsules = members[0].n_capsules
        pooled, weights = members[0].pooling(embedded.flatten(1, 2), bag_index, n_bags)
        pooled, weights = (x.unflatten(1, (-1, n_capsules)) for x in (pooled, weights))
        scored = [
            member.score(part) for member, part in zip(members, pooled.unbind(1), strict=True)
        ]
        scores, embeddings = (torch.stack(parts, dim=1) for parts in zip(*scored, strict=True))
        return scores, embeddings, weights


def _pooled_how(network: DPMINN) -> tuple[int, int, str]:
    return network.n_capsules, network.pooling.T, network.pooling.routing_gradient
