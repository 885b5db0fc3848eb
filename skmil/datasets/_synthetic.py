"""Synthetic bags whose witnesses are known."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skmil.bags import Bags
from skmil.datasets._assumptions import make_rule
from skmil.datasets._checks import check_integer, check_number
from skmil.datasets._layout import concept_counts, draw_layout


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
    assumption="standard",
    n_concepts=2,
    min_count=2,
    max_count=3,
    flip_y=0.0,
    noise=0.0,
    random_state=None,
    return_X_y=False,
):
    """Generate bags that follow an assumption of multiple instance learning exactly.

    Most instances are background: independent standard normal values. The others are
    witnesses, each of some concept. Witnesses have the same spread as the background, but in
    the first `n_informative` features they lie around a vertex of the hypercube with sides
    of length ``2 * class_sep`` centred at the background. Each concept has a vertex of its
    own, drawn at random. All other features are noise.

    What makes a bag positive is the assumption, named as in the review of Foulds and
    Frank [1]_:

    "standard"
        A bag of class ``k > 0`` holds witnesses of concept ``k``, and of no other. A bag of
        class 0 holds none.
    "presence"
        A positive bag holds each of `n_concepts` concepts. A negative bag lacks exactly one.
    "threshold"
        A positive bag holds each concept at least `min_count` times. In a negative bag
        exactly one concept is too rare, though it does occur if `min_count` is above 1.
    "count"
        A positive bag holds each concept at least `min_count` and at most `max_count`
        times. In a negative bag exactly one concept is too rare, as above, or too frequent;
        either with the same chance where the bag has room for it.
    "collective"
        All instances count: a bag is positive if more than half of them belong to the one
        concept. Otherwise it is negative, though it may hold the concept too.

    For "presence", "threshold" and "count" the number of witnesses in a bag of a given size
    has the same distribution in both classes, so that the number alone tells nothing. The
    Notes name the exceptions.

    Parameters
    ----------
    n_bags : int, default=100
        Number of bags.
    n_features : int, default=20
        Number of features.
    n_informative : int, default=5
        Number of features, counted from the first, in which witnesses differ.
    bag_size : int, (int, int) or frozen distribution, default=(5, 15)
        Number of instances in every bag; or the range, ends included, from which the size
        of each bag is drawn uniformly; or a frozen distribution of SciPy, such as
        ``scipy.stats.poisson(10)`` or, with a heavy tail, ``scipy.stats.lognorm(1, scale=10)``.
        What is drawn from a distribution is rounded, and raised to the least that a positive
        bag of the assumption can have, which is 1 except where counts ask for more.
    positive_fraction : float, default=0.5
        Share of the bags whose class is not 0, rounded to whole bags and split evenly
        among the classes from 1 up.
    witness_rate : float, default=0.2
        Share of witnesses in a bag that has any, rounded to whole instances, at least one,
        and at least as many as the assumption asks for. For "count" it is the nearest number
        that a positive bag can have and a negative one in which a concept is too rare, or one
        in which it is too frequent; which of these is drawn. For "collective" the parameter
        is of no effect: the share is drawn uniformly, above one half in positive bags and up
        to it in negative ones.
    class_sep : float, default=1.5
        Half the side of the hypercube: how far witnesses lie from the background in each
        informative feature. Larger values make the task easier.
    n_classes : int, default=2
        Number of classes, the negative class 0 included. Only the standard assumption makes
        more than two.
    assumption : {"standard", "presence", "threshold", "count", "collective"}, \
            default="standard"
        What makes a bag positive.
    n_concepts : int, default=2
        Number of concepts for "presence", "threshold" and "count".
    min_count : int or sequence of int, default=2
        Least number of instances of each concept in a positive bag, for "threshold" and
        "count". A sequence has one value for each concept.
    max_count : int or sequence of int, default=3
        Greatest number of instances of each concept in a positive bag, for "count".
    flip_y : float, default=0.0
        Noise of the labels: the chance of a bag, whatever its class, that its label is
        replaced by one drawn uniformly from all classes, as in
        :func:`sklearn.datasets.make_classification`. The one drawn may be the true one.
        Bags and true labels do not depend on this parameter.
    noise : float, default=0.0
        Noise of the features: standard deviation of the normal values added to every
        feature of every instance at the end.
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
            Class of each bag, from 0 to ``n_classes - 1``, some replaced if `flip_y` is
            above 0.
        true_target : ndarray of int64 of shape (n_bags,)
            The class that the assumption gives to the bag.
        instance_labels : ndarray of int64 of shape (n_instances,)
            Concept of each witness, from 1 up, and 0 for background, in the order of
            ``bags.instances``. For "standard" the concept is the class.
        concept_counts : ndarray of int64 of shape (n_bags, n_concepts)
            Number of instances of each concept in each bag, beginning with concept 1. The
            true class follows from these counts, and for "collective" from the bag's size.
    (bags, target) : tuple
        The first two of these, if `return_X_y` is true.

    See Also
    --------
    load_digit_bags : Bags of real images.
    make_assumption_test : Bags with a trap for models that break an assumption.

    Notes
    -----
    Where one concept of a negative bag is too rare, others have to be more frequent if the
    number of witnesses is not to give the bag away; and the other way round. They always can
    be for "presence", and for "threshold" with two concepts or more. It cannot be done

    - with one concept, whose number is the rule itself;
    - for "count", in bags where no concept but the broken one has a `max_count` above its
      `min_count`. With two concepts, of which only one has, these are the negative bags that
      break the bounds of that one; if none has, all negative bags.

    Such negative bags have fewer or more witnesses than any positive bag can have. Positive
    bags then have the number that `witness_rate` asks for, as far as their bounds allow.

    The range of `max_count` and `min_count` may also leave few numbers that both classes can
    have. With the default ones these are 4 and 6, if there is room for 6: a positive bag holds
    both concepts twice or both three times, and a negative bag holds one of them once and the
    other three times, or two and four times.

    References
    ----------
    .. [1] J. Foulds, E. Frank, "A review of multi-instance learning assumptions", The
       Knowledge Engineering Review 25(1), 2010. :doi:`10.1017/S026988890999035X`

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

    Here a bag is positive if it holds two concepts, and the number of instances in a bag has
    a heavy tail:

    >>> from scipy.stats import lognorm
    >>> data = make_bags(
    ...     n_bags=6, assumption="presence", bag_size=lognorm(1, scale=10), random_state=1
    ... )
    >>> data.bags.bag_sizes.tolist()
    [6, 2, 49, 4, 13, 2]
    >>> data.concept_counts.tolist()
    [[1, 1], [1, 1], [10, 0], [1, 1], [0, 3], [2, 0]]
    >>> data.target
    array([1, 1, 0, 1, 0, 0])
    """
    check_integer("n_features", n_features, 1)
    check_integer("n_informative", n_informative, 1, n_features)
    check_number("class_sep", class_sep, 0)
    check_number("flip_y", flip_y, 0, 1)
    check_number("noise", noise, 0)
    rule = make_rule(
        assumption,
        n_classes=n_classes,
        n_concepts=n_concepts,
        min_count=min_count,
        max_count=max_count,
    )
    rng = check_random_state(random_state)
    offsets, true_target, instance_labels = draw_layout(
        n_bags, bag_size, positive_fraction, witness_rate, n_classes, rule, rng
    )
    instances = rng.standard_normal((offsets[-1], n_features))
    shifts = np.zeros((rule.n_concepts + 1, n_features))
    shifts[1:, :n_informative] = class_sep * _draw_vertices(rule.n_concepts, n_informative, rng)
    instances += shifts[instance_labels]
    if noise:
        instances += noise * rng.standard_normal(instances.shape)
    target = _flip(true_target, flip_y, n_classes, rng)
    bags = Bags(instances, offsets)
    if return_X_y:
        return bags, target
    return Bunch(
        bags=bags,
        target=target,
        true_target=true_target,
        instance_labels=instance_labels,
        concept_counts=concept_counts(instance_labels, offsets, rule.n_concepts),
    )


def _flip(target, flip_y, n_classes, rng):
    """Replace labels, each with the chance `flip_y`, by labels drawn from all classes."""
    target = target.copy()
    if flip_y:
        is_drawn_anew = rng.uniform(size=len(target)) < flip_y
        target[is_drawn_anew] = rng.randint(n_classes, size=is_drawn_anew.sum())
    return target


def _draw_vertices(n_vertices, n_dimensions, rng):
    """Return different vertices of the hypercube of sides 2 centred at zero."""
    if n_vertices > 2**n_dimensions:
        raise ValueError(
            f"n_informative={n_dimensions} features tell at most {2**n_dimensions} concepts "
            f"apart, but n_classes or n_concepts asks for {n_vertices}. "
            "Raise n_informative."
        )
    chosen = {}  # a dictionary keeps the order in which vertices were drawn
    while len(chosen) < n_vertices:
        chosen[tuple(rng.choice([-1.0, 1.0], size=n_dimensions))] = True
    return np.array(list(chosen))
