"""Bags of instances: the container and the checks of every input."""

from skmil.bags._bags import Bags
from skmil.bags._check import check_bags
from skmil.bags._ranges import take_rows
from skmil.bags._stored import RowSource, StoredRows, is_stored, release

__all__ = ["Bags", "RowSource", "StoredRows", "check_bags", "is_stored", "release", "take_rows"]
