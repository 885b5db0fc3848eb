"""Bags of handwritten digits."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state

from skmil.bags import Bags
from skmil.datasets._assumptions import make_rule
from skmil.datasets._checks import check_integer
from skmil.datasets._layout import draw_layout

_DESCRIPTION = """\
Bags of handwritten digits
--------------------------

**Data set characteristics**

:Number of bags: {n_bags}, of which {n_positive} are positive
:Number of instances: {n_instances}, of which {n_witnesses} are witnesses
:Number of features: {n_features}
:Feature information: 8 x 8 image, pixels from 0 (white) to 16 (black)
:Missing values: none

An instance is the image of one digit. A bag is positive if and only if one of its digits
is a {target_digit}. No image occurs more than once, so bags of a training set and bags of a
test set have no instance in common.

The images are those of `sklearn.datasets.load_digits`, a copy of the test set of the UCI
data set "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak,
https://doi.org/10.24432/C50P49. The bags are drawn from them at random.
"""


def load_digit_bags(
    *,
    n_bags=200,
    target_digit=9,
    bag_size=(4, 10),
    positive_fraction=0.5,
    witness_rate=0.1,
    random_state=None,
    return_X_y=False,
):
    """Load bags of handwritten digits: positive are those with a given digit among them.

    The images are the 1,797 that come with scikit-learn [1]_, so nothing is downloaded.
    They are drawn without replacement: no image occurs twice, neither in one bag nor in
    two, and so none is in both a training and a test set. The number of images limits the
    bags; parameters that need more are refused.

    Parameters
    ----------
    n_bags : int, default=200
        Number of bags.
    target_digit : int, default=9
        The digit, from 0 to 9, that makes a bag positive.
    bag_size : int, (int, int) or frozen distribution, default=(4, 10)
        Number of images in every bag; or the range, ends included, from which the size of
        each bag is drawn uniformly; or a frozen distribution of SciPy to draw it from, as in
        :func:`make_bags`.
    positive_fraction : float, default=0.5
        Share of positive bags, rounded to whole bags.
    witness_rate : float, default=0.1
        Share of images in a positive bag that show `target_digit`, rounded to whole
        images, at least one.
    random_state : int, RandomState instance or None, default=None
        Determines the bags. Pass an int for the same bags in every call.
    return_X_y : bool, default=False
        Return ``(bags, target)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, 64 pixel values from 0 to 16 per instance.
        target : ndarray of int64 of shape (n_bags,)
            1 for a bag that holds the target digit, otherwise 0.
        instance_labels : ndarray of int64 of shape (n_instances,)
            1 for an image of the target digit, otherwise 0, in the order of
            ``bags.instances``.
        digits : ndarray of int64 of shape (n_instances,)
            The digit in each image.
        feature_names : list of str of length 64
            Names of the pixels.
        target_names : ndarray of str of shape (2,)
            Names of the classes 0 and 1.
        DESCR : str
            Description of the data.
    (bags, target) : tuple
        The first two of these, if `return_X_y` is true.

    Raises
    ------
    ValueError
        If the bags need more images of the target digit or of other digits than there are.

    See Also
    --------
    make_bags : Synthetic bags, as many as needed.

    References
    ----------
    .. [1] E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
       Learning Repository, 1998. :doi:`10.24432/C50P49`

    Examples
    --------
    >>> from skmil.datasets import load_digit_bags
    >>> data = load_digit_bags(random_state=0)
    >>> data.bags
    Bags(200 bags, 1399 instances, 64 features, float64)
    >>> data.target[:5]
    array([1, 0, 0, 1, 0])
    >>> [data.digits[data.bags.bag_index == i].tolist() for i in range(2)]
    [[0, 9, 0, 6], [5, 8, 3, 3, 6, 7, 3, 5, 7]]
    """
    check_integer("target_digit", target_digit, 0, 9)
    rng = check_random_state(random_state)
    offsets, target, instance_labels = draw_layout(
        n_bags, bag_size, positive_fraction, witness_rate, 2, make_rule("standard"), rng
    )
    source = load_digits()
    is_target = source.target == target_digit
    is_witness = instance_labels == 1
    images = np.empty(len(instance_labels), dtype=np.intp)
    images[is_witness] = _draw(
        np.flatnonzero(is_target), is_witness.sum(), f"the digit {target_digit}", rng
    )
    images[~is_witness] = _draw(
        np.flatnonzero(~is_target), (~is_witness).sum(), "other digits", rng
    )
    bags = Bags(source.data[images], offsets)
    if return_X_y:
        return bags, target
    return Bunch(
        bags=bags,
        target=target,
        instance_labels=instance_labels,
        digits=source.target[images],
        feature_names=list(source.feature_names),
        target_names=np.array([f"without {target_digit}", f"with {target_digit}"]),
        DESCR=_DESCRIPTION.format(
            n_bags=bags.n_bags,
            n_positive=target.sum(),
            n_instances=bags.n_instances,
            n_witnesses=is_witness.sum(),
            n_features=bags.n_features,
            target_digit=target_digit,
        ),
    )


def _draw(images, n_needed, what, rng):
    """Choose images without replacement."""
    if n_needed > len(images):
        raise ValueError(
            f"These bags need {n_needed} images of {what}, but there are {len(images)} and "
            "no image is used twice. Ask for fewer or smaller bags, or for another "
            "positive_fraction or witness_rate."
        )
    return rng.choice(images, size=n_needed, replace=False)
