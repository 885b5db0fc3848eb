"""Settings of all tests."""

import pytest
from hypothesis import settings

# Timings differ from run to run and say nothing about correctness.
settings.register_profile("skmil", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("skmil")


@pytest.fixture(autouse=True)
def _torch_seed():
    """Give tests that draw torch tensors the same ones every time."""
    import torch

    torch.manual_seed(0)
