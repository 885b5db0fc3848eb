"""Building blocks for pipelines on bags."""

from skmil.compose._instance_transformer import InstanceTransformer

__all__ = ["InstanceTransformer"]
