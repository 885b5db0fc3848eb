"""The checks of NumPy's own format; their home is beside `Bags`, which is stored in it."""

from skmil.bags._npy import check_characters, check_npy

__all__ = ["check_characters", "check_npy"]
