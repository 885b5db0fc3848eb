"""Bags become rows: their distances to the training bags."""

from typing import ClassVar

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmil._sklearn import StrOptions, fit_context
from skmil.base import BagEstimatorMixin, validate_bags
from skmil.neighbors._distances import METRICS, distances_between

__all__ = ["BagDistance"]


class BagDistance(
    BagEstimatorMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Turn each bag into one row: its distances to the training bags.

    In front of an estimator that takes precomputed distances, this makes a method of bags of
    it: ``make_pipeline(BagDistance(), KNeighborsClassifier(metric="precomputed"))`` is the
    nearest neighbours classifier of bags. The rows may also be used as features.

    Parameters
    ----------
    metric : {"hausdorff", "minimum", "average", "all_pairs"}, default="hausdorff"
        What makes one distance of the Euclidean distances between the instances of two bags:

        - "hausdorff": the largest distance from an instance of either bag to the nearest
          instance of the other;
        - "minimum": the distance of the closest two instances, one of each bag;
        - "average": the mean over the instances of both bags of the distance to the nearest
          instance of the other;
        - "all_pairs": the mean of the distances of all pairs of instances, one of each bag.

        :func:`skmil.neighbors.bag_distances` gives the formulas.

    Attributes
    ----------
    bags_ : Bags
        The training bags, one for each column of the result.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    CitationKNNClassifier : Nearest neighbours in both directions.
    skmil.neighbors.bag_distances : The distances as a function.

    Notes
    -----
    Features with large values dominate the distances. Put an
    :class:`~skmil.InstanceTransformer` in front to scale them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmil.neighbors import BagDistance
    >>> bags = [np.array([[0.0], [3.0]]), np.array([[4.0]]), np.array([[9.0], [10.0]])]
    >>> BagDistance(metric="minimum").fit_transform(bags)
    array([[0., 1., 6.],
           [1., 0., 5.],
           [6., 5., 0.]])
    >>> neighbours = KNeighborsClassifier(n_neighbors=1, metric="precomputed")
    >>> model = make_pipeline(BagDistance(metric="minimum"), neighbours)
    >>> model.fit(bags, ["low", "low", "high"]).predict([np.array([[8.0], [15.0]])])
    array(['high'], dtype='<U4')
    """

    _parameter_constraints: ClassVar[dict] = {"metric": [StrOptions(set(METRICS))]}

    def __init__(self, *, metric="hausdorff"):
        self.metric = metric

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Remember the training bags.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : None
            Ignored.

        Returns
        -------
        self : BagDistance
            The fitted transformer.
        """
        self.bags_ = validate_bags(self, X, reset=True)
        self._metric = self.metric  # whatever the parameter is set to after fit
        return self

    def fit_transform(self, X, y=None):
        """Remember the training bags and compute the distances between them.

        Faster than :meth:`fit` and :meth:`transform`, as distances are symmetric, and equal
        to their result but for rounding.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : None
            Ignored.

        Returns
        -------
        distances : ndarray of float64 of shape (n_bags, n_bags)
            The distances.
        """
        self.fit(X, y)
        return distances_between(self.bags_, None, self.metric)

    def transform(self, X):
        """Compute the distances of bags to the training bags.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        distances : ndarray of float64 of shape (n_bags, n_training_bags)
            The distances, a column for each training bag.
        """
        check_is_fitted(self)
        return distances_between(validate_bags(self, X), self.bags_, self._metric)

    @property
    def _n_features_out(self):
        return self.bags_.n_bags

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
