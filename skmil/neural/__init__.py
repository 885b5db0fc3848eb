"""Bag classifiers that are torch networks, trained through skorch."""

from skmil.neural._attention import AttentionMILClassifier
from skmil.neural._dp_minn import DPMINNClassifier
from skmil.neural._instance_net import InstanceNetClassifier
from skmil.neural._mi_net import MINetClassifier
from skmil.neural._stacked_search import StackedGridSearchCV

__all__ = [
    "AttentionMILClassifier",
    "DPMINNClassifier",
    "InstanceNetClassifier",
    "MINetClassifier",
    "StackedGridSearchCV",
]
