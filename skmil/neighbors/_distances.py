"""Distances between bags."""

import numpy as np

from skmil._distances import centre_of, squared_distances
from skmil._pairs import reduce_pairs
from skmil.bags import check_bags
from skmil.base import with_matrix

__all__ = ["METRICS", "bag_distances", "distances_between"]

#: By name: what is kept of the distances from an instance to those of the other bag, what of
#: the instances of both bags, and by which numbers of instances a sum is divided.
METRICS = {
    "hausdorff": (np.minimum, np.maximum, None),
    "minimum": (np.minimum, np.minimum, None),
    "average": (np.minimum, np.add, lambda left, right: left + right),
    "all_pairs": (np.add, np.add, lambda left, right: 2 * left * right),
}


def bag_distances(X, Y=None, *, metric="hausdorff"):
    r"""Compute the distance from each bag of one collection to each bag of another.

    Instances are compared by the Euclidean distance. Features should have comparable scales,
    see :class:`skmil.InstanceTransformer`.

    Parameters
    ----------
    X : bags
        Bags, see :func:`skmil.check_bags`.
    Y : bags, default=None
        Other bags with the same features. None means those of `X`, which is faster than to
        give them twice.
    metric : {"hausdorff", "minimum", "average", "all_pairs"}, default="hausdorff"
        What makes one distance of those between the instances of two bags, see Notes.

    Returns
    -------
    distances : ndarray of float64 of shape (n_bags, n_bags_Y)
        The distances. If `Y` is None, the matrix is exactly symmetric.

    Raises
    ------
    ValueError
        If the metric is unknown, or the bags have different numbers of features.

    See Also
    --------
    skmil.BagDistance : The distances to the training bags, for use in a pipeline.
    skmil.CitationKNNClassifier : Classifies by the nearest bags.

    Notes
    -----
    Between bags :math:`A` and :math:`B`, with :math:`d(a, B) = \min_{b \in B} \|a - b\|`:

    - "hausdorff" is the Hausdorff distance, also called maximal:
      :math:`\max(\max_{a \in A} d(a, B), \max_{b \in B} d(b, A))`. It is small if each
      instance of either bag has one of the other bag nearby, so one outlier makes it large.
    - "minimum" is the minimal Hausdorff distance of Wang and Zucker [1]_, the distance of the
      closest two instances: :math:`\min_{a \in A} d(a, B)`.
    - "average" is the average Hausdorff distance of Zhang and Zhou [2]_:
      :math:`(\sum_{a \in A} d(a, B) + \sum_{b \in B} d(b, A)) / (|A| + |B|)`.
    - "all_pairs" is the mean of the distances of all pairs of instances:
      :math:`\sum_{a \in A} \sum_{b \in B} \|a - b\| / (|A| |B|)`.

    Only "hausdorff" is a metric in the mathematical sense, on the bags as sets. The distance
    "minimum" of two bags is zero as soon as they share an instance. By "all_pairs" a bag is at
    a positive distance from itself, unless all its instances are equal.

    The matrix of all instances against all instances is never held, only blocks of it.
    Sparse bags stay sparse. Close instances are compared through their differences, so bags
    with an equal instance have a "minimum" distance of zero and nothing is lost to rounding
    where features are large.

    References
    ----------
    .. [1] J. Wang and J.-D. Zucker, "Solving the multiple-instance problem: a lazy learning
       approach", Proceedings of the 17th International Conference on Machine Learning,
       pp. 1119-1126, 2000.

    .. [2] M.-L. Zhang and Z.-H. Zhou, "Multi-instance clustering with applications to
       multi-instance prediction", Applied Intelligence 31, pp. 47-68, 2009.
       :doi:`10.1007/s10489-007-0111-x`

    Examples
    --------
    >>> import numpy as np
    >>> from skmil.neighbors import bag_distances
    >>> near = np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> far = np.array([[5.0, 0.0]])
    >>> bag_distances([near, far])
    array([[0., 5.],
           [5., 0.]])
    >>> bag_distances([near], [far], metric="minimum")
    array([[4.]])
    >>> bag_distances([near], [far], metric="average").round(3)
    array([[4.333]])
    >>> bag_distances([near], [far], metric="all_pairs")
    array([[4.5]])
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; choose from {list(METRICS)}.")
    left = with_matrix(check_bags(X))
    right = None if Y is None else with_matrix(check_bags(Y))
    if right is not None and left.n_features != right.n_features:
        raise ValueError(
            f"X has {left.n_features} features, but Y has {right.n_features}. "
            "Only bags with the same features have distances."
        )
    return distances_between(left, right, metric)


def distances_between(left, right, metric):
    """Return the distances of checked bags; `right` is None for those of `left`."""
    inner, outer, divisor = METRICS[metric]
    others = left if right is None else right
    # One for both directions, so that it does not depend on the bags to be compared with them.
    centre = centre_of(others.instances)

    values = _directed(left, others, centre, inner, outer)
    if right is None:
        back = values.T
    elif inner is outer:  # both directions are the same
        back = values
    else:
        back = _directed(right, left, centre, inner, outer).T
    values = outer(values, back)
    del back  # as large as the result
    if divisor is None:
        return np.sqrt(values, out=values)
    values /= divisor(left.bag_sizes[:, np.newaxis], others.bag_sizes)
    return values


def _directed(left, right, centre, inner, outer):
    """Reduce the distances one way; their squares, where only the order matters."""
    squared = squared_distances(left.instances, right.instances, centre)

    def compare(rows, columns):
        block = squared(rows, columns)
        return np.sqrt(block, out=block) if outer is np.add else block

    return reduce_pairs(left, right, compare, inner, outer)
