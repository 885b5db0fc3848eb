"""Any scikit-learn transformer, applied to the instances of bags."""

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, has_fit_parameter

from skmil._sklearn import HasMethods, feature_names_in, fit_context
from skmil.bags import Bags, check_bags
from skmil.base import BagEstimatorMixin, check_bag_weight, validate_bags, with_matrix

__all__ = ["InstanceTransformer"]


def _transformer_has(name):
    return lambda self: hasattr(_chosen(self.transformer), name)


class InstanceTransformer(
    BagEstimatorMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Apply a scikit-learn transformer to the instances of bags.

    The transformer is fitted to the instances of all training bags stacked into one
    matrix, and then transforms instance by instance. Bags stay bags of the same sizes, so
    a pipeline can scale or project instances before a bag classifier.

    Parameters
    ----------
    transformer : transformer or None, default=None
        Any scikit-learn transformer that returns one row per row, as scaling,
        selection and projection do; a clone of it is fitted. None means
        :class:`~sklearn.preprocessing.StandardScaler` with its defaults.

    Attributes
    ----------
    transformer_ : transformer
        The transformer fitted to the training instances.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    BagStatistics : Turns each bag into one row.
    sklearn.pipeline.make_pipeline : Chains transformers and a classifier.

    Notes
    -----
    A large bag counts more than a small one in what the transformer learns, as it has more
    rows. What comes in as a table goes out as a table: a 2-D array, n bags of one instance,
    gives a 2-D array. There is no ``set_output``, since bags are no data frame, and missing
    values are refused before the transformer sees them. As from other transformers, the
    result has no feature names, these come from :meth:`get_feature_names_out`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skmil.compose import InstanceTransformer
    >>> from skmil.svm import MISVMClassifier
    >>> bags = [np.array([[0.0, 100.0], [1.0, 300.0]]), np.array([[2.0, 200.0]])]
    >>> scaled = InstanceTransformer(MinMaxScaler()).fit_transform(bags)
    >>> scaled
    Bags(2 bags, 3 instances, 2 features, float64)
    >>> scaled[0]
    array([[0. , 0. ],
           [0.5, 1. ]])

    In a pipeline, parameters of the transformer are reached through its name:

    >>> model = make_pipeline(InstanceTransformer(MinMaxScaler()), MISVMClassifier())
    >>> model = model.set_params(instancetransformer__transformer__clip=True)
    >>> model.fit(bags, [0, 1]).predict(bags)
    array([0, 1])
    """

    _parameter_constraints: ClassVar[dict] = {
        "transformer": [HasMethods(["fit", "transform"]), None]
    }

    def __init__(self, transformer=None):
        self.transformer = transformer

    # The transformer validates its own parameters.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the transformer to the instances of all bags.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : array-like of shape (n_bags,) or (n_bags, n_outputs), default=None
            Targets of the bags. The transformer gets the target of the bag for each
            instance.
        sample_weight : array-like of shape (n_bags,), default=None
            Weights of the bags. The transformer gets the weight of the bag for each
            instance. Not every transformer takes weights.

        Returns
        -------
        self : InstanceTransformer
            The fitted transformer.
        """
        bags = validate_bags(self, X, reset=True)
        transformer = clone(_chosen(self.transformer))
        if y is not None:
            check_consistent_length(bags, y)
            y = np.asarray(y)[bags.bag_index]
        weights = {}
        if sample_weight is not None:
            if not has_fit_parameter(transformer, "sample_weight"):
                raise ValueError(
                    "sample_weight was given, but the fit method of "
                    f"{type(transformer).__name__} does not take it. Leave it out or choose "
                    "a transformer that can weigh instances."
                )
            weight = check_bag_weight(sample_weight, bags.n_bags)
            weights["sample_weight"] = np.repeat(weight, bags.bag_sizes)
        self.transformer_ = transformer.fit(bags.instances, y, **weights)
        return self

    def transform(self, X):
        """Transform the instances of each bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        bags : Bags of n_bags bags, or ndarray or CSR matrix of shape (n, n_features_out)
            The bags with transformed instances; a table if `X` is one.
        """
        check_is_fitted(self)
        bags = validate_bags(self, X)
        return _like(X, bags, self.transformer_.transform(bags.instances))

    @available_if(_transformer_has("inverse_transform"))
    def inverse_transform(self, X):
        """Transform the instances of each bag back.

        Only if the transformer has this method.

        Parameters
        ----------
        X : bags
            Bags with the features that :meth:`transform` returns.

        Returns
        -------
        bags : Bags of n_bags bags, or ndarray or CSR matrix of shape (n, `n_features_in_`)
            The bags with the original features; a table if `X` is one.
        """
        check_is_fitted(self)
        bags = with_matrix(check_bags(X))
        return _like(X, bags, self.transformer_.inverse_transform(bags.instances))

    @available_if(_transformer_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features=None):
        """Return the names of the features that :meth:`transform` returns.

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
        names = feature_names_in(self, input_features)
        return self.transformer_.get_feature_names_out(names)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(_chosen(self.transformer))
        # The default scaler centres, so it takes no sparse matrix; not every release says so.
        tags.input_tags.sparse = inner.input_tags.sparse and self.transformer is not None
        tags.target_tags.required = inner.target_tags.required
        if inner.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = inner.transformer_tags.preserves_dtype
        return tags


def _chosen(transformer):
    return StandardScaler() if transformer is None else transformer


def _like(X, bags, rows):
    """Return the transformed rows of the bags as a table if `X` was one, else as bags."""
    if hasattr(rows, "to_numpy"):  # a data frame
        rows = rows.to_numpy()
    rows = rows.tocsr() if sp.issparse(rows) else np.asarray(rows)
    if rows.ndim != 2 or rows.shape[0] != bags.n_instances:
        raise ValueError(
            f"The transformer made an array of shape {rows.shape} of {bags.n_instances} "
            "instances. It must return one row per instance, so that bags keep their sizes."
        )
    return rows if _is_table(X) else bags.replace_instances(rows)


def _is_table(X):
    """Return whether checked input was a 2-D table, rather than a collection of bags."""
    if isinstance(X, Bags):
        return False
    if isinstance(X, (list, tuple)):
        return _ndim(X[0]) == 1
    return _ndim(X) == 2


def _ndim(data):
    return data.ndim if hasattr(data, "ndim") else np.asarray(data).ndim
