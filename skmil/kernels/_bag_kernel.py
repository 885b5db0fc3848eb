"""The Gram matrix of bags as a scikit-learn transformer."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmil._instance_kernel import InstanceKernel
from skmil._instances import choose_gamma
from skmil._sklearn import Interval, StrOptions, fit_context
from skmil.base import BagEstimatorMixin, split_by_bag, validate_bags
from skmil.kernels._graph import graph_weights
from skmil.kernels._norms import divide, norms
from skmil.kernels._sums import WeightedBags, self_sums, sums, symmetric_sums

__all__ = ["BagKernel"]

#: The normalisation that the publication of each method uses.
_NORMALIZATIONS = {"set": "feature_space", "graph": "average"}


class BagKernel(
    ClassNamePrefixFeaturesOutMixin, BagEstimatorMixin, TransformerMixin, BaseEstimator
):
    r"""Compare each bag with each training bag, by a kernel between sets of instances.

    The result is a Gram matrix, for estimators that take a precomputed kernel:
    ``make_pipeline(BagKernel(), SVC(kernel="precomputed"))``. The kernel of the bags A and
    B is the sum over all pairs of their instances

    .. math::

       k(A, B) = \sum_{a \in A} \sum_{b \in B} w_a w_b \, k_I(a, b)^p

    of a kernel :math:`k_I` between instances, with factors :math:`w`, and then normalised.
    The factors do not sum to 1 in a bag; :meth:`instance_weights` returns them divided by
    their sum. There are two methods:

    - **MI-Kernel**, ``method="set"``: the normalised set kernel of Gärtner, Flach,
      Kowalczyk and Smola [1]_. All factors are one.
    - **miGraph**, ``method="graph"``: the second and faster of the two methods of Zhou, Sun
      and Li [2]_, in many tables called mi-Graph. In each bag an edge joins two instances
      whose distance is smaller than a threshold. The factor of an instance is one over the
      number of its neighbours, itself included, so that many instances of a kind count
      little more than one.

    Parameters
    ----------
    method : {"set", "graph"}, default="set"
        "set" for MI-Kernel, "graph" for miGraph.
    kernel : {"rbf", "linear", "poly"} or callable, default="rbf"
        The kernel between instances. A callable takes two instance matrices of shapes
        (n, n_features) and (m, n_features), which are parts of the bags, sparse if these
        are, and returns an array of shape (n, m). It must be symmetric and positive
        semi-definite, and its values may depend on nothing but the two instances.
    gamma : {"scale", "auto"} or float, default="scale"
        Coefficient of the "rbf" and "poly" kernels: "scale" means
        ``1 / (n_features * variance of the training instances)``, "auto"
        ``1 / n_features``.
    degree : int, default=3
        Degree of the "poly" kernel.
    coef0 : float, default=0.0
        Constant of the "poly" kernel. Below zero the kernel may not be positive
        semi-definite.
    power : int, default=1
        The power p. A high one lets the most similar instances decide. For "rbf" it is the
        same as a multiple of `gamma`.
    normalization : {"auto", "feature_space", "average"} or None, default="auto"
        How large and small bags are made comparable:

        - "feature_space": divide by :math:`\sqrt{k(A, A) \, k(B, B)}`, so that the kernel
          of a bag with itself is 1;
        - "average": divide by the sums of the weights of A and of B, for ``method="set"``
          by the numbers of instances;
        - None: do not;
        - "auto": as published, "feature_space" for "set" and "average" for "graph".
    threshold : "average" or float, default="average"
        Below which distance an edge joins two instances, for ``method="graph"``. "average"
        is the mean distance of two instances of the same bag, for each bag its own.

    Attributes
    ----------
    bags_ : Bags
        The training bags, in the order of the columns of the Gram matrix. They share the
        memory of the bags given to :meth:`fit` where these are :class:`Bags` already.
    gamma_ : float
        The coefficient of the kernel; 1.0 for "linear", which has none.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    InstanceTransformer : Scale the features first; the kernels need it.
    BagStatistics : Make one row of a bag, at a cost that does not grow with the training set.
    sklearn.svm.SVC : Takes the Gram matrix with ``kernel="precomputed"``.

    Notes
    -----
    The distance of two instances is half of the squared distance that the kernel sees,
    :math:`(k_I(a, a) + k_I(b, b)) / 2 - k_I(a, b)`, of the kernel to the power p. For "rbf"
    that is :math:`1 - k_I(a, b)`, the Gaussian distance of the publication, and for "linear"
    half of the squared Euclidean distance. Implementations differ in whether the average
    counts the zero distance of an instance from itself. Here it does not. A distance that
    equals the threshold, to rounding, makes no edge. So with the average all weights are one in
    a bag of one or two instances.

    If the sum of a bag vanishes, as for a bag of zeros with ``kernel="linear"``, there is no
    direction to normalise in the feature space. The normalised kernel of this bag with
    all bags is then defined as 0, also with itself. A sum counts as vanished if its norm is
    below a millionth of the sum of the norms, because rounding would decide the direction.

    Pairs of instances are compared block by block, so the memory needed grows with the number
    of pairs of bags and not with that of pairs of instances. All sums are computed in
    float64, also for instances of float32. With ``kernel="linear"`` and ``power=1`` the
    instances of different bags are not compared at all, because the sum of the kernels is the
    kernel of the sums. Sparse instances stay sparse.

    :meth:`fit_transform` compares each pair of training bags only once, and so takes about
    half of the time of :meth:`fit` and :meth:`transform`.

    References
    ----------
    .. [1] T. Gärtner, P. A. Flach, A. Kowalczyk and A. J. Smola, "Multi-instance kernels",
       Proceedings of the 19th International Conference on Machine Learning, pp. 179-186,
       2002.

    .. [2] Z.-H. Zhou, Y.-Y. Sun and Y.-F. Li, "Multi-instance learning by treating instances
       as non-I.I.D. samples", Proceedings of the 26th International Conference on Machine
       Learning, pp. 1249-1256, 2009. :doi:`10.1145/1553374.1553534`

    Examples
    --------
    With the linear kernel, not normalised, it is the product of the sums of the instances:

    >>> import numpy as np
    >>> from skmil.kernels import BagKernel
    >>> bags = [np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([[0.0, 4.0]])]
    >>> BagKernel(kernel="linear", normalization=None).fit_transform(bags)
    array([[10.,  4.],
           [ 4., 16.]])
    >>> BagKernel(kernel="linear").fit_transform(bags).round(3)
    array([[1.   , 0.316],
           [0.316, 1.   ]])

    In front of a support vector machine:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> model = make_pipeline(BagKernel(), SVC(kernel="precomputed"))
    >>> model.fit(bags, ["no", "yes"]).predict(bags)
    array(['no', 'yes'], dtype='<U3')

    Two instances that are close to each other share their weight:

    >>> bag = np.array([[0.0], [0.1], [5.0]])
    >>> BagKernel(method="graph", gamma=1.0).fit([bag]).instance_weights([bag])
    [array([0.25, 0.25, 0.5 ])]
    """

    _parameter_constraints: ClassVar[dict] = {
        "method": [StrOptions({"set", "graph"})],
        "kernel": [StrOptions({"rbf", "linear", "poly"}), callable],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0.0, None, closed="neither")],
        "degree": [Interval(Integral, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "power": [Interval(Integral, 1, None, closed="left")],
        "normalization": [StrOptions({"auto", "feature_space", "average"}), None],
        "threshold": [StrOptions({"average"}), Interval(Real, 0.0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        method="set",
        kernel="rbf",
        gamma="scale",
        degree=3,
        coef0=0.0,
        power=1,
        normalization="auto",
        threshold="average",
    ):
        self.method = method
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.power = power
        self.normalization = normalization
        self.threshold = threshold

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
        self : BagKernel
            The fitted transformer.
        """
        bags = self._remember(X)
        self._norms = self._norms_of(bags)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Remember the training bags and compare them with one another.

        Parameters
        ----------
        X : bags
            Training bags.
        y : None
            Ignored.

        Returns
        -------
        K : ndarray of float64 of shape (n_bags, n_bags)
            The Gram matrix, symmetric.
        """
        bags = self._remember(X)
        gram = symmetric_sums(self._kernel, bags)
        self._norms = self._norms_of(bags, gram.diagonal())
        return divide(gram, self._norms, self._norms)

    def transform(self, X):
        """Compare each bag with each training bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        K : ndarray of float64 of shape (n_bags, n_training_bags)
            The Gram matrix.
        """
        check_is_fitted(self)
        bags = self._weigh(_in_rows(validate_bags(self, X)))
        gram = sums(self._kernel, bags, WeightedBags(self.bags_, self._weight))
        return divide(gram, self._norms_of(bags), self._norms)

    def instance_weights(self, X):
        """Return the share of each instance in the sum of its bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        weights : list of ndarray of shape (n_instances,)
            One array per bag, which sums to 1; all equal for ``method="set"``.
        """
        check_is_fitted(self)
        bags = self._weigh(_in_rows(validate_bags(self, X)))
        return split_by_bag(bags.weight / np.repeat(bags.totals(), bags.bags.bag_sizes), bags.bags)

    def _remember(self, X):
        """Set what is learnt but for the norms, and return the training bags with weights."""
        bags = _in_rows(validate_bags(self, X, reset=True))
        self.bags_ = bags
        # The linear kernel has no coefficient, and "scale" would look at all instances for one.
        self.gamma_ = 1.0 if self.kernel == "linear" else choose_gamma(self.gamma, bags.instances)
        self._kernel = InstanceKernel(self.kernel, self.gamma_, self.degree, self.coef0, self.power)
        # Kept from here on, whatever the parameters are set to after fit.
        self._threshold = self.threshold if self.method == "graph" else None
        self._normalization = self.normalization
        if self.normalization == "auto":
            self._normalization = _NORMALIZATIONS[self.method]
        self._n_features_out = bags.n_bags
        weighted = self._weigh(bags)
        self._weight = weighted.weight
        return weighted

    def _weigh(self, bags):
        if self._threshold is None:
            return WeightedBags(bags, np.ones(bags.n_instances))
        return WeightedBags(bags, graph_weights(self._kernel, bags, self._threshold))

    def _norms_of(self, bags, sums=None):
        """Return the divisors of the bags, given their sums with themselves if at hand."""
        if self._normalization is None:
            return np.ones(bags.bags.n_bags)
        if self._normalization == "average":
            return bags.totals()
        sums = self_sums(self._kernel, bags) if sums is None else sums
        return norms(self._kernel, bags, sums)


def _in_rows(bags):
    """Return bags whose dense instances lie row by row: the order decides how sums round."""
    if sp.issparse(bags.instances):
        return bags
    rows = np.ascontiguousarray(bags.instances)
    return bags.replace_instances(rows, feature_names=bags.feature_names)
