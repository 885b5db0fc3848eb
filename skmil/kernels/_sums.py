"""Weighted sums of a kernel over the pairs of instances of two bags."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from skmil._distances import squared_norms
from skmil._instance_kernel import products, quietly
from skmil._pairs import reduce_pairs
from skmil.bags import Bags

__all__ = [
    "WeightedBags",
    "instance_self_kernels",
    "parts",
    "self_sums",
    "sums",
    "symmetric_sums",
]

#: Most instances of the bags that are compared with one another at once, although only the
#: kernels inside each bag are wanted. More would be wasted on larger parts, and on smaller
#: ones the calls would cost more than the numbers.
_SMALL_PART = 128
#: The same where half of the kernels are wanted. Larger parts waste more, but make better blocks.
_LARGE_PART = 1024


class WeightedBags(NamedTuple):
    """Bags and a weight for each of their instances.

    Parameters
    ----------
    bags : Bags
        The bags.
    weight : ndarray of float64 of shape (n_instances,)
        The weights.
    """

    bags: Bags
    weight: np.ndarray

    def part(self, start, stop):
        """Return the bags from `start` to before `stop`."""
        first, last = self.bags.offsets[[start, stop]]
        return WeightedBags(self.bags[start:stop], self.weight[first:last])

    def totals(self):
        """Return the sum of the weights in each bag."""
        return self.sum_by_bag(np.ones(len(self.weight)))

    def sum_by_bag(self, values):
        """Return the weighted sum in each bag of values given per instance."""
        return np.add.reduceat(self.weight * values, self.bags.offsets[:-1])


def sums(kernel, left, right):
    """Sum the kernel over the pairs of instances, for each pair of bags.

    For bags A and B this is the sum over a in A and b in B of ``w(a) * w(b) * k(a, b)``.

    Parameters
    ----------
    kernel : InstanceKernel
        The kernel k.
    left, right : WeightedBags
        The bags, and the weights w of their instances.

    Returns
    -------
    values : ndarray of float64 of shape (n_left, n_right)
        One value per pair of bags.
    """
    if kernel.is_linear:
        return products(_instance_sums(left), _instance_sums(right))
    compare = kernel.blocks(left.bags.instances, right.bags.instances)
    if (left.weight != 1).any() or (right.weight != 1).any():
        compare = _weighted(compare, left.weight, right.weight)
    return reduce_pairs(left.bags, right.bags, compare, np.add, np.add)


def symmetric_sums(kernel, bags):
    """Return the sums of all pairs of the same bags, each pair computed once.

    Parameters
    ----------
    kernel : InstanceKernel
        The kernel.
    bags : WeightedBags
        The bags.

    Returns
    -------
    values : ndarray of float64 of shape (n_bags, n_bags)
        A symmetric matrix.
    """
    n_bags = bags.bags.n_bags
    values = np.empty((n_bags, n_bags))
    for start, stop in parts(bags.bags.offsets, _LARGE_PART):
        block = sums(kernel, bags.part(start, stop), bags.part(start, n_bags))
        own = block[:, : stop - start]
        own[...] = np.triu(own) + np.triu(own, 1).T  # both halves were computed
        values[start:stop, start:] = block
        values[start:, start:stop] = block.T
    return values


@quietly
def self_sums(kernel, bags):
    """Return the sum of each bag with itself.

    Parameters
    ----------
    kernel : InstanceKernel
        The kernel.
    bags : WeightedBags
        The bags.

    Returns
    -------
    values : ndarray of float64 of shape (n_bags,)
        One value per bag.
    """
    if kernel.is_linear:
        return squared_norms(_instance_sums(bags))
    values = np.empty(bags.bags.n_bags)
    for start, stop in parts(bags.bags.offsets, _SMALL_PART):
        part = bags.part(start, stop)
        values[start:stop] = sums(kernel, part, part).diagonal()
    return values


def instance_self_kernels(kernel, rows):
    """Return the kernel of each instance with itself, whatever the kernel.

    Parameters
    ----------
    kernel : InstanceKernel
        The kernel.
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        The instances.

    Returns
    -------
    values : ndarray of float64 of shape (n_rows,)
        One value per instance.
    """
    if not callable(kernel.kernel):
        return kernel.of_same(rows)
    n_rows = rows.shape[0]
    singles = Bags(rows, np.arange(n_rows + 1))
    return self_sums(kernel, WeightedBags(singles, np.ones(n_rows)))


def parts(offsets, size):
    """Cut bags into runs of at most `size` instances; a larger bag is a run of its own.

    Parameters
    ----------
    offsets : ndarray of int of shape (n_bags + 1,)
        Where the bags begin.
    size : int
        Most instances of a run of two or more bags.

    Yields
    ------
    start, stop : int
        The first bag of the run, and the first after it.
    """
    start, n_bags = 0, len(offsets) - 1
    while start < n_bags:
        fitting = int(np.searchsorted(offsets, offsets[start] + size, side="right")) - 1
        stop = max(fitting, start + 1)
        yield start, stop
        start = stop


def _weighted(compare, left_weight, right_weight):
    def weighted(i, j):
        block = compare(i, j)
        block *= left_weight[i, np.newaxis]
        block *= right_weight[j]
        return block

    return weighted


def _instance_sums(bags):
    """Return the weighted sum of the instances of each bag, sparse if the instances are."""
    n_instances = bags.bags.n_instances
    parts = (bags.weight, np.arange(n_instances), bags.bags.offsets)
    return sp.csr_array(parts, shape=(bags.bags.n_bags, n_instances)) @ bags.bags.instances
