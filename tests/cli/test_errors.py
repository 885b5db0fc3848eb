import pytest

from skmil._cli._errors import unknown_name

KNOWN = ["dp-minn", "misvm-bag", "misvm-instance", "statistics"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("statistic", "Did you mean statistics?"),
        ("DPMINN", "Did you mean dp-minn?"),
        ("mi-svm", "Did you mean misvm-bag or misvm-instance?"),
        ("forest", "See --list."),
    ],
)
def test_an_unknown_name_comes_with_the_nearest_known_ones(name, advice):
    assert str(unknown_name("estimator", name, KNOWN)) == f"unknown estimator {name!r}. {advice}"
