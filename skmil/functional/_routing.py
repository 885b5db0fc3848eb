"""Sums and products between instances and their bags, in the two forms that are fast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from skmil.functional._segments import segment_softmax, segment_sum

#: Up to here, a matrix of all segments by all instances is faster than going over the segments.
_MOST_SEGMENTS = 64
_MOST_NUMBERS = 1 << 19
#: From here, on average, going over the segments is faster than spreading their vectors.
_LONG_SEGMENT = 256


class FewBags:
    """Numbers as a matrix of bags by instances, zero where an instance is not in the bag.

    Everything is a matrix product, which for a batch of a few bags costs less than finding
    the rows of each bag.

    Embeddings have the shape (n_capsules, n_instances, n_dimensions), vectors (n_capsules,
    n_bags, n_dimensions), numbers (n_capsules, n_bags, n_instances).

    Parameters
    ----------
    embeddings : Tensor of shape (n_instances, n_capsules, n_dimensions)
        Packed instance embeddings.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    """

    def __init__(self, embeddings: Tensor, bag_index: Tensor, n_bags: int) -> None:
        self.attach(embeddings)
        bags = torch.arange(n_bags, device=bag_index.device)
        self.is_outside = bag_index != bags.unsqueeze(1)  # (B, N)
        self.is_empty = self.is_outside.all(1, keepdim=True)

    def attach(self, embeddings: Tensor) -> None:
        """Take embeddings as they were given at the start."""
        self.embeddings = embeddings.transpose(0, 1)

    def detach(self) -> None:
        """Let go of the embeddings."""
        del self.embeddings

    def equal_weights(self) -> Tensor:
        """Return the weights of a mean."""
        inside = (~self.is_outside).to(self.embeddings.dtype)
        weights = inside / inside.sum(1, keepdim=True).clamp(min=1)
        return weights.expand(len(self.embeddings), -1, -1)

    def weighted_sum(self, numbers: Tensor) -> Tensor:
        """Return the sum of the embeddings of each bag, each times its number."""
        return torch.bmm(numbers, self.embeddings)

    def products(self, vectors: Tensor) -> Tensor:
        """Return the inner products of the embeddings with their bag's vector."""
        return torch.bmm(vectors, self.embeddings.mT)  # outside of the bags anything

    def softmax_of_products(self, vectors: Tensor) -> Tensor:
        """Return the weights whose logits are the products with the bag's vector."""
        weights = self.products(vectors).masked_fill_(self.is_outside, -torch.inf).softmax(2)
        return weights.masked_fill_(self.is_empty, 0)  # or they would spoil the other bags

    def softmax_gradient(self, weights: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient of the logits from that of the weights."""
        product = weights * gradient
        return product - weights * product.sum(2, keepdim=True)

    def spread(self, terms: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return for each instance the sum over the terms of its number times its bag's vector."""
        numbers = torch.cat([numbers for numbers, _ in terms], dim=1)
        vectors = torch.cat([vectors for _, vectors in terms], dim=1)
        return torch.bmm(numbers.mT, vectors).transpose(0, 1)

    def per_bag(self, vectors: Tensor) -> Tensor:
        """Return vectors as (n_bags, n_capsules, n_dimensions)."""
        return vectors.transpose(0, 1)

    def from_bags(self, vectors: Tensor) -> Tensor:
        """Return vectors given as (n_bags, n_capsules, n_dimensions) in this form."""
        return vectors.transpose(0, 1)

    def per_instance(self, numbers: Tensor) -> Tensor:
        """Return numbers as (n_instances, n_capsules)."""
        return numbers.sum(1).mT

    def from_instances(self, numbers: Tensor) -> Tensor:
        """Return numbers given as (n_instances, n_capsules) in this form."""
        return numbers.mT.unsqueeze(1)


class ManyBags:
    """Numbers as a vector over the instances, bag after bag.

    Each capsule of each bag is a segment. Embeddings have the shape (n_segment_rows,
    n_dimensions), vectors (n_segments, n_dimensions), numbers (n_segment_rows,).

    Parameters
    ----------
    embeddings : Tensor of shape (n_instances, n_capsules, n_dimensions)
        Packed instance embeddings.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    """

    def __init__(self, embeddings: Tensor, bag_index: Tensor, n_bags: int) -> None:
        self.n_bags = n_bags
        self.n_capsules = embeddings.shape[1]
        self.attach(embeddings)
        capsules = torch.arange(self.n_capsules, device=bag_index.device)
        self.segment = (bag_index.unsqueeze(1) * self.n_capsules + capsules).flatten()
        self.sizes = torch.bincount(self.segment, minlength=n_bags * self.n_capsules)
        self.offsets = self.sizes.cumsum(0) - self.sizes
        is_sorted = bool((self.segment[1:] >= self.segment[:-1]).all())
        n_rows = len(self.segment)
        self.rows = (
            torch.arange(n_rows, device=self.segment.device)
            if is_sorted
            else torch.argsort(self.segment, stable=True)
        )
        is_cut = is_sorted and n_rows >= _LONG_SEGMENT * len(self.sizes)
        self.cuts = self.sizes.tolist() if is_cut else None

    def attach(self, embeddings: Tensor) -> None:
        """Take embeddings as they were given at the start."""
        self.embeddings = embeddings.flatten(0, 1)

    def detach(self) -> None:
        """Let go of the embeddings."""
        del self.embeddings

    def equal_weights(self) -> Tensor:
        """Return the weights of a mean."""
        return (1 / self.sizes.to(self.embeddings.dtype))[self.segment]

    def weighted_sum(self, numbers: Tensor) -> Tensor:
        """Return the sum of the embeddings of each segment, each times its number."""
        return self._sum(numbers, self.embeddings)

    def products(self, vectors: Tensor) -> Tensor:
        """Return the inner products of the embeddings with their segment's vector."""
        if self.cuts is not None:
            parts = zip(self.embeddings.split(self.cuts), vectors, strict=True)
            return torch.cat([part @ vector for part, vector in parts])
        return (self.embeddings * vectors[self.segment]).sum(1)

    def softmax_of_products(self, vectors: Tensor) -> Tensor:
        """Return the weights whose logits are the products with the segment's vector."""
        return segment_softmax(self.products(vectors), self.segment, len(self.sizes))

    def softmax_gradient(self, weights: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient of the logits from that of the weights."""
        mean = self._sum(weights, gradient.unsqueeze(1)).squeeze(1)
        return weights * (gradient - mean[self.segment])

    def spread(self, terms: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return for each row the sum over the terms of its number times its segment's vector."""
        starts = torch.arange(len(terms), device=self.segment.device) * len(self.sizes)
        return F.embedding_bag(
            self.segment.unsqueeze(1) + starts,
            torch.cat([vectors for _, vectors in terms]),
            mode="sum",
            per_sample_weights=torch.stack([numbers for numbers, _ in terms], dim=1),
        )

    def _sum(self, numbers: Tensor, values: Tensor) -> Tensor:
        if values.is_cuda:  # whose embedding_bag goes through a bag one row after the other
            return segment_sum(numbers.unsqueeze(1) * values, self.segment, len(self.sizes))
        return F.embedding_bag(
            self.rows, values, self.offsets, mode="sum", per_sample_weights=numbers[self.rows]
        )

    def per_bag(self, vectors: Tensor) -> Tensor:
        """Return vectors as (n_bags, n_capsules, n_dimensions)."""
        return vectors.view(self.n_bags, self.n_capsules, -1)

    def from_bags(self, vectors: Tensor) -> Tensor:
        """Return vectors given as (n_bags, n_capsules, n_dimensions) in this form."""
        return vectors.reshape(len(self.sizes), -1)

    def per_instance(self, numbers: Tensor) -> Tensor:
        """Return numbers as (n_instances, n_capsules)."""
        return numbers.view(-1, self.n_capsules)

    def from_instances(self, numbers: Tensor) -> Tensor:
        """Return numbers given as (n_instances, n_capsules) in this form."""
        return numbers.reshape(-1)


def choose_routing(
    embeddings: Tensor, bag_index: Tensor, n_bags: int, training: bool
) -> FewBags | ManyBags:
    """Return the form that is faster for these bags."""
    n_segments = n_bags * embeddings.shape[1]
    is_small = n_segments <= _MOST_SEGMENTS and n_segments * len(bag_index) <= _MOST_NUMBERS
    # In the matrix products an embedding that is not finite would spoil the other bags.
    form = FewBags if training and is_small else ManyBags
    return form(embeddings, bag_index, n_bags)
