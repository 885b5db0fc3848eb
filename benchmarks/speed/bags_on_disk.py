"""Time statistics of chosen bags that are in memory, mapped, or in a file each.

python benchmarks/speed/bags_on_disk.py
"""

import argparse
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import h5py
import numpy as np

from skmil import Bags, BagStatistics
from skmil.datasets import read_folder


def write(folder, n_bags, bag_size, n_features):
    """Write bags as HDF5 files, plain and compressed, and packed; return all of them."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_bags * bag_size, n_features)).astype(np.float32)
    in_memory = Bags(rows, np.arange(n_bags + 1) * bag_size)
    for name, options in [("plain", {}), ("gzip", {"compression": "gzip"})]:
        (folder / name).mkdir()
        for i, bag in enumerate(in_memory):
            with h5py.File(folder / name / f"{i:04d}.h5", "w") as file:
                file.create_dataset("features", data=bag, **options)
    in_memory.save(folder / "packed")
    return {
        "in memory": in_memory,
        "packed, mapped": Bags.load(folder / "packed"),
        "HDF5, a file each": read_folder(folder / "plain", lazy=True).bags,
        "the same, compressed": read_folder(folder / "gzip", lazy=True).bags,
    }


def choose_and_transform(bags, chosen):
    """Return the seconds that choosing bags takes, and statistics of them."""
    start = time.perf_counter()
    chosen = bags[chosen]
    middle = time.perf_counter()
    BagStatistics(["mean", "max"]).fit_transform(chosen)
    return middle - start, time.perf_counter() - middle


def allocated(bags, chosen):
    """Return the peak of the bytes that Python and NumPy allocate."""
    tracemalloc.start()
    try:
        choose_and_transform(bags, chosen)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bags", type=int, default=60)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        variants = write(Path(folder), options.bags, options.size, options.features)
        chosen = np.random.default_rng(1).permutation(options.bags)[: 4 * options.bags // 5]
        times = {name: [] for name in variants}
        for _ in range(options.runs + 1):
            for name, bags in variants.items():
                times[name].append(choose_and_transform(bags, chosen))
        size = variants["in memory"][chosen].instances.nbytes
        print(
            f"{len(chosen)} of {variants['in memory']}, {size / 1e6:.0f} MB of them; median of "
            f"{options.runs} runs after one that is not counted, files in the cache of the system"
        )
        base = None
        for name, bags in variants.items():
            choosing, computing = (
                statistics.median(column) for column in zip(*times[name][1:], strict=True)
            )
            base = base or choosing + computing
            peak = allocated(bags, chosen)
            print(
                f"{name:22s} choose {choosing * 1e3:8.2f} ms   fit and transform "
                f"{computing * 1e3:8.1f} ms   {(choosing + computing) / base:5.2f}x   "
                f"allocated {peak / size:5.2f} of the chosen"
            )


if __name__ == "__main__":
    main()
