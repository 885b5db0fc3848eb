"""Hypothesis strategies for ragged bags, shared by all tests."""

import numpy as np
from hypothesis import strategies as st

from skmil import Bags


@st.composite
def bag_sizes(draw, max_bags=6, max_size=7):
    """Sizes of one or more bags, none empty."""
    return draw(st.lists(st.integers(1, max_size), min_size=1, max_size=max_bags))


@st.composite
def ragged_bags(draw, max_bags=6, max_size=7, max_features=4, min_bags=1):
    """`Bags` of random sizes with normal values."""
    sizes = draw(st.lists(st.integers(1, max_size), min_size=min_bags, max_size=max_bags))
    n_features = draw(st.integers(1, max_features))
    scale = draw(st.sampled_from([1e-3, 1.0, 10.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    instances = scale * rng.normal(size=(sum(sizes), n_features))
    return Bags(instances, np.concatenate([[0], np.cumsum(sizes)]))
