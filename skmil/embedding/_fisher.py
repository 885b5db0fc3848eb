"""The embedding of miFV: how a bag would change a mixture of Gaussians."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from skmil._instances import as_rows
from skmil._sklearn import Interval, StrOptions, feature_names_in, fit_context
from skmil.base import BagEstimatorMixin, validate_bags
from skmil.embedding._canonical import canonical_order
from skmil.embedding._normalization import normalize_rows

__all__ = ["BagFisherVector"]

#: Up to this number of features the covariance matrix is decomposed: 8 MB of float64.
_MOST_IN_COVARIANCE = 1000


class BagFisherVector(BagEstimatorMixin, TransformerMixin, BaseEstimator):
    r"""Turn each bag into one row: its Fisher vector under a mixture of Gaussians.

    This is the embedding of miFV [1]_, [2]_. A principal component analysis shortens the
    instances of all training bags, and a mixture of Gaussians with diagonal covariances is
    fitted to them. The row of a bag says in which direction the means and the standard
    deviations of the mixture would have to move to make its instances more likely. It is
    the gradient of their mean log-likelihood, in units that make the directions comparable
    [3]_. For Gaussian :math:`k` with the weight :math:`w_k`, the mean :math:`\mu_k` and the
    standard deviations :math:`\sigma_k`, and for the :math:`n` instances :math:`x` of the
    bag, which belong to Gaussian :math:`k` with probability :math:`q_k(x)`, these are

    .. math::

        \frac{1}{n \sqrt{w_k}} \sum_x q_k(x) \frac{x - \mu_k}{\sigma_k}
        \quad \text{and} \quad
        \frac{1}{n \sqrt{2 w_k}} \sum_x q_k(x)
        \left( \frac{(x - \mu_k)^2}{\sigma_k^2} - 1 \right) .

    Each value is then replaced by its square root with its sign kept, and the row is
    divided by its length, which makes it the improved Fisher vector. A classifier of rows
    follows, in [1]_ a linear support vector machine.

    Parameters
    ----------
    n_components : int, default=2
        Number of Gaussians. If there are fewer distinct training instances, it is theirs.
    pca_components : int, float or None, default=32
        What principal component analysis keeps of the instances: an integer for the number
        of components, at most; a number between 0 and 1 for as many components as explain
        this share of the variance. None for no analysis, which sparse bags do not allow.
        Sparse bags of more than 1,000 features need an integer.
    power : float, default=0.5
        Exponent of the absolute values, greater than 0 and at most 1. 1 leaves the values
        as they are.
    norm : {"l2", None}, default="l2"
        "l2" divides each row by its Euclidean length. None does not.
    reg_covar : float, default=1e-6
        Added to the variances of the Gaussians, as a share of the largest variance of the
        shortened instances.
    n_init : int, default=1
        How often the fit of the mixture starts anew. The best result is kept.
    max_iter : int, default=100
        Most iterations of the fit at each start.
    random_state : int, RandomState instance or None, default=None
        Determines the first Gaussians. Pass an int for the same result in every call.

    Attributes
    ----------
    mixture_ : GaussianMixture
        The mixture. The order of its Gaussians depends on nothing but their means.
    components_ : ndarray of float64 of shape (n_dimensions, `n_features_in_`) or None
        The principal components. None if `pca_components` is.
    mean_ : ndarray of float64 of shape (`n_features_in_`,)
        The mean of the training instances, which is subtracted first.
    n_iter_ : int
        Number of iterations of the mixture at the best start.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    BagVLAD : Takes k-means in the place of the mixture.
    BagStatistics : Statistics of all instances of a bag, with nothing to fit.
    InstanceTransformer : Scale the features first; the principal components need it.

    Notes
    -----
    A row has ``2 * n_components * n_dimensions`` columns: the part of the means, Gaussian
    by Gaussian, then that of the standard deviations.

    Components of no variance are left out, so there may be fewer than asked for. There have
    to be at least two distinct training instances, otherwise there is no variance at all.

    Sparse bags are never made dense, only the shortened instances are. Up to 1,000 features
    the covariance matrix is decomposed; with more, the instances are, in an iteration that
    finds just the components asked for.

    The mixture sees the training instances in an order that depends on their values only.
    With the same `random_state` the result is the same, but for rounding, however the bags
    and their instances are ordered.

    References
    ----------
    .. [1] X.-S. Wei, J. Wu and Z.-H. Zhou, "Scalable algorithms for multi-instance
       learning", IEEE Transactions on Neural Networks and Learning Systems, vol. 28, no. 4,
       pp. 975-987, 2017, :doi:`10.1109/TNNLS.2016.2519102`.
    .. [2] X.-S. Wei, J. Wu and Z.-H. Zhou, "Scalable multi-instance learning", IEEE
       International Conference on Data Mining, pp. 1037-1042, 2014.
    .. [3] J. Sánchez, F. Perronnin, T. Mensink and J. Verbeek, "Image classification with
       the Fisher vector: theory and practice", International Journal of Computer Vision,
       vol. 105, no. 3, pp. 222-245, 2013, :doi:`10.1007/s11263-013-0636-x`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmil.embedding import BagFisherVector
    >>> rng = np.random.default_rng(0)
    >>> bags = [rng.normal(size=(size, 3)) for size in (5, 1, 20, 8)]
    >>> embedding = BagFisherVector(n_components=2, pca_components=2, random_state=0)
    >>> embedding.fit_transform(bags).shape
    (4, 8)
    >>> embedding.get_feature_names_out()[:5]
    array(['mean0_pca0', 'mean0_pca1', 'mean1_pca0', 'mean1_pca1',
           'std0_pca0'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "pca_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0.0, 1.0, closed="neither"),
            None,
        ],
        "power": [Interval(Real, 0.0, 1.0, closed="right")],
        "norm": [StrOptions({"l2"}), None],
        "reg_covar": [Interval(Real, 0.0, None, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        n_components=2,
        pca_components=32,
        power=0.5,
        norm="l2",
        reg_covar=1e-6,
        n_init=1,
        max_iter=100,
        random_state=None,
    ):
        self.n_components = n_components
        self.pca_components = pca_components
        self.power = power
        self.norm = norm
        self.reg_covar = reg_covar
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Fit the principal components and the mixture to the instances of all bags.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : None
            Ignored.

        Returns
        -------
        self : BagFisherVector
            The fitted transformer.
        """
        bags = validate_bags(self, X, reset=True)
        order, starts = canonical_order(bags.instances)
        if len(starts) == 1:
            raise ValueError(
                "BagFisherVector needs at least two distinct training instances, got "
                f"n_samples = 1: all {bags.n_instances} are equal. Check how the bags were made."
            )
        rows = as_rows(bags.instances[order])
        self.mean_, self.components_ = _principal_components(rows, self.pca_components)
        rows = self._shorten(rows)
        variance = rows.var(axis=0).max()
        mixture = GaussianMixture(
            n_components=min(self.n_components, _count_distinct(rows, np.sqrt(variance))),
            covariance_type="diag",
            reg_covar=self.reg_covar * variance,
            n_init=self.n_init,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        # With dispatch, scikit-learn refuses to start from k-means, even for NumPy's arrays.
        with config_context(array_api_dispatch=False):
            self.mixture_ = _in_canonical_order(mixture.fit(rows))
        self.n_iter_ = self.mixture_.n_iter_
        return self

    def transform(self, X):
        """Compute the Fisher vector of each bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        rows : ndarray of shape (n_bags, 2 * n_components * n_dimensions)
            One row per bag.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        if self.components_ is None:
            _refuse_sparse(bags.instances)
        rows = self._shorten(bags.instances)
        vectors = fisher_vectors(self.mixture_, rows, bags.offsets)
        vectors = normalize_rows(vectors, self.power, self.norm)
        return vectors.astype(bags.dtype, copy=False)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns, such as "mean0_pca0" or "std0_pca0".

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the features that come in, by default those seen in :meth:`fit`, or
            ``x0``, ``x1``, ... if there were none. They become part of the names if
            `pca_components` is None.

        Returns
        -------
        feature_names_out : ndarray of str of shape (2 * n_components * n_dimensions,)
            The names.
        """
        check_is_fitted(self)
        features = feature_names_in(self, input_features)
        if self.components_ is not None:
            features = [f"pca{j}" for j in range(len(self.components_))]
        names = [
            f"{part}{k}_{feature}"
            for part in ("mean", "std")
            for k in range(self.mixture_.n_components)
            for feature in features
        ]
        return np.array(names, dtype=object)

    def _shorten(self, rows):
        rows = as_rows(rows)
        if sp.issparse(rows):
            return rows @ self.components_.T - self.mean_ @ self.components_.T
        rows = rows - self.mean_
        return rows if self.components_ is None else rows @ self.components_.T

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.pca_components is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def fisher_vectors(mixture, rows, offsets):
    """Return the Fisher vector of each segment of rows under a mixture of Gaussians.

    Parameters
    ----------
    mixture : GaussianMixture
        The fitted mixture, with diagonal covariances.
    rows : ndarray of float64 of shape (n_rows, n_dimensions)
        All segments, one after the other.
    offsets : ndarray of int of shape (n_segments + 1,)
        Where the segments begin; none is empty.

    Returns
    -------
    vectors : ndarray of float64 of shape (n_segments, 2 * n_components * n_dimensions)
        The gradients of the mean log-likelihood with respect to the means, component by
        component, and to the standard deviations, divided by the square roots of the
        diagonal of the Fisher information.
    """
    belongs = mixture.predict_proba(rows)
    sizes = np.diff(offsets)[:, np.newaxis]
    of_means, of_deviations = [], []
    for k, weight in enumerate(mixture.weights_):
        steps = (rows - mixture.means_[k]) / np.sqrt(mixture.covariances_[k])
        share = belongs[:, [k]] / np.sqrt(weight)
        of_means.append(np.add.reduceat(share * steps, offsets[:-1]) / sizes)
        spread = share * (steps**2 - 1) / np.sqrt(2)
        of_deviations.append(np.add.reduceat(spread, offsets[:-1]) / sizes)
    return np.hstack(of_means + of_deviations)


def _principal_components(rows, n_kept):
    """Return the mean of the rows and their principal components, None for no analysis."""
    is_sparse = sp.issparse(rows)
    mean = np.asarray(rows.mean(axis=0)).ravel()
    if n_kept is None:
        _refuse_sparse(rows)
        return mean, None
    if not is_sparse:  # the solvers centre too, but on the squares, which costs digits
        rows = rows - mean
    if rows.shape[1] <= _MOST_IN_COVARIANCE:
        solver, most = "covariance_eigh", min(rows.shape)
    else:
        solver, most = "arpack", min(rows.shape) - 1
    if isinstance(n_kept, Integral):
        n_kept = min(n_kept, most)
    elif solver == "arpack":
        solver = "full"
        if is_sparse:
            raise ValueError(
                f"pca_components is {n_kept}, a share of the variance, which would take all "
                f"components of sparse bags with {rows.shape[1]} features. Give the number of "
                "components, for example 32."
            )
    # ARPACK starts with a random vector, which has no influence on what it finds.
    pca = PCA(n_kept, svd_solver=solver, random_state=0).fit(rows)
    variances = pca.explained_variance_
    return mean, pca.components_[variances > 1e-10 * variances[0]]


def _refuse_sparse(rows):
    if sp.issparse(rows):
        raise ValueError(
            "BagFisherVector with pca_components=None takes no sparse bags, as the mixture needs "
            "dense rows. Give the number of components, for example 32."
        )


def _count_distinct(rows, scale):
    """Count rows that differ by more than rounding."""
    return len(np.unique(np.round(rows / scale, 9), axis=0))


def _in_canonical_order(mixture):
    """Sort the Gaussians of a fitted mixture."""
    order, _ = canonical_order(mixture.means_)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        setattr(mixture, name, getattr(mixture, name)[order])
    return mixture
