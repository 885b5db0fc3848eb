"""``python -m skmil``: cross-validate estimators on a data set."""

import sys

from skmil._cli import main

if __name__ == "__main__":
    sys.exit(main())
