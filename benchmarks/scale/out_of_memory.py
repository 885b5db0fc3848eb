"""Train on bags that are larger than the memory, and compare an epoch with one in memory.

    python benchmarks/scale/out_of_memory.py FOLDER [--gib 6] [--limit-gib 2]

Writes slides of about 2,000 instances with 1,024 features into FOLDER, one .npy file each, and
packs them with `read_folder(save_to=...)`. Then each of these runs in a process of its own:

- in memory: as many slides as take a sixteenth of the data, without a limit;
- packed: all slides, opened with `Bags.load`;
- a file each: all slides, opened with `read_folder(lazy=True)`;
- three folds of packed slides by `cross_val_score`.

The last three run under a limit. Of a file each it is on the whole address space (`ulimit -v`);
of packed slides, whose map is as large as the file, on all that is allocated (`ulimit -d`). The
peak of the resident memory is printed as well; it counts the pages of a map that are there at
the time. Everything runs on one thread, and a second one reads ahead. The time of an epoch is
that of the fastest; the files are in the cache of the operating system if that is large enough.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

N_FEATURES, MEAN_SIZE = 1024, 2000
VARIANTS = ("in memory", "packed", "a file each", "three folds, packed")


def write(folder, n_bags):
    rng = np.random.default_rng(0)
    (folder / "files").mkdir(parents=True)  # refuses what another run has left
    # Noise is slow to draw: the slides are pieces of one pool, a few of them moved by a witness.
    pool = rng.standard_normal((8 * MEAN_SIZE, N_FEATURES), dtype=np.float32)
    sizes = rng.integers(MEAN_SIZE // 2, 3 * MEAN_SIZE // 2, size=n_bags)
    for i, size in enumerate(sizes):
        start = rng.integers(len(pool) - size)
        slide = pool[start : start + size].copy()
        if i % 2:
            slide[: size // 20, :50] += 1
        np.save(folder / "files" / f"{i:05d}.npy", slide)
    return int(sizes.sum())


def run(variant, folder, limit, epochs):
    """Train in this process, and print what it took as JSON."""
    if variant != "in memory":
        kind = resource.RLIMIT_AS if variant == "a file each" else resource.RLIMIT_DATA
        resource.setrlimit(kind, (limit, limit))
    import torch
    from sklearn.model_selection import cross_val_score

    from skmil import Bags, DPMINNClassifier
    from skmil.datasets import read_folder

    torch.set_num_threads(1)
    if variant == "a file each":
        bags = read_folder(folder / "files", lazy=True).bags
    else:
        bags = Bags.load(folder / "packed")
    if variant == "in memory":
        bags = bags[: max(32, len(bags) // 16)].in_memory()
    y = np.arange(len(bags)) % 2
    # The network of the paper, and in each step all instances of 16 slides, standardised, as so
    # many values are by default.
    settings = {"scale": "standard", "batch_size": 16, "probability": "length", "dropout": 0}
    settings |= {"hidden_layer_sizes": (256, 128, 64), "n_members": 1, "calibration_cv": None}
    classifier = DPMINNClassifier(max_epochs=epochs, random_state=0, device="cpu", **settings)
    start = time.perf_counter()
    if variant.startswith("three folds"):
        scores = cross_val_score(classifier.set_params(max_epochs=1), bags, y, cv=3)
        found = {"accuracy": float(scores.mean())}
    else:
        classifier.fit(bags, y)
        durations = classifier.net_.history[:, "dur"]
        found = {"epoch": min(durations), "loss": classifier.loss_curve_[-1]}
    found |= {
        "seconds": time.perf_counter() - start,
        "instances": bags.n_instances,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gib", type=float, default=6)
    parser.add_argument("--limit-gib", type=float, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    limit = int(options.limit_gib * 2**30)
    if options.only:
        run(options.only, options.folder, limit, options.epochs)
        return
    if not (options.folder / "packed").exists():
        from skmil.datasets import read_folder

        n_bags = int(options.gib * 2**30 / (MEAN_SIZE * N_FEATURES * 4))
        n_instances = write(options.folder, n_bags)
        print(f"wrote {n_bags} slides, {n_instances:,} instances", file=sys.stderr)
        read_folder(options.folder / "files", save_to=options.folder / "packed")
    size = (options.folder / "packed" / "instances.npy").stat().st_size / 2**30
    print(f"{size:.2f} GiB of bags, {options.limit_gib:g} GiB may be allocated")
    print(f"{'':22s}{'instances':>11s}{'epoch':>9s}{'per instance':>14s}{'fit':>9s}{'peak':>10s}")
    base = None
    for variant in VARIANTS:
        command = [sys.executable, __file__, str(options.folder), "--only", variant]
        command += ["--limit-gib", str(options.limit_gib), "--epochs", str(options.epochs)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            print(f"{variant:22s}failed: {result.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        found = json.loads(result.stdout)
        line = f"{variant:22s}{found['instances']:11,d}"
        if "epoch" in found:
            cost = found["epoch"] / found["instances"]
            base = base or cost
            line += f"{found['epoch']:8.1f}s{cost * 1e6:8.1f}us{cost / base:4.2f}x"
        else:
            line += " " * 23
        print(f"{line}{found['seconds']:8.1f}s{found['peak']:7.2f}GiB", flush=True)


if __name__ == "__main__":
    main()
