"""From bags to packed batches of tensors."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skmil.bags import is_stored, release, take_rows

#: Bags on the disk are read once and for all if they take no more than this, 64 MiB.
_SMALL_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """The instances of a few bags in one tensor."""

    instances: Tensor  # (n_instances, n_features)
    bag_index: Tensor  # (n_instances,), int64
    n_bags: int
    step_size: int | None = None  # bags of the whole step, if processes share it

    def __len__(self):  # by which skorch weights the loss of the step
        return self.n_bags if self.step_size is None else self.step_size

    def to(self, device):
        """Return the batch with its tensors on `device`."""
        return PackedBatch(
            self.instances.to(device, non_blocking=True),
            self.bag_index.to(device, non_blocking=True),
            self.n_bags,
            self.step_size,
        )


class PackedBags(Dataset):
    """Bags that hand out packed batches of scaled tensors.

    A dense instance matrix is scaled once and kept, on `device` if it fits there. A sparse one
    stays sparse, and a large one on the disk stays there: they are made dense and scaled a batch
    at a time.

    Parameters
    ----------
    bags : Bags
        The bags.
    standardize : Standardizer
        What makes dense, scaled arrays of instances.
    codes : ndarray of int of shape (n_bags,)
        Class codes.
    weights : ndarray of shape (n_bags,)
        Bag weights.
    device : str or torch.device, default="cpu"
        Where batches are needed.
    max_instances : int, default=None
        How many instances of a larger bag are drawn for a batch; None for all.
    instance_dropout : float, default=0
        Probability of leaving out an instance of a batch, unless it is the last of its bag.
    team : Team, default=None
        The processes that share each step, if there are several.
    """

    def __init__(
        self,
        bags,
        standardize,
        codes,
        weights,
        device="cpu",
        *,
        max_instances=None,
        instance_dropout=0.0,
        team=None,
    ):
        self.offsets = bags.offsets
        self.n_features = bags.n_features
        self.device = torch.device(device)
        self.max_instances = max_instances
        self.instance_dropout = instance_dropout
        self.team = team
        size = bags.n_instances * bags.n_features * standardize.dtype.itemsize
        stays = is_stored(bags.instances) and size > _SMALL_BYTES
        self.is_resident = not (stays or sp.issparse(bags.instances))
        self._standardize = standardize
        if self.is_resident:
            self._instances = torch.from_numpy(standardize(bags.instances[:]))
            if _fits(self._instances, self.device):
                self._instances = self._instances.to(self.device)
        else:
            self._instances = bags.instances
        self.codes = torch.from_numpy(codes.astype(np.int64)).to(self.device)
        self.weights = torch.from_numpy(weights.astype(standardize.dtype)).to(self.device)

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def is_drawn(self):
        """Whether the rows of a batch are drawn at random."""
        return self.max_instances is not None or self.instance_dropout > 0

    def batch(self, indices):
        """Return the chosen bags as a :class:`PackedBatch`."""
        return self.gather(*self.choose_rows(indices))

    def choose_rows(self, indices, generator=None):
        """Return the rows of the chosen bags, and the offsets of the bags among them.

        Of bags with more than `max_instances`, so many are drawn without replacement; of these,
        some are dropped. Both come from `generator` or else torch's own.
        """
        rows, offsets = take_rows(self.offsets, indices)
        if self.max_instances is not None:
            rows, offsets = _draw_from_large(rows, offsets, self.max_instances, generator)
        if self.instance_dropout > 0:
            rows, offsets = _drop(rows, offsets, self.instance_dropout, generator)
        return rows, offsets

    def gather(self, rows, offsets):
        """Return the chosen rows as a :class:`PackedBatch`; draws nothing at random."""
        if self.is_resident:
            instances = self._instances[torch.from_numpy(rows).to(self._instances.device)]
        else:
            instances = torch.from_numpy(self._standardize(self._instances[rows], overwrite=True))
            release(self._instances)
        n_bags = len(offsets) - 1
        bag_index = torch.from_numpy(np.repeat(np.arange(n_bags), np.diff(offsets)))
        return PackedBatch(instances, bag_index, n_bags)

    def targets(self, indices):
        """Return class codes and weights of the chosen bags."""
        chosen = torch.from_numpy(indices).to(self.device)
        return self.codes[chosen], self.weights[chosen]


def _draw_from_large(rows, offsets, most, generator):
    """Return so many rows of each bag that has more, and the new offsets."""
    sizes = np.diff(offsets)
    if (sizes <= most).all():
        return rows, offsets
    parts = np.split(rows, offsets[1:-1])
    for k in np.flatnonzero(sizes > most):
        drawn = torch.randperm(int(sizes[k]), generator=generator)[:most]
        parts[k] = parts[k][np.sort(drawn.numpy())]  # in order, as they are read
    return np.concatenate(parts), np.concatenate([[0], np.cumsum(np.minimum(sizes, most))])


def _drop(rows, offsets, probability, generator):
    """Return the rows that are not dropped, at least one of each bag, and the new offsets."""
    chance = torch.rand(len(rows), generator=generator).numpy()
    last = np.maximum.reduceat(chance, offsets[:-1])  # of a bag to be dropped
    kept = (chance >= probability) | (chance == np.repeat(last, np.diff(offsets)))
    return rows[kept], np.concatenate([[0], kept.cumsum()])[offsets]


def _fits(tensor, device):
    """Return whether a tensor may stay on the device: as long as it takes half of what is free."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return tensor.nbytes <= free / 2
