"""Nearest neighbours of bags in both directions."""

from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skmil._sklearn import Interval, StrOptions, fit_context
from skmil.base import (
    BagClassifierMixin,
    apply_class_weight,
    check_bag_weight,
    check_labels,
    encode_labels,
    validate_bags,
)
from skmil.neighbors._citation import citer_shares, join, neighbourhoods, reference_shares
from skmil.neighbors._distances import METRICS, distances_between

__all__ = ["CitationKNNClassifier"]

#: Digits of the vote shares. Sums of thirds must not break a tie by their last bit.
_DECIMALS = 12
#: So many queries are voted on at a time, since ranking takes several copies of their distances.
_QUERIES = 256
#: So many training bags are compared with all others at a time. If there are no more than these,
#: each pair is compared once instead of twice.
_BAGS = 2048


class CitationKNNClassifier(BagClassifierMixin, BaseEstimator):
    """Vote of the nearest bags, and of the bags to which a bag is among the nearest.

    Citation-kNN of Wang and Zucker [1]_. The training bags nearest to a query are its
    *references*. Its *citers* are the training bags that have it among their own nearest,
    counted among the other training bags and the query. References and citers vote for their
    classes, one vote each; a bag that is both votes twice.

    Nearest neighbours alone are easily misled on bags: most instances of a positive bag may
    be like those of negative bags, and by these a negative query finds it. The citers make
    up for some of that. A bag that has nearer neighbours does not cite the query.

    Parameters
    ----------
    n_references : int, default=2
        How many of the nearest training bags vote. At most the number of training bags.
    n_citers : int, default=4
        How many nearest bags each training bag cites; it votes if the query is among them.
        Two more than `n_references` in the paper. Zero for ordinary nearest neighbours. At
        most the number of training bags.
    metric : {"hausdorff", "minimum", "average", "all_pairs"}, default="hausdorff"
        The distance between bags, see :func:`skmil.neighbors.bag_distances`. "minimum",
        the distance of the closest two instances, is that of the paper.
    class_weight : dict, "balanced" or None, default=None
        Factors of the votes by class, ``{label: factor}``. "balanced" makes them inversely
        proportional to the number (with `sample_weight`, the weight) of the bags of the
        class. None for no factors.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted. Of two, ``classes_[1]`` is the positive one.
    bags_ : Bags
        The training bags that have a weight.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    BagDistance : Distances for :class:`~sklearn.neighbors.KNeighborsClassifier`.
    skmil.neighbors.bag_distances : The distances as a function.

    Notes
    -----
    Features with large values dominate the distances. Put an
    :class:`~skmil.InstanceTransformer` in front to scale them.

    The distance "minimum" suits bags whose instances resemble each other, as the shapes of a
    molecule do. Where the instances that are no witnesses come from the same source in all
    bags, any two bags have some close instances, whatever their labels; so it is not the
    default.

    Of two classes the negative one, ``classes_[0]``, wins a tie, as in the paper. Of more
    classes the first does.

    Distances are equal if they differ by less than one part in a thousand million. Bags at
    equal distances share the places that are left: if three bags are nearest and there are
    two references, each has two thirds of a vote. In the same way a query that is as near to
    a training bag as others are shares the last places with them. So nothing depends on the
    order of the training bags.

    A bag of weight w is the same as w such bags: each copy takes a place among references
    and among the neighbours of its fellows, and each has a vote. So the weights are no mere
    proportions. If they sum to one, all bags together count as one bag, and fitting refuses
    to find two references in it. The factors of `class_weight` let a bag vote, and take the
    places of references, as so many bags; but they do not change who cites whom, for the
    copies of a bag would only keep it from citing others.

    Fitting computes the distances between all training bags, and keeps those to the nearest.
    To predict takes the distances from the queries to the training bags; queries have no
    influence on each other. Neither holds the distances of all pairs at once.

    References
    ----------
    .. [1] J. Wang and J.-D. Zucker, "Solving the multiple-instance problem: a lazy learning
       approach", Proceedings of the 17th International Conference on Machine Learning,
       pp. 1119-1126, 2000.

    Examples
    --------
    A bag is positive if it has an instance near (1, 1).

    >>> import numpy as np
    >>> from skmil.neighbors import CitationKNNClassifier
    >>> bags = [
    ...     np.array([[1.0, 1.1], [5.0, 0.0]]),
    ...     np.array([[0.9, 1.0], [0.0, 5.0]]),
    ...     np.array([[1.1, 0.9]]),
    ...     np.array([[3.0, 3.0], [5.0, 5.0]]),
    ...     np.array([[3.1, 3.2]]),
    ...     np.array([[2.9, 3.1], [4.0, 4.0]]),
    ... ]
    >>> y = ["yes", "yes", "yes", "no", "no", "no"]
    >>> model = CitationKNNClassifier(n_citers=3, metric="minimum").fit(bags, y)
    >>> model.predict([np.array([[9.0, 9.0], [1.0, 1.0]]), np.array([[3.0, 3.5]])])
    array(['yes', 'no'], dtype='<U3')

    With two references and three citers, all five votes of the first are for "yes".

    >>> model.predict_proba([np.array([[9.0, 9.0], [1.0, 1.0]])])
    array([[0., 1.]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_references": [Interval(Integral, 1, None, closed="left")],
        "n_citers": [Interval(Integral, 0, None, closed="left")],
        "metric": [StrOptions(set(METRICS))],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(self, *, n_references=2, n_citers=4, metric="hausdorff", class_weight=None):
        self.n_references = n_references
        self.n_citers = n_citers
        self.metric = metric
        self.class_weight = class_weight

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Remember the training bags and find the neighbours of each.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : array-like of shape (n_bags,)
            Class labels of the bags.
        sample_weight : array-like of shape (n_bags,), default=None
            How many times each bag counts, >= 0; None for once.

        Returns
        -------
        self : CitationKNNClassifier
            The fitted classifier.
        """
        bags = validate_bags(self, X, reset=True)
        y = check_labels(self, y, bags)
        weight = check_bag_weight(sample_weight, bags.n_bags)
        present = np.flatnonzero(weight)
        if len(present) < bags.n_bags:
            bags, y, weight = bags[present], y[present], weight[present]
        self.classes_, codes = encode_labels(y)
        self._check_numbers(weight.sum())

        self.bags_ = bags
        # Kept from here on, whatever the parameters are set to after fit.
        self._metric, self._numbers = self.metric, (self.n_references, self.n_citers)
        self._neighbourhoods = self._find_neighbours(bags, weight)
        self._votes = apply_class_weight(self.class_weight, self.classes_, codes, weight)
        self._one_hot = (codes[:, np.newaxis] == range(len(self.classes_))).astype(float)
        return self

    def decision_function(self, X):
        """Return by how much the positive class leads, or the share of each class.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        scores : ndarray of shape (n_bags,) or (n_bags, n_classes)
            With two classes the votes for ``classes_[1]`` less those for ``classes_[0]``,
            as a share of all votes: from -1 to 1, above zero where ``classes_[1]`` is
            predicted. With more classes the share of the votes for each.
        """
        shares = self.predict_proba(X)
        return shares[:, 1] - shares[:, 0] if len(self.classes_) == 2 else shares

    def predict_proba(self, X):
        """Return the share of the votes for each class.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        shares : ndarray of shape (n_bags, n_classes)
            The shares. All are equal if those who vote have a `class_weight` of zero.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        votes = np.concatenate(
            [
                self._count(distances_between(bags[i : i + _QUERIES], self.bags_, self._metric))
                for i in range(0, bags.n_bags, _QUERIES)
            ]
        )
        total = votes.sum(axis=1, keepdims=True)
        equal = np.full(votes.shape, 1.0 / len(self.classes_))
        return np.divide(votes, total, out=equal, where=total > 0.0).round(_DECIMALS)

    def _find_neighbours(self, bags, weight):
        """Return the neighbours of the training bags, without the distances of all pairs."""
        tables = []
        for start in range(0, bags.n_bags, _BAGS):
            some = bags[start : start + _BAGS]
            some, others = (bags, None) if some.n_bags == bags.n_bags else (some, bags)
            distances = distances_between(some, others, self.metric)
            tables.append(neighbourhoods(distances, weight, self.n_citers, start))
        return join(tables)

    def _count(self, distances):
        """Return the votes for each class, given the distances to the training bags."""
        n_references, n_citers = self._numbers
        shares = reference_shares(distances, self._votes, n_references)
        shares += citer_shares(distances, self._neighbourhoods, n_citers)
        return (shares * self._votes) @ self._one_hot

    def _check_numbers(self, n_bags):
        """Refuse more references or citers than there are training bags."""
        for name in ("n_references", "n_citers"):
            number = getattr(self, name)
            if number > n_bags * (1.0 + 1e-9):  # the sum of the weights is rounded
                raise ValueError(
                    f"{name}={number} is more than there are training bags, {n_bags:g}. Decrease "
                    f"{name}; or, if sample_weight is given, scale the weights up: a weight says "
                    "how many times a bag counts."
                )
