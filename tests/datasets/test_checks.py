import numpy as np
import pytest

from skmil.datasets._checks import check_integer, check_number


def test_check_integer_takes_numpy_integers_but_no_booleans():
    check_integer("n", np.int32(3), 1)
    with pytest.raises(TypeError, match="n must be an integer, got True"):
        check_integer("n", True, 0)


def test_check_number_refuses_infinity():
    check_number("x", np.float32(3), 0)
    with pytest.raises(ValueError, match="x must be a finite number at least 0, got inf"):
        check_number("x", np.inf, 0)
