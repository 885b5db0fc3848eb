import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skmil.embedding._normalization import normalize_rows

ROWS = np.array([[4.0, -9.0, 0.0], [0.0, 0.0, 0.0]])


def test_powers_keep_the_sign():
    assert_allclose(normalize_rows(ROWS.copy(), 0.5, None), [[2.0, -3.0, 0.0], [0.0, 0.0, 0.0]])
    assert_array_equal(normalize_rows(ROWS.copy(), 1.0, None), ROWS)


def test_length_is_one_after_the_power_and_zeros_stay():
    found = normalize_rows(ROWS.copy(), 0.5, "l2")
    assert_allclose(found, [[2 / np.sqrt(13), -3 / np.sqrt(13), 0.0], [0.0, 0.0, 0.0]])
