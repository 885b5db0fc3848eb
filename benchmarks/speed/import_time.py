"""Time `import skmil` in fresh processes against the parts of scikit-learn any user loads.

python benchmarks/speed/import_time.py
"""

import argparse
import statistics
import subprocess
import sys

STATEMENTS = ("import sklearn.base, sklearn.utils", "import skmil", "import skmil; skmil.Bags")


def seconds(statement):
    """Return what a fresh process spends on the statement itself, not on starting up."""
    script = (
        f"import time; start = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    times = {statement: [] for statement in STATEMENTS}
    for _ in range(runs + 1):
        for statement in STATEMENTS:
            times[statement].append(seconds(statement))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    base = medians[STATEMENTS[0]]
    print(f"median of {runs} fresh processes each, after one that is not counted")
    for name, median in medians.items():
        print(f"{name:38s} {median * 1e3:8.1f} ms {median / base:6.2f}x")


if __name__ == "__main__":
    main()
