"""Readers that do to damaged files what no reader may do: what the fuzzing has to find."""

import os
import time

import numpy as np

from skmil import Bags
from skmil.datasets import DataFileError
from skmil.datasets.readers._result import read_result

HONEST = b"honest,1,2\n" * 10


def _read(path, on_damage):
    if path.read_bytes() != HONEST:
        on_damage(path)
    bags = Bags(np.ones((2, 2)), [0, 1, 2])
    return read_result(bags, np.array([0, 1]), bag_ids=np.array([0, 1]))


def _refuse(path):
    raise DataFileError(path, "damaged")


def _refuse_anonymously(path):
    raise DataFileError("somewhere", "damaged")


def _raise(path):
    raise KeyError(path.name)


def _allocate(path):
    np.ones(2**23)


def _believe_a_count(path):
    np.empty(2**34)


def _die(path):
    os.abort()


def _hang(path):
    try:
        time.sleep(60)
    except Exception:
        _refuse(path)


def _warn(path):
    np.log(np.zeros(1))


def good(path):
    return _read(path, _refuse)


def anonymous(path):
    return _read(path, _refuse_anonymously)


def raising(path):
    return _read(path, _raise)


def greedy(path):
    return _read(path, _allocate)


def gullible(path):
    return _read(path, _believe_a_count)


def dying(path):
    return _read(path, _die)


def hanging(path):
    return _read(path, _hang)


def warning(path):
    return _read(path, _warn)
