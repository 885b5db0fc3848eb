"""Several processes that train one network: each takes a part of every step."""

import os
import zlib

import numpy as np
import torch
from torch import distributed

#: How many instances are compared to see whether all processes were given the same bags.
_COMPARED_INSTANCES = 64


class Team:
    """The processes of torch.distributed, all of which train the same network on the same bags.

    The gradient of a step is the weighted mean over the parts of it, so that every process
    makes the step that a single one would make.

    Parameters
    ----------
    device : torch.device
        Where this process trains.
    """

    def __init__(self, device):
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ValueError(
                "data_parallel=True needs the processes of torch.distributed: call "
                "torch.distributed.init_process_group() first, in a script started by torchrun; "
                "or set data_parallel=False."
            )
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self.device = device
        self.generator = None

    def refuse_different(self, bags, *arrays):
        """Raise an error in all processes unless all pass the same, as far as a sample shows.

        Others would wait for a process that makes fewer steps, or add gradients of other bags.

        Parameters
        ----------
        bags : Bags
            The bags; some of their instances are compared.
        *arrays : ndarray
            What else must be the same, compared as a whole.
        """
        rows = np.linspace(0, bags.n_instances - 1, _COMPARED_INSTANCES).astype(np.int64)
        sample = bags.instances[rows]
        sample = sample if isinstance(sample, np.ndarray) else sample.toarray()
        checksum = 0
        for array in (bags.offsets, sample, *arrays):
            checksum = zlib.crc32(np.ascontiguousarray(array), checksum)
        own = torch.tensor(checksum, device=self.device)
        all_of_them = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(all_of_them, own)
        different = [i for i, other in enumerate(all_of_them) if other != all_of_them[0]]
        if different:
            raise ValueError(
                "With data_parallel=True every process must pass all bags, labels and weights, "
                "to the same classifier; what was passed differs between process 0 and "
                f"{different}. Do not share the bags out: fit does, step by step."
            )

    def agree_on(self, numbers):
        """Return the integers of the first process, for an array of the same shape in each."""
        shared = torch.tensor(numbers, device=self.device)
        self.follow_first([shared])
        return shared.cpu().numpy()

    def follow_first(self, tensors):
        """Replace tensors by those of the first process."""
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)

    def begin(self, module):
        """Give all the weights of the first process, and the same order of bags.

        The order comes from a generator of its own, as dropout draws other numbers in each.
        """
        with torch.no_grad():
            self.follow_first([*module.parameters(), *module.buffers()])
        self.generator = torch.Generator()
        self.generator.set_state(torch.get_rng_state())
        # The seed itself has drawn the weights.
        torch.manual_seed(torch.initial_seed() + 1 + self.rank)

    def part_of(self, sizes):
        """Return which of the bags of a step this process takes.

        From the largest bag to the smallest, each goes to the process with the fewest instances.
        """
        taker, load = np.empty(len(sizes), dtype=int), np.zeros(self.size)
        for i in np.argsort(-sizes, kind="stable"):
            taker[i] = load.argmin()
            load[taker[i]] += sizes[i]
        return np.flatnonzero(taker == self.rank)

    def add_up(self, tensors):
        """Replace tensors by their sums over the processes."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def local_device():
    """Return the CUDA device of this process.

    Of the processes that torchrun started on a machine, each has its own; in others it is the
    current one.
    """
    rank = os.environ.get("LOCAL_RANK")
    return "cuda" if rank is None else f"cuda:{int(rank) % torch.cuda.device_count()}"
