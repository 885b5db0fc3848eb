"""Building blocks for pipelines on bags."""

from skmil.compose._instance_transformer import InstanceTransformer
from skmil.compose._single_instance import SingleInstanceClassifier

__all__ = ["InstanceTransformer", "SingleInstanceClassifier"]
