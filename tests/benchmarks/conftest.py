"""The scripts of benchmarks/accuracy can be imported, as they import each other."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks" / "accuracy"
sys.path.insert(0, str(FOLDER))
