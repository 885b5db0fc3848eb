"""Batches of bags for training, gathered many at a time and, from the disk, ahead of time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from skmil.bags import take_rows
from skmil.neural._data import PackedBatch
from skmil.neural._scoring import groups_of_bags

#: How much of the data in memory is gathered at a time, in bytes; it fits into a cache.
_GATHERED_BYTES = 1 << 20
#: How many instances of bags to validate on are held at a time, unless one bag has more.
_VALIDATED_INSTANCES = 1 << 14
#: How many instances a fresh network is looked at with, and how many of one bag.
_SPREAD_INSTANCES, _SPREAD_PER_BAG = 1 << 17, 1 << 12


class BagLoader:
    """Iterate over a :class:`PackedBags` in batches of bags, anew each epoch.

    Of bags in memory, the rows of as many batches as are small together are gathered at once.
    If the dataset belongs to a team, the batches are this process's part of each step.

    Parameters
    ----------
    dataset : PackedBags
        The bags.
    batch_size : int
        Number of bags in a step.
    shuffle : bool, default=False
        Whether to draw a new order each time, from torch's random generator.
    """

    def __init__(self, dataset, batch_size, shuffle=False):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        n_bags = len(self.dataset)
        team = self.dataset.team
        generator = None if team is None else team.generator
        order = np.arange(n_bags)
        if self.shuffle:
            order = torch.randperm(n_bags, generator=generator).numpy()
        steps = _cut(order, self.batch_size)
        if team is not None:
            yield from self._shared(steps, team)
            return
        for indices, batch, offsets in gathered(self.dataset, self._groups(steps)):
            yield from self._split(batch, offsets, self.dataset.targets(indices))

    def _groups(self, steps):
        """Join the bags of several steps as long as they are small."""
        if not self.dataset.is_resident:
            return steps
        mean_size = self.dataset.offsets[-1] / len(self.dataset)
        row_bytes = self.dataset.n_features * self.dataset.weights.element_size()
        n_steps = int(_GATHERED_BYTES // (mean_size * self.batch_size * row_bytes))
        return _cut(np.concatenate(steps), max(1, n_steps) * self.batch_size)

    def _split(self, group, offsets, targets):
        """Yield the steps of a group with their targets, as views."""
        if len(group) <= self.batch_size:
            yield group, targets
            return
        bag_index = group.bag_index % self.batch_size
        for first in range(0, len(group), self.batch_size):
            last = min(first + self.batch_size, len(group))
            rows = slice(offsets[first], offsets[last])
            batch = PackedBatch(group.instances[rows], bag_index[rows], last - first)
            yield batch, tuple(values[first:last] for values in targets)

    def _shared(self, steps, team):
        """Yield this process's part of each step; it may be empty.

        All processes draw the rows of all bags, so that their generators stay alike.
        """
        parts, chosen = [], []
        choices = _choose(self.dataset, steps, team.generator)
        for step, (rows, offsets) in zip(steps, choices, strict=True):
            part = team.part_of(np.diff(offsets))
            own, own_offsets = take_rows(offsets, part)
            parts.append(step[part])
            chosen.append((rows[own], own_offsets))
        batches = _on_device(self.dataset, chosen)
        for step, indices, (batch, _) in zip(steps, parts, batches, strict=True):
            yield replace(batch, step_size=len(step)), self.dataset.targets(indices)


class WholeBagLoader:
    """Iterate over a :class:`PackedBags` in order, few instances at a time, to validate.

    Parameters
    ----------
    dataset : PackedBags
        The bags.
    batch_size : int
        Not used: how many bags are validated at a time depends on their size.
    """

    def __init__(self, dataset, batch_size):
        self.dataset = dataset
        self.batch_size = batch_size

    def __len__(self):
        return len(self._groups())

    def __iter__(self):
        for indices, batch, _ in gathered(self.dataset, self._groups()):
            yield batch, self.dataset.targets(indices)

    def _groups(self):
        ranges = groups_of_bags(self.dataset.offsets, _VALIDATED_INSTANCES)
        return [np.arange(first, last) for first, last in ranges]


def evenly_spread(dataset):
    """Return some of the bags with a weight, and batches of some of their instances.

    Small data is there as a whole. Of large data, bags are drawn that have about
    `_SPREAD_INSTANCES` together, and of a large bag no more than `_SPREAD_PER_BAG` instances, from
    torch's random generator.

    Parameters
    ----------
    dataset : PackedBags
        The bags.

    Returns
    -------
    indices : ndarray of int
        The bags.
    batches : iterator of PackedBatch
        Their instances, on the device.
    """
    indices = np.flatnonzero(dataset.weights.cpu().numpy() > 0)
    sizes = np.minimum(np.diff(dataset.offsets)[indices], _SPREAD_PER_BAG)
    n_bags = min(len(indices), max(1, int(_SPREAD_INSTANCES // sizes.mean())))
    drawn = _draw(len(indices), n_bags)
    indices, sizes = indices[drawn], sizes[drawn]
    all_sizes = np.diff(dataset.offsets)[indices]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    chosen = []
    for first, last in groups_of_bags(offsets, _VALIDATED_INSTANCES):
        parts = [
            dataset.offsets[indices[k]] + _draw(all_sizes[k], sizes[k]) for k in range(first, last)
        ]
        chosen.append((np.concatenate(parts), offsets[first : last + 1] - offsets[first]))
    return indices, (dataset.gather(*item).to(dataset.device) for item in chosen)


def _draw(n, size):
    """Return so many of the numbers below `n`, in order; all of them without any draw."""
    if size == n:
        return np.arange(n)
    return np.sort(torch.randperm(int(n))[: int(size)].numpy())


def gathered(dataset, groups):
    """Yield groups of bags as (indices, batch on the device, offsets).

    Bags on the disk are read by a thread, one group ahead.

    Parameters
    ----------
    dataset : PackedBags
        The bags.
    groups : list of ndarray of int
        The bags of each group.
    """
    choices = _choose(dataset, groups)
    for indices, (batch, offsets) in zip(groups, _on_device(dataset, choices), strict=True):
        yield indices, batch, offsets


def _choose(dataset, groups, generator=None):
    """Yield the (rows, offsets) of groups of bags.

    What is drawn is drawn for all groups together and before the first, so that it depends neither
    on their sizes nor on what a network draws in between.
    """
    if not dataset.is_drawn:
        yield from map(dataset.choose_rows, groups)
        return
    rows, offsets = dataset.choose_rows(np.concatenate(groups), generator)
    last = 0
    for group in groups:
        first, last = last, last + len(group)
        own = offsets[first : last + 1]
        yield rows[own[0] : own[-1]], own - own[0]


def _on_device(dataset, choices):
    """Yield (batch on the device, offsets) of the chosen (rows, offsets)."""

    def gather(choice):
        rows, offsets = choice
        return dataset.gather(rows, offsets), offsets

    pairs = map(gather, choices) if dataset.is_resident else _one_ahead(gather, choices)
    for batch, offsets in pairs:
        yield batch.to(dataset.device), offsets


def _one_ahead(function, arguments):
    """Yield the results of a function that a thread calls, one call ahead of the one used."""
    with ThreadPoolExecutor(1) as thread:
        following = None
        for argument in arguments:
            current, following = following, thread.submit(function, argument)
            if current is not None:
                yield current.result()
        if following is not None:
            yield following.result()


def _cut(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]
