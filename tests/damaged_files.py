"""Damaged copies of a file, for tests that a reader reads or refuses them and nothing else."""

import numpy as np

#: What often means something in a text format, or stretches a number.
PIECES = [
    b"9" * 30,
    b"\\n",
    b"\\",
    b"'",
    b'"',
    b"{",
    b"}",
    b",",
    b":",
    b"?",
    b"nan",
    b"1e999",
    b"\n",
]


def damaged_copies(content, n_copies, pieces=PIECES):
    """Yield copies of the content with bytes changed, put in, left out, or cut short."""
    rng = np.random.default_rng(0)
    for i in range(n_copies):
        copy = bytearray(content)
        place = rng.integers(len(copy))
        if i % 4 == 0:
            copy[place] = rng.integers(256)
        elif i % 4 == 1:
            copy[place:place] = pieces[rng.integers(len(pieces))]
        elif i % 4 == 2:
            del copy[place : place + rng.integers(1, 20)]
        else:
            del copy[place:]
        yield bytes(copy)
