"""One row of statistics per bag."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmil._sklearn import feature_names_in, fit_context
from skmil.base import BagEstimatorMixin, validate_bags
from skmil.embedding._segments import dense_statistics, sparse_statistics

__all__ = ["BagStatistics"]

_BY_COLUMN = ("mean", "std", "min", "max", "sum")
_AVAILABLE = (*_BY_COLUMN, "size")


class BagStatistics(BagEstimatorMixin, TransformerMixin, BaseEstimator):
    """Turn each bag into one row: statistics of its instances, feature by feature.

    The simplest embedding of bags. The rows go into any scikit-learn estimator, and do not
    depend on the order of the instances.

    Parameters
    ----------
    statistics : list or tuple of str, default=("mean", "std", "min", "max")
        Which statistics make up the row, and in which order:

        - "mean", "sum", "min", "max": of each feature;
        - "std": standard deviation of each feature, dividing by the number of instances,
          so zero in a bag of one;
        - "size": the number of instances, one column.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    InstanceTransformer : Transforms instances and keeps bags.

    Notes
    -----
    Sums are accumulated in float64. The result has the type of the instances, float32 or
    float64: one rounding at the end is no worse than the rounding of the input.

    Sparse bags give a sparse result and are never made dense. Values that are not stored
    count as zeros in every statistic.

    Examples
    --------
    >>> import numpy as np
    >>> from skmil.embedding import BagStatistics
    >>> bags = [np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[4.0, 6.0]])]
    >>> embedding = BagStatistics(statistics=["mean", "max", "size"]).fit(bags)
    >>> embedding.transform(bags)
    array([[2., 5., 3., 5., 2.],
           [4., 6., 4., 6., 1.]])
    >>> embedding.get_feature_names_out()
    array(['mean_x0', 'mean_x1', 'max_x0', 'max_x1', 'size'], dtype=object)

    In front of a classifier of rows:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> model = make_pipeline(BagStatistics(), SVC()).fit(bags, ["no", "yes"])
    >>> model.predict(bags)
    array(['no', 'yes'], dtype='<U3')
    """

    _reads_stored_bags = True
    _parameter_constraints: ClassVar[dict] = {"statistics": [list, tuple]}

    def __init__(self, statistics=("mean", "std", "min", "max")):
        self.statistics = statistics

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters and remember the features. Nothing is learnt.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : None
            Ignored.

        Returns
        -------
        self : BagStatistics
            The fitted transformer.
        """
        _check_statistics(self.statistics)
        validate_bags(self, X, reset=True)
        return self

    def transform(self, X):
        """Compute the statistics of each bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        rows : ndarray or CSR matrix of shape (n_bags, n_features_out)
            One row per bag; sparse if the bags are.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        is_sparse = sp.issparse(bags.instances)
        compute = sparse_statistics if is_sparse else dense_statistics
        names = [name for name in self.statistics if name != "size"]
        tables = compute(bags.instances, bags.offsets, names)
        if "size" in self.statistics:
            sizes = bags.bag_sizes[:, np.newaxis].astype(np.float64)
            tables["size"] = type(bags.instances)(sizes) if is_sparse else sizes
        ordered = [tables[name] for name in self.statistics]
        if is_sparse:  # SciPy 1.11 stacks arrays to a matrix
            rows = type(bags.instances)(sp.hstack(ordered, format="csr"))
        else:
            rows = np.hstack(ordered)
        return rows.astype(bags.dtype, copy=False)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns, such as "mean_x0" or "mean_energy".

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the features that come in; by default those seen in :meth:`fit`, or
            ``x0``, ``x1``, ... if there were none.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features_out,)
            The names.
        """
        check_is_fitted(self)
        features = feature_names_in(self, input_features)
        names = []
        for statistic in self.statistics:
            if statistic == "size":
                names.append("size")
            else:
                names.extend(f"{statistic}_{feature}" for feature in features)
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_statistics(statistics):
    if len(statistics) == 0:
        raise ValueError(f"statistics is empty. Name at least one of {list(_AVAILABLE)}.")
    for name in statistics:
        if name not in _AVAILABLE:
            raise ValueError(f"statistics has {name!r}; choose from {list(_AVAILABLE)}.")
    if len(set(statistics)) < len(statistics):
        raise ValueError(f"statistics names one twice: {list(statistics)}. Leave one out.")
