"""Instance weights of miGraph: instances that are close to many others count less."""

import numpy as np

from skmil._instance_kernel import quietly
from skmil._pairs import reduce_pairs
from skmil.bags import Bags
from skmil.kernels._sums import (
    _SMALL_PART,
    WeightedBags,
    instance_self_kernels,
    parts,
    self_sums,
)

__all__ = ["graph_weights"]

#: Distances count as smaller than the threshold if they are so by more than this share of the
#: kernel of an instance with itself. Rounding is far below it, so that equal distances are
#: treated alike in whatever order the instances come.
_TIE = 1e-12


def graph_weights(kernel, bags, threshold):
    """Weigh each instance by one over the number of instances near it, itself included.

    Two instances of a bag are near each other if their distance
    ``(k(a, a) + k(b, b)) / 2 - k(a, b)`` is smaller than the threshold.

    Parameters
    ----------
    kernel : InstanceKernel
        The kernel k.
    bags : Bags
        The bags.
    threshold : "average" or float
        The threshold; "average" is the mean distance of two instances of the same bag, bag
        by bag.

    Returns
    -------
    weight : ndarray of float64 of shape (n_instances,)
        The weights, above 0 and at most 1.
    """
    own = instance_self_kernels(kernel, bags.instances)
    limit = _average_distances(kernel, bags, own) if threshold == "average" else threshold
    limit = limit - _TIE * np.add.reduceat(np.abs(own), bags.offsets[:-1]) / bags.bag_sizes
    degrees = np.empty(bags.n_instances)
    for start, stop in parts(bags.offsets, _SMALL_PART):
        rows = slice(bags.offsets[start], bags.offsets[stop])
        degrees[rows] = _degrees(kernel, bags[start:stop], own[rows], limit[start:stop])
    return 1.0 / degrees


@quietly
def _average_distances(kernel, bags, own):
    """Return the mean distance of two instances of the same bag; 0 in a bag of one."""
    alike = WeightedBags(bags, np.ones(bags.n_instances))
    n = bags.bag_sizes
    # Summed over all ordered pairs, in which the distances of instances from themselves are zero.
    distances = n * alike.sum_by_bag(own) - self_sums(kernel, alike)
    return distances / np.maximum(n * (n - 1), 1)


def _degrees(kernel, bags, own, limit):
    """Return how many instances of its own bag are near each instance, itself included."""
    singles = Bags(bags.instances, np.arange(bags.n_instances + 1))
    compare = kernel.blocks(bags.instances, bags.instances)
    bag_index = bags.bag_index
    limit = limit[bag_index, np.newaxis]

    @quietly
    def near(i, j):
        distances = compare(i, j)
        np.negative(distances, out=distances)
        distances += own[i, np.newaxis] / 2
        distances += own[j] / 2
        return (distances < limit[i]).astype(np.float64)

    counts = reduce_pairs(singles, bags, near, np.add, np.add)
    # Not even an instance itself is nearer than a threshold of zero.
    return np.maximum(counts[np.arange(bags.n_instances), bag_index], 1.0)
