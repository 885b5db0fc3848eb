"""The embedding of miVLAD: where instances lie around the centres of a codebook."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils.extmath import row_norms, safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from skmil._instances import as_rows
from skmil._sklearn import Interval, StrOptions, feature_names_in, fit_context
from skmil.base import BagEstimatorMixin, validate_bags
from skmil.embedding._canonical import canonical_order
from skmil.embedding._normalization import normalize_rows

__all__ = ["BagVLAD"]


class BagVLAD(BagEstimatorMixin, TransformerMixin, BaseEstimator):
    r"""Turn each bag into one row: how its instances deviate from the centres of clusters.

    This is the embedding of miVLAD [1]_, the vector of locally aggregated descriptors [2]_
    of a bag. The instances of all training bags are clustered with k-means. Each instance
    of a bag belongs to the nearest centre, and centre :math:`c_k` gets the sum of what its
    instances deviate from it:

    .. math::

        v_k = \sum_{x \in B, \, c(x) = c_k} (x - c_k) .

    The sums are put one after the other, each value is replaced by its square root with its
    sign kept, and the row is divided by its length. A classifier of rows follows, in [1]_ a
    linear support vector machine.

    Parameters
    ----------
    n_clusters : int, default=5
        Number of centres. If there are fewer distinct training instances, each of them is
        a centre.
    power : float, default=0.5
        Exponent of the absolute values, greater than 0 and at most 1. 1 leaves the values
        as they are.
    norm : {"l2", None}, default="l2"
        "l2" divides each row by its Euclidean length, so that the size of a bag has no
        influence. None does not.
    n_init : int, default=10
        How often k-means starts anew. The best result is kept.
    max_iter : int, default=300
        Most iterations of k-means at each start.
    random_state : int, RandomState instance or None, default=None
        Determines the first centres of k-means. Pass an int for the same result in every
        call.

    Attributes
    ----------
    cluster_centers_ : ndarray of float64 of shape (n_clusters, `n_features_in_`)
        The centres. Their order depends on nothing but their values.
    n_iter_ : int
        Number of iterations of k-means at the best start.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    BagFisherVector : Takes a mixture of Gaussians in the place of k-means.
    MILESEmbedding : Keeps single instances, and the maximum in the place of the sum.
    InstanceTransformer : Scale the features first; the distances need it.

    Notes
    -----
    A row has ``n_clusters * n_features`` columns and is dense, also if the bags are sparse:
    centres are means, and have hardly a zero. The bags themselves are never made dense. A
    hundred bags with 6,000 features and five centres make 24 MB.

    k-means sees the training instances in an order that depends on their values only. With
    the same `random_state` the result is the same, but for rounding, however the bags and
    their instances are ordered. An instance that is equally far from two centres, to
    rounding, belongs to the first of them.

    References
    ----------
    .. [1] X.-S. Wei, J. Wu and Z.-H. Zhou, "Scalable algorithms for multi-instance
       learning", IEEE Transactions on Neural Networks and Learning Systems, vol. 28, no. 4,
       pp. 975-987, 2017, :doi:`10.1109/TNNLS.2016.2519102`.
    .. [2] H. Jégou, M. Douze, C. Schmid and P. Pérez, "Aggregating local descriptors into a
       compact image representation", IEEE Conference on Computer Vision and Pattern
       Recognition, pp. 3304-3311, 2010, :doi:`10.1109/CVPR.2010.5540039`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmil.embedding import BagVLAD
    >>> bags = [np.array([[0.0], [2.0], [10.0]]), np.array([[1.0], [11.0], [12.0]])]
    >>> vlad = BagVLAD(n_clusters=2, power=1.0, norm=None, random_state=0).fit(bags)
    >>> vlad.cluster_centers_
    array([[ 1.],
           [11.]])
    >>> vlad.transform([np.array([[1.5], [2.0], [10.0]])])
    array([[ 1.5, -1. ]])
    >>> vlad.get_feature_names_out()
    array(['cluster0_x0', 'cluster1_x0'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "power": [Interval(Real, 0.0, 1.0, closed="right")],
        "norm": [StrOptions({"l2"}), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        n_clusters=5,
        power=0.5,
        norm="l2",
        n_init=10,
        max_iter=300,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.power = power
        self.norm = norm
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Cluster the instances of all bags.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : None
            Ignored.

        Returns
        -------
        self : BagVLAD
            The fitted transformer.
        """
        bags = validate_bags(self, X, reset=True)
        order, starts = canonical_order(bags.instances)
        kmeans = KMeans(
            n_clusters=min(self.n_clusters, len(starts)),
            n_init=self.n_init,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        n_equal = np.diff(starts, append=len(order))
        kmeans.fit(as_rows(bags.instances[order[starts]]), sample_weight=n_equal)
        centers = kmeans.cluster_centers_
        self.cluster_centers_ = centers[canonical_order(centers)[0]]
        self.n_iter_ = kmeans.n_iter_
        return self

    def transform(self, X):
        """Sum up what the instances of each bag deviate from their centres.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        rows : ndarray of shape (n_bags, n_clusters * n_features)
            One row per bag.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        sums = sum_residuals(bags, self.cluster_centers_)
        rows = normalize_rows(sums, self.power, self.norm)
        return rows.astype(bags.dtype, copy=False)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns, such as "cluster0_x0" or "cluster0_energy".

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the features that come in; by default those seen in :meth:`fit`, or
            ``x0``, ``x1``, ... if there were none.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_clusters * n_features,)
            The names.
        """
        check_is_fitted(self)
        features = feature_names_in(self, input_features)
        n_clusters = len(self.cluster_centers_)
        names = [f"cluster{k}_{feature}" for k in range(n_clusters) for feature in features]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def nearest_centers(rows, centers):
    """Return the nearest centre of each row, the first of those that are equally near.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (n_rows, n_features)
        Rows.
    centers : ndarray of float64 of shape (n_centers, n_features)
        Centres.

    Returns
    -------
    nearest : ndarray of int of shape (n_rows,)
        Position of a centre for each row.
    """
    if not sp.issparse(rows):  # distances do not change with the origin, but round less near it
        origin = centers.mean(axis=0)
        rows, centers = rows - origin, centers - origin
    squares = row_norms(centers, squared=True)
    # Squared distances but for the square of the row, which all centres have in common.
    distances = squares - 2 * safe_sparse_dot(rows, centers.T, dense_output=True)
    # Two distances that are equal may round differently, beside other rows or in another
    # storage. What differs by no more than rounding counts as equal.
    size = row_norms(rows, squared=True)[:, np.newaxis] + squares.max()
    is_nearest = distances <= distances.min(axis=1, keepdims=True) + 1e-12 * size
    return is_nearest.argmax(axis=1)


def sum_residuals(bags, centers):
    """Sum over each bag, centre by centre, the instances less the centre nearest to them.

    Parameters
    ----------
    bags : Bags
        The bags.
    centers : ndarray of float64 of shape (n_centers, n_features)
        Centres.

    Returns
    -------
    sums : ndarray of float64 of shape (n_bags, n_centers * n_features)
        The sums.
    """
    rows, n_centers = bags.instances, len(centers)
    nearest = nearest_centers(rows, centers)
    groups = bags.bag_index * n_centers + nearest
    n_groups = bags.n_bags * n_centers
    counts = np.bincount(groups, minlength=n_groups).reshape(-1, n_centers, 1)
    # Entry (g, i) is 1 where instance i belongs to group g, a bag and a centre.
    members = sp.csc_array(
        (np.ones(len(groups)), groups, np.arange(len(groups) + 1)), shape=(n_groups, len(groups))
    ).tocsr()
    if sp.issparse(rows):
        sums = (-counts * centers).reshape(n_groups, -1)
        stored = (members @ sp.csr_array(rows)).tocoo()
        sums[stored.row, stored.col] += stored.data
    else:
        sums = members @ (rows - centers[nearest])
    # An instance that is its own centre leaves a rounding error or nothing, by chance. The
    # square root and the division by the length would make a full row of it.
    rounding = 16 * np.finfo(np.float64).eps * np.abs(centers).max(axis=0)
    sums = sums.reshape(bags.n_bags, n_centers, -1)
    sums[np.abs(sums) <= counts * rounding] = 0.0
    return sums.reshape(bags.n_bags, -1)
