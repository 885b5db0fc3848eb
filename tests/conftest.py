"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

# Two test processes with a thread for each core would slow each other down a lot. Set before
# torch is first imported, and handed on to the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Timings differ from run to run and say nothing about correctness.
settings.register_profile("skmil", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("skmil")


@pytest.fixture(autouse=True)
def _torch_seed():
    """Give tests that draw torch tensors the same ones every time."""
    import torch

    torch.manual_seed(0)
