"""What all bag networks share: instances are embedded one by one, then pooled bag by bag."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["BagNetwork"]


class BagNetwork(nn.Module, ABC):
    """Base of networks that score bags.

    Calling the network does both of its steps. They are also there one by one, so that the
    instances of a large bag can be embedded a few at a time.
    """

    @abstractmethod
    def embed(self, instances: Tensor) -> Tensor:
        """Return what each instance contributes, from the instance alone.

        Parameters
        ----------
        instances : Tensor of shape (n_instances, n_features)
            Packed instances.

        Returns
        -------
        embedded : Tensor of shape (n_instances, ...)
            One row for each instance.
        """

    @abstractmethod
    def pool(self, embedded: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, ...]:
        """Score bags from their embedded instances.

        Parameters
        ----------
        embedded : Tensor of shape (n_instances, ...)
            What :meth:`embed` returned.
        bag_index : int64 Tensor of shape (n_instances,)
            The bag of each instance.
        n_bags : int
            Number of bags.

        Returns
        -------
        outputs : tuple of Tensor
            The scores of the bags, and whatever else the network tells.
        """

    def forward(self, instances: Tensor, bag_index: Tensor, n_bags: int) -> tuple[Tensor, ...]:
        """Score bags.

        Parameters
        ----------
        instances : Tensor of shape (n_instances, n_features)
            Packed instances.
        bag_index : int64 Tensor of shape (n_instances,)
            The bag of each instance.
        n_bags : int
            Number of bags.

        Returns
        -------
        outputs : tuple of Tensor
            As from :meth:`pool`.
        """
        return self.pool(self.embed(instances), bag_index, n_bags)

    @property
    def members(self) -> list[BagNetwork]:
        """The networks it consists of, itself unless it is an :class:`Ensemble`."""
        return [self]
