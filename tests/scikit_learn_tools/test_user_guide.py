"""Which tools of scikit-learn take bags, and does the user guide say so?

The other files of this folder have a test for each tool. A tool that works is held against the
same done by hand. For one that refuses, the test proves that it is scikit-learn which does, and
that what the guide recommends instead works. Should a release of scikit-learn change either, the
test fails, and table and registry follow.
"""

from importlib import import_module
from pathlib import Path

import pytest
from scikit_learn_tools.outcomes import OUTCOMES, PAGE, read_page


def test_the_user_guide_has_the_tools_and_outcomes_that_are_tested():
    if not PAGE.exists():
        pytest.skip("the user guide is not part of an installed package")
    for file in Path(__file__).parent.glob("test_*.py"):
        import_module(f"scikit_learn_tools.{file.stem}")
    assert read_page() == OUTCOMES
