"""From bags to packed batches of tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.utils.data import Dataset

from skmil.bags import take_rows

#: How many instances of a memory map are scaled at a time.
_BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """The instances of a few bags in one tensor."""

    instances: Tensor  # (n_instances, n_features)
    bag_index: Tensor  # (n_instances,), int64
    n_bags: int

    def __len__(self):
        return self.n_bags

    def to(self, device):
        """Return the batch with its tensors on `device`."""
        return PackedBatch(
            self.instances.to(device, non_blocking=True),
            self.bag_index.to(device, non_blocking=True),
            self.n_bags,
        )


def fit_scaler(bags, bag_weight):
    """Fit mean and standard deviation of the instances, each weighted as its bag.

    Sparse instances are not centred by the scaler itself, :func:`standardize` does that. The
    scaler would make several copies of all; of instances in a memory map it gets blocks.
    """
    scaler = StandardScaler(with_mean=isinstance(bags.instances, np.ndarray))
    weight = np.repeat(bag_weight, bags.bag_sizes)
    if not isinstance(bags.instances, np.memmap):
        return scaler.fit(bags.instances, sample_weight=weight)
    for start in range(0, bags.n_instances, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        if weight[block].any():
            scaler.partial_fit(bags.instances[block], sample_weight=weight[block])
    return scaler


def standardize(instances, scaler, dtype):
    """Return dense, standardised instances; computed in their own precision, then cast."""
    if not isinstance(instances, np.ndarray):
        instances = instances.toarray()
    if scaler is not None:
        instances = (instances - scaler.mean_) / scaler.scale_
    with np.errstate(over="ignore"):  # infinite scores are refused at the other end
        return instances.astype(dtype, copy=False)


class PackedBags(Dataset):
    """Bags that hand out packed batches of standardised tensors.

    A dense instance matrix is standardised once and kept. A sparse one stays sparse, and one that
    is mapped into memory stays on the disk: they are made dense and standardised a batch at a time.

    Parameters
    ----------
    bags : Bags
        The bags.
    scaler : StandardScaler or None
        What to standardise with.
    dtype : str
        Floating-point type of the tensors.
    codes : ndarray of int of shape (n_bags,), default=None
        Class codes; None if there are no targets.
    weights : ndarray of shape (n_bags,), default=None
        Bag weights, given together with `codes`.
    """

    def __init__(self, bags, scaler, dtype, codes=None, weights=None):
        self.offsets = bags.offsets
        self._dtype = dtype
        self._scaler = scaler
        self._raw = None
        if isinstance(bags.instances, np.ndarray) and not isinstance(bags.instances, np.memmap):
            self._dense = torch.from_numpy(_writable(standardize(bags.instances, scaler, dtype)))
        else:
            self._raw = bags.instances
        if codes is not None:
            self.codes = torch.from_numpy(codes.astype(np.int64))
            self.weights = torch.from_numpy(weights.astype(dtype))

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, i):
        return self.batch(np.array([i])), self.targets(np.array([i]))

    def batch(self, indices):
        """Return the chosen bags as a :class:`PackedBatch`."""
        rows, offsets = take_rows(self.offsets, indices)
        if self._raw is not None:
            chosen = standardize(self._raw[rows], self._scaler, self._dtype)
            instances = torch.from_numpy(chosen)
        elif len(rows) and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(indices) == 1).all():
            instances = self._dense[rows[0] : rows[-1] + 1]
        else:
            instances = self._dense[torch.from_numpy(rows)]
        bag_index = np.repeat(np.arange(len(indices)), np.diff(offsets))
        return PackedBatch(instances, torch.from_numpy(bag_index), len(indices))

    def targets(self, indices):
        """Return class codes and weights of the chosen bags."""
        chosen = torch.from_numpy(indices)
        return self.codes[chosen], self.weights[chosen]


class BagLoader:
    """Iterate over a :class:`PackedBags` in batches of bags, anew each epoch.

    Parameters
    ----------
    dataset : PackedBags
        The bags.
    batch_size : int
        Number of bags in a batch.
    shuffle : bool, default=False
        Whether to draw a new order each time, from torch's random generator.
    """

    def __init__(self, dataset, batch_size, shuffle=False):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self):
        n_bags = len(self.dataset)
        order = torch.randperm(n_bags).numpy() if self.shuffle else np.arange(n_bags)
        for start in range(0, n_bags, self.batch_size):
            indices = order[start : start + self.batch_size]
            yield self.dataset.batch(indices), self.dataset.targets(indices)

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)


def batches_of_instances(dataset, max_instances=16384):
    """Yield all bags in order, as many at a time as keep within `max_instances`.

    A larger bag makes a batch of its own.
    """
    start = 0
    while start < len(dataset):
        limit = dataset.offsets[start] + max_instances
        stop = int(np.searchsorted(dataset.offsets, limit, side="right")) - 1
        stop = max(stop, start + 1)
        yield dataset.batch(np.arange(start, stop))
        start = stop


def _writable(array):
    """Copy a read-only array, since torch warns of wrapping one."""
    return array if array.flags.writeable else array.copy()
