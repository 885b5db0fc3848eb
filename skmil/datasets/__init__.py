"""Bags to learn and to test with, all available offline."""

from skmil.datasets._assumption_tests import make_assumption_test
from skmil.datasets._digits import load_digit_bags
from skmil.datasets._synthetic import make_bags

__all__ = ["load_digit_bags", "make_assumption_test", "make_bags"]
