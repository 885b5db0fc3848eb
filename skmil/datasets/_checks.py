"""Checks of the numbers that generators of data take."""

from numbers import Integral, Real

import numpy as np


def check_integer(name, value, low, high=np.inf):
    """Refuse anything but an integer from `low` to `high`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if not low <= value <= high:
        raise ValueError(f"{name} must be {_range(low, high)}, got {value}.")


def check_number(name, value, low, high=np.inf):
    """Refuse anything but a finite number from `low` to `high`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    if not (low <= value <= high) or np.isinf(value):
        raise ValueError(f"{name} must be a finite number {_range(low, high)}, got {value}.")


def _range(low, high):
    return f"at least {low}" if high == np.inf else f"from {low} to {high}"
