"""Bag classifiers that are torch networks, trained through skorch."""

from skmil.neural._dp_minn import DPMINNClassifier

__all__ = ["DPMINNClassifier"]
