"""Bags of instances: the container and the checks of every input."""

from skmil.bags._bags import Bags, take_rows
from skmil.bags._check import check_bags

__all__ = ["Bags", "check_bags", "take_rows"]
