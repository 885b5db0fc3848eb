"""Fixtures of the tests of scikit-learn's tools."""

import pytest
import sklearn
from scikit_learn_tools.by_hand import NO_TABLE
from scikit_learn_tools.outcomes import raises


@pytest.fixture
def refusal():
    """Return a context that expects scikit-learn to refuse bags; it has to be used."""
    used = []

    def context(match=NO_TABLE, error=ValueError, by=("sklearn",)):
        used.append(match)
        return raises(error, match, by)

    yield context
    assert used, "the test registers a refusal and does not prove it"


@pytest.fixture
def ax():
    """Return axes to draw on, without a window."""
    return pytest.importorskip("matplotlib.figure").Figure().subplots()


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield
