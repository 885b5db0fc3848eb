"""Bags in a form that depends neither on their order nor on repetitions."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skmil._instances import as_rows, number_rows
from skmil.bags import Bags

__all__ = ["DistinctBags", "merge_equal_bags"]


class DistinctBags(NamedTuple):
    """What :func:`merge_equal_bags` returns."""

    bags: Bags
    codes: np.ndarray  # (n_bags,) class of each bag
    weight: np.ndarray  # (n_bags,) sum of the weights of the bags that it stands for
    ids: np.ndarray  # (n_instances,) equal for equal instances


def merge_equal_bags(bags, codes, weight):
    """Replace bags of the same class and the same set of instances by one of them.

    The likelihood does not change: it sees a bag through its nearest instance only, and two
    bags of weights ``a`` and ``b`` as one of weight ``a + b``. What does change is that the
    numbers become reproducible. The search for a target amplifies rounding, so that sums in
    another order may end in another target; the order of the result follows from the bags
    alone (from the bytes of their instances, an order without meaning).

    Parameters
    ----------
    bags : Bags
        The bags; sparse instances store each value once, in the order of the features.
    codes : ndarray of int of shape (n_bags,)
        Class of each bag.
    weight : ndarray of float of shape (n_bags,)
        Weight of each bag.

    Returns
    -------
    distinct : DistinctBags
        The bags that are left, each without repeated instances.
    """
    rows = as_rows(bags.instances)
    first, ids = number_rows(rows)
    bag_index = bags.bag_index
    order = np.lexsort((ids, bag_index))
    ids = ids[order]
    is_new = np.ones(len(ids), dtype=bool)
    is_new[1:] = (np.diff(bag_index) != 0) | (np.diff(ids) != 0)
    ids, offsets = ids[is_new], np.searchsorted(bag_index[is_new], np.arange(bags.n_bags + 1))

    keys = np.empty(bags.n_bags, dtype=object)
    keys[:] = [
        code.tobytes() + ids[start:stop].tobytes()
        for code, (start, stop) in zip(codes, pairwise(offsets), strict=True)
    ]
    _, chosen, group = np.unique(keys, return_index=True, return_inverse=True)
    # The numbers of the instances travel as bags of one feature.
    numbers = Bags(ids.reshape(-1, 1), offsets)[chosen]
    ids = numbers.instances[:, 0]
    return DistinctBags(
        bags=Bags(rows[first[ids]], numbers.offsets),
        codes=codes[chosen],
        weight=np.bincount(group, weights=weight),
        ids=ids,
    )
