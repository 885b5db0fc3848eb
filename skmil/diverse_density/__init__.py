"""Classifiers that look for a point near some instance of every positive bag."""

from skmil.diverse_density._em_dd import EMDDClassifier

__all__ = ["EMDDClassifier"]
