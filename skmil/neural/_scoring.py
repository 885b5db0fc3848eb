"""Running a trained network on bags, a bounded number of instances at a time."""

import numpy as np
import torch

from skmil.bags import release

#: How many instances of small bags are pooled together.
_POOLED_INSTANCES = 1 << 14


def run_network(network, bags, standardize, chunk_size):
    """Return the network's outputs for bags, each concatenated over the bags.

    Instances are embedded `chunk_size` at a time. Only the embeddings of a bag, which are
    narrow, are all there at once.

    Parameters
    ----------
    network : skmil.nn.BagNetwork
        The network, in evaluation mode.
    bags : Bags
        The bags.
    standardize : Standardizer
        What makes dense, scaled arrays of instances.
    chunk_size : int
        Instances at a time.

    Returns
    -------
    outputs : list of Tensor
        As the network returns them, on the CPU.
    """
    device = next(network.parameters()).device

    def embed(start, stop):
        embedded = None
        for first in range(start, stop, chunk_size):
            rows = bags.instances[first : min(first + chunk_size, stop)]
            part = network.embed(torch.from_numpy(standardize(rows)).to(device))
            release(bags.instances)
            if len(part) == stop - start:
                return part
            if embedded is None:
                embedded = part.new_empty((stop - start, *part.shape[1:]))
            embedded[first - start : first - start + len(part)] = part
        return embedded

    outputs = []
    with torch.inference_mode():
        for first, last in groups_of_bags(bags.offsets, _POOLED_INSTANCES):
            n_bags = last - first
            sizes = np.diff(bags.offsets[first : last + 1])
            bag_index = torch.from_numpy(np.repeat(np.arange(n_bags), sizes)).to(device)
            embedded = embed(int(bags.offsets[first]), int(bags.offsets[last]))
            outputs.append([o.cpu() for o in network.pool(embedded, bag_index, n_bags)])
    return [torch.cat(parts) for parts in zip(*outputs, strict=True)]


def groups_of_bags(offsets, max_instances):
    """Yield all bags in order as ranges with at most so many instances, or with one larger bag.

    Parameters
    ----------
    offsets : ndarray of int of shape (n_bags + 1,)
        Where each bag begins.
    max_instances : int
        The most instances of a range with several bags.

    Yields
    ------
    range : tuple of (int, int)
        The first bag, and the one after the last.
    """
    first = 0
    while first < len(offsets) - 1:
        limit = offsets[first] + max_instances
        last = int(np.searchsorted(offsets, limit, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last
