"""Synthetic bags whose witnesses are known."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skmil.bags import Bags
from skmil.datasets._layout import check_integer, check_number, draw_layout


def make_bags(
    *,
    n_bags=100,
    n_features=20,
    n_informative=5,
    bag_size=(5, 15),
    positive_fraction=0.5,
    witness_rate=0.2,
    class_sep=1.5,
    n_classes=2,
    random_state=None,
    return_X_y=False,
):
    """Generate bags that follow the standard multiple instance assumption exactly.

    Most instances are background: independent standard normal values. A bag of class 0
    holds nothing else. A bag of class ``k > 0`` also holds witnesses of class ``k``, and of
    no other class. Witnesses have the same spread as the background, but in the first
    `n_informative` features they lie around a vertex of the hypercube with sides of length
    ``2 * class_sep`` centred at the background. Each class has a vertex of its own, drawn
    at random. All other features are noise.

    Parameters
    ----------
    n_bags : int, default=100
        Number of bags.
    n_features : int, default=20
        Number of features.
    n_informative : int, default=5
        Number of features, counted from the first, in which witnesses differ.
    bag_size : int or (int, int), default=(5, 15)
        Number of instances in every bag, or the range, ends included, from which the size
        of each bag is drawn uniformly.
    positive_fraction : float, default=0.5
        Share of the bags whose class is not 0, rounded to whole bags and split evenly
        among the classes from 1 up.
    witness_rate : float, default=0.2
        Share of witnesses in a positive bag, rounded to whole instances, at least one.
    class_sep : float, default=1.5
        Half the side of the hypercube: how far witnesses lie from the background in each
        informative feature. Larger values make the task easier.
    n_classes : int, default=2
        Number of classes, the negative class 0 included.
    random_state : int, RandomState instance or None, default=None
        Determines the bags. Pass an int for the same bags in every call.
    return_X_y : bool, default=False
        Return ``(bags, target)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags.
        target : ndarray of int64 of shape (n_bags,)
            Class of each bag, from 0 to ``n_classes - 1``. It is the largest of the
            bag's instance labels.
        instance_labels : ndarray of int64 of shape (n_instances,)
            Class of each witness, 0 for background, in the order of ``bags.instances``.
    (bags, target) : tuple
        The first two of these, if `return_X_y` is true.

    See Also
    --------
    load_digit_bags : Bags of real images.

    Examples
    --------
    >>> from skmil.datasets import make_bags
    >>> data = make_bags(n_bags=4, n_features=3, n_informative=2, random_state=0)
    >>> data.bags
    Bags(4 bags, 42 instances, 3 features, float64)
    >>> data.target
    array([0, 0, 1, 1])
    >>> data.instance_labels[data.bags.bag_index == 2]
    array([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    >>> bags, y = make_bags(n_classes=4, random_state=0, return_X_y=True)
    >>> import numpy as np
    >>> np.bincount(y)
    array([50, 17, 17, 16])
    """
    check_integer("n_features", n_features, 1)
    check_integer("n_informative", n_informative, 1, n_features)
    check_number("class_sep", class_sep, 0)
    rng = check_random_state(random_state)
    offsets, target, instance_labels = draw_layout(
        n_bags, bag_size, positive_fraction, witness_rate, n_classes, rng
    )
    instances = rng.standard_normal((offsets[-1], n_features))
    shifts = np.zeros((n_classes, n_features))
    shifts[1:, :n_informative] = class_sep * _draw_vertices(n_classes - 1, n_informative, rng)
    instances += shifts[instance_labels]
    bags = Bags(instances, offsets)
    if return_X_y:
        return bags, target
    return Bunch(bags=bags, target=target, instance_labels=instance_labels)


def _draw_vertices(n_vertices, n_dimensions, rng):
    """Return different vertices of the hypercube of sides 2 centred at zero."""
    if n_vertices > 2**n_dimensions:
        raise ValueError(
            f"n_informative={n_dimensions} features tell at most {2**n_dimensions} positive "
            f"classes apart, but n_classes={n_vertices + 1} asks for {n_vertices}. "
            "Raise n_informative."
        )
    chosen = {}  # a dictionary keeps the order in which vertices were drawn
    while len(chosen) < n_vertices:
        chosen[tuple(rng.choice([-1.0, 1.0], size=n_dimensions))] = True
    return np.array(list(chosen))
