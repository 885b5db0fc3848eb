"""The equations of deep multiple instance learning, as pure functions of packed bags.

Instances of all bags of a batch stand in one tensor; `bag_index` says which bag each row
belongs to. Nothing is padded, so the result for a bag cannot depend on the other bags.

Every bag needs at least one instance.
"""

# Shapes in comments: N instances, B bags, K capsules and D embedding dimensions.

from skmil.functional._attention import attention_pooling
from skmil.functional._capsules import (
    length_probability,
    margin_loss,
    relative_probability,
    squared_length,
    squash,
)
from skmil.functional._dynamic_pooling import RoutingGradient as RoutingGradient
from skmil.functional._dynamic_pooling import dynamic_pooling
from skmil.functional._probabilities import average_probability, pool_probability
from skmil.functional._segments import Pooling as Pooling
from skmil.functional._segments import (
    segment_logmeanexp,
    segment_max,
    segment_mean,
    segment_pool,
    segment_softmax,
    segment_sum,
)

__all__ = [
    "attention_pooling",
    "average_probability",
    "dynamic_pooling",
    "length_probability",
    "margin_loss",
    "pool_probability",
    "relative_probability",
    "segment_logmeanexp",
    "segment_max",
    "segment_mean",
    "segment_pool",
    "segment_softmax",
    "segment_sum",
    "squared_length",
    "squash",
]
