"""MILES: how close each bag comes to each training instance."""

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmil._distances import centre_of, squared_distances
from skmil._instances import as_rows, choose_gamma
from skmil._pairs import reduce_pairs
from skmil._sklearn import Interval, StrOptions, feature_names_in, fit_context
from skmil.bags import Bags
from skmil.base import BagEstimatorMixin, validate_bags
from skmil.embedding._canonical import canonical_order

__all__ = ["MILESEmbedding"]


class MILESEmbedding(BagEstimatorMixin, TransformerMixin, BaseEstimator):
    r"""Turn each bag into one row: its similarity to every training instance.

    MILES [1]_ takes every instance of the training bags for a *concept*, something that the
    label of a bag may depend on. Column :math:`k` of the row of a bag :math:`B` says how
    close the bag comes to concept :math:`c_k`, that is, how close its closest instance does:

    .. math::

        s(B, c_k) = \max_{x \in B} \exp(-\gamma \lVert x - c_k \rVert^2) .

    Most concepts say nothing about the label. The classifier that follows has to choose
    among them, as the support vector machine with the 1-norm does that the publication
    uses: ``LinearSVC(penalty="l1", dual=False)``. The columns with a coefficient other than
    zero are training instances, and `concept_bags_` and `concept_instances_`
    say which.

    Parameters
    ----------
    gamma : {"scale", "auto"} or float, default="scale"
        How fast the similarity falls with the distance; ``1 / sigma**2`` in [1]_. "scale"
        means ``1 / (n_features * variance of the instances)``, "auto" ``1 / n_features``.

    Attributes
    ----------
    concepts_ : ndarray or CSR array of float64 of shape (n_concepts, `n_features_in_`)
        The distinct training instances, sparse if the training bags are. Their order
        depends on nothing but their values.
    concept_bags_ : ndarray of int of shape (n_concepts,)
        The training bag that holds each concept; the first if several do.
    concept_instances_ : ndarray of int of shape (n_concepts,)
        The position of each concept in that bag.
    gamma_ : float
        The value of gamma.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    BagVLAD : A short row for each bag, where there are many instances.
    InstanceTransformer : Scale the features first; the distances need it.

    Notes
    -----
    Equal training instances are one concept, since their columns would be equal. A row has
    as many columns as there are distinct training instances, and :meth:`transform` compares
    every instance with every concept, though it keeps only a block of these comparisons at
    a time. With a hundred thousand training instances take an embedding with a codebook,
    such as :class:`BagVLAD`.

    Sparse bags are never made dense. The result is dense, as no similarity is zero.

    References
    ----------
    .. [1] Y. Chen, J. Bi and J. Z. Wang, "MILES: multiple-instance learning via embedded
       instance selection", IEEE Transactions on Pattern Analysis and Machine Intelligence,
       vol. 28, no. 12, pp. 1931-1947, 2006, :doi:`10.1109/TPAMI.2006.248`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmil.embedding import MILESEmbedding
    >>> bags = [np.array([[0.0], [1.0]]), np.array([[3.0]])]
    >>> embedding = MILESEmbedding(gamma=1.0).fit(bags)
    >>> embedding.transform(bags).round(3)
    array([[1.   , 1.   , 0.018],
           [0.   , 0.018, 1.   ]])

    Which training instances the columns are:

    >>> embedding.concept_bags_, embedding.concept_instances_
    (array([0, 0, 1]), array([0, 1, 0]))
    """

    _parameter_constraints: ClassVar[dict] = {
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(self, *, gamma="scale"):
        self.gamma = gamma

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Remember the distinct training instances.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : None
            Ignored.

        Returns
        -------
        self : MILESEmbedding
            The fitted transformer.
        """
        bags = validate_bags(self, X, reset=True)
        order, starts = canonical_order(bags.instances)
        # Of equal instances the first in the training bags.
        instances = np.minimum.reduceat(order, starts)
        self.concepts_ = as_rows(bags.instances[instances])
        self.concept_bags_ = bags.bag_index[instances]
        self.concept_instances_ = instances - bags.offsets[self.concept_bags_]
        self.gamma_ = choose_gamma(self.gamma, bags.instances)
        return self

    def transform(self, X):
        """Compute the similarity of each bag to each concept.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        rows : ndarray of shape (n_bags, n_concepts)
            One row per bag, of values between 0 and 1.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        rows = closest_squared(bags, self.concepts_)
        rows *= -self.gamma_
        return np.exp(rows, out=rows).astype(bags.dtype, copy=False)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns: "concept0", "concept1" and so on.

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Checked, but of no influence on the names.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_concepts,)
            The names.
        """
        check_is_fitted(self)
        feature_names_in(self, input_features)
        n_concepts = self.concepts_.shape[0]
        return np.array([f"concept{k}" for k in range(n_concepts)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def closest_squared(bags, points):
    """Return the squared distance from each point to the closest instance of each bag.

    Parameters
    ----------
    bags : Bags
        The bags.
    points : ndarray or CSR array of float64 of shape (n_points, n_features)
        The points.

    Returns
    -------
    distances : ndarray of float64 of shape (n_bags, n_points)
        Squared Euclidean distances.
    """
    lone = Bags(points, np.arange(points.shape[0] + 1))
    compare = squared_distances(bags.instances, points, centre_of(points))
    return reduce_pairs(bags, lone, compare, np.minimum, np.minimum)
