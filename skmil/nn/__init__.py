"""Torch modules on packed bags, for use inside and outside of skmil's estimators."""

from skmil.nn._calibration import scale_to_probability
from skmil.nn._dp_minn import DPMINN, DynamicPooling
from skmil.nn._encoder import Encoder
from skmil.nn._losses import CrossEntropyLoss, MarginLoss

__all__ = [
    "DPMINN",
    "CrossEntropyLoss",
    "DynamicPooling",
    "Encoder",
    "MarginLoss",
    "scale_to_probability",
]
