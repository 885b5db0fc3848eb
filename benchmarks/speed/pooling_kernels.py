"""Time the ways to add up and to spread values over ragged bags.

    python benchmarks/speed/pooling_kernels.py [--device cpu]

Dynamic pooling needs three operations on embeddings of 64 dimensions: the weighted sum of each
bag, the inner product of each instance with its bag's vector, and, for the gradient, the sum of
five numbers times five vectors of the bag for each instance. Each is timed in several forms, on
100,000 instances in a few large bags or in many small ones and on a batch of 16 small bags. One
thread; the forms run in turn, and the median of the runs counts. All forms of an operation give
the same to rounding, but for the inner products as a matrix product, which are those with the
vectors of all bags, to be masked.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch.nn import functional as F

D, TERMS = 64, 5


def bags_of(kind):
    rng = np.random.default_rng(0)
    if kind == "few large bags":
        sizes = np.exp(rng.uniform(0, np.log(20_000), 34)).astype(int)
        return np.append(sizes, max(1, 100_000 - sizes.sum()))
    if kind == "many small bags":
        return rng.integers(1, 20, size=10_000)
    return rng.integers(1, 11, size=16)


def forms(sizes, device):
    """Return functions by operation and name."""
    n, n_bags = int(sizes.sum()), len(sizes)
    counts = torch.from_numpy(sizes).to(device)
    bag = torch.repeat_interleave(torch.arange(n_bags, device=device), counts)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    rows, cuts = torch.arange(n, device=device), sizes.tolist()
    x, w = torch.randn(n, D, device=device), torch.rand(n, device=device)
    v, terms = torch.randn(n_bags, D, device=device), torch.rand(n, TERMS, device=device)
    table = torch.randn(TERMS, n_bags, D, device=device)
    starts = n_bags * torch.arange(TERMS, device=device)
    total = {
        "index_add": lambda: x.new_zeros(n_bags, D).index_add(0, bag, w[:, None] * x),
        "segment_reduce": lambda: torch.segment_reduce(w[:, None] * x, "sum", offsets=offsets),
        "embedding_bag": lambda: F.embedding_bag(
            rows, x, offsets[:-1], mode="sum", per_sample_weights=w
        ),
    }
    product = {"gather": lambda: (x * v[bag]).sum(1)}
    spread = {
        "gather": lambda: sum(terms[:, t, None] * table[t][bag] for t in range(TERMS)),
        "embedding_bag": lambda: F.embedding_bag(
            bag[:, None] + starts, table.flatten(0, 1), mode="sum", per_sample_weights=terms
        ),
    }
    if n_bags < 1000:
        total["bag by bag"] = lambda: torch.stack(
            [a @ b for a, b in zip(w.split(cuts), x.split(cuts), strict=True)]
        )
        product["bag by bag"] = lambda: torch.cat(
            [a @ b for a, b in zip(x.split(cuts), v, strict=True)]
        )
        member = (bag == torch.arange(n_bags, device=device)[:, None]).float()
        dense = torch.cat([member * terms[:, t] for t in range(TERMS)])
        weighted = member * w
        total["matrix product"] = lambda: weighted @ x
        product["matrix product"] = lambda: v @ x.T
        spread["matrix product"] = lambda: dense.T @ table.flatten(0, 1)
    return {"weighted sum": total, "inner products": product, "spread": spread}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    is_cuda = options.device.startswith("cuda")
    wait = torch.cuda.synchronize if is_cuda else lambda: None
    for kind in ("few large bags", "many small bags", "a batch of 16 bags"):
        sizes = bags_of(kind)
        print(f"{kind}: {len(sizes):,} bags, {sizes.sum():,} instances; milliseconds")
        for operation, variants in forms(sizes, options.device).items():
            times = {name: [] for name in variants}
            for _ in range(options.runs):
                for name, function in variants.items():
                    wait()
                    start = time.perf_counter()
                    function()
                    wait()
                    times[name].append(time.perf_counter() - start)
            found = (f"{k} {1e3 * statistics.median(v):.3f}" for k, v in times.items())
            print(f"  {operation:15s} " + ", ".join(found), flush=True)


if __name__ == "__main__":
    main()
