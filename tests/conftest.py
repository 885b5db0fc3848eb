"""Settings of all tests."""

import os
import tempfile
from pathlib import Path

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


@pytest.fixture
def own_folder():
    """Give a folder whose permissions count: root, who may do everything, becomes nobody.

    What the test imports has to be imported before, for nobody may read it.
    """
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no permissions of folders")
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if is_root:
            os.chown(folder, _NOBODY, -1)
            os.seteuid(_NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)


_NOBODY = 65534
