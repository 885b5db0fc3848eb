"""MI-SVM and mi-SVM as a scikit-learn classifier."""

import warnings
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skmil._instances import as_rows, scale_gamma
from skmil._sklearn import Interval, StrOptions, fit_context
from skmil.base import (
    BagClassifierMixin,
    apply_class_weight,
    check_bag_weight,
    check_labels,
    encode_labels,
    validate_bags,
)
from skmil.svm._heuristics import HEURISTICS, alternate, best_instances, score_bags
from skmil.svm._solver import Solver, score_rows

__all__ = ["MISVMClassifier"]

#: What follows "The choice of ..." when a run ends in another way than it should.
_PROBLEMS = {
    "cycle": (
        "came back to an earlier one instead of settling, because some are equally good to the "
        "tolerance of the solver. The last one is used. Decrease tol, or scale the features, "
        "for example with InstanceTransformer."
    ),
    "max_iter": (
        "did not settle in {max_iter} iterations. The last one is used. Increase max_iter, or "
        "scale the features, for example with InstanceTransformer."
    ),
}


class MISVMClassifier(BagClassifierMixin, BaseEstimator):
    """Support vector machine that looks for the witnesses of the positive bags.

    A bag is positive if at least one of its instances is; with two classes, the positive
    one is the second of the sorted labels, such as 1, True or "yes". All instances of negative bags
    are negative, but which of a positive bag are positive is not known. Two heuristics
    of Andrews, Tsochantaridis and Hofmann [1]_ find out, by fitting a support vector
    machine to instances again and again:

    - **MI-SVM**, ``formulation="bag"``: one *witness* stands for each positive bag, at
      first the mean of its instances, then the instance with the highest score.
    - **mi-SVM**, ``formulation="instance"``: each instance of a positive bag has a label,
      at first positive, then the sign of its score; the highest scoring instance of a bag
      stays positive in any case.

    Both stop when the choice of witnesses or labels repeats itself. The score of a bag is
    the highest score of its instances.

    More than two classes are told apart one against the rest: a bag of a class holds at
    least one instance that no other class has.

    Parameters
    ----------
    formulation : {"bag", "instance"}, default="bag"
        "bag" for MI-SVM, "instance" for mi-SVM.
    kernel : {"rbf", "linear", "poly"} or callable, default="rbf"
        The kernel. A callable takes two instance matrices of shapes (n, n_features) and
        (m, n_features) and returns an array of shape (n, m).
    C : float, default=1.0
        Penalty of an instance on the wrong side of the margin. Must be positive.
    gamma : {"scale", "auto"} or float, default="scale"
        Coefficient of the "rbf" and "poly" kernels: "scale" means
        ``1 / (n_features * variance of the instances)``, "auto" ``1 / n_features``.
    degree : int, default=3
        Degree of the "poly" kernel.
    coef0 : float, default=0.0
        Constant of the "poly" kernel.
    max_iter : int, default=50
        Most support vector machines to fit, for each class if there are more than two.
    tol : float, default=1e-3
        Tolerance at which the solver of one support vector machine stops.
    class_weight : dict, "balanced" or None, default=None
        Factors of `C` by class, ``{label: factor}``. "balanced" makes them inversely
        proportional to the number (with `sample_weight`, the weight) of the bags of the
        class. None for no factors.
    cache_size : float, default=200.0
        Megabytes for values of the kernel while fitting. mi-SVM keeps those of all pairs of
        distinct instances where they fit, which takes 8 bytes for a pair: 200 are enough for
        5,000 instances. Else, and for MI-SVM always, they are computed as the solver asks
        for them, for each support vector machine anew.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted. Of two, ``classes_[1]`` is the positive one.
    estimators_ : list of SVC
        The fitted support vector machines: one if there are two classes, else one per
        class. Each was fitted to the distinct instances in an order of its own, so its
        `support_` does not index the training instances.
    witnesses_ : ndarray of int, shape (n_bags,) or (n_classes, n_bags)
        For each training bag the position in it of the instance that `estimators_` score
        highest. -1 for a bag that is not positive or has no weight. With more than two
        classes there is a row for each, in which the bags of the class are positive.
    n_iter_ : int or ndarray of int of shape (n_classes,)
        Number of support vector machines fitted; with more than two classes for each.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.

    See Also
    --------
    InstanceTransformer : Scale the features first; the kernels need it.
    BagStatistics : Make one row of a bag, for any classifier.

    Notes
    -----
    No iteration raises the objective that the support vector machine minimises. A choice
    can therefore come back only among those that are equally good to the tolerance of the
    solver; fitting then ends with the last one and a
    :class:`~sklearn.exceptions.ConvergenceWarning`.

    MI-SVM has one row for a positive bag and all rows of a negative one. ``"balanced"``
    counts bags, so it does not make up for that. With large bags and a small `C`, giving up
    every witness can cost least; no bag is then predicted to be positive. Increase `C`, or
    give the positive class a higher weight.

    Where `C` is large and the kernel separates all instances of positive bags from all of
    negative bags, mi-SVM has nothing to correct and stops after the first iteration: it is
    then a classifier of instances that carry the labels of their bags.

    The weight of a bag multiplies `C` for its instances. A bag of weight two is the same as
    two such bags, and a bag of weight zero the same as none, also for ``gamma="scale"`` and
    ``class_weight="balanced"``.

    Sparse instances stay sparse, except that a callable kernel decides for itself; fitted to
    dense instances, it gets others dense as well. With a callable kernel the solver holds the
    kernels of all pairs of the rows it is fitted to, whatever the `cache_size`; the memory for all
    other kernels does not grow with the square of the number of instances.

    References
    ----------
    .. [1] S. Andrews, I. Tsochantaridis and T. Hofmann, "Support vector machines for
       multiple-instance learning", Advances in Neural Information Processing Systems 15,
       pp. 577-584, 2002.

    Examples
    --------
    A bag is positive if one of its instances has both coordinates near one.

    >>> import numpy as np
    >>> from skmil.svm import MISVMClassifier
    >>> bags = [
    ...     np.array([[0.0, 0.1], [1.0, 0.9]]),
    ...     np.array([[1.1, 1.0], [0.1, 0.0], [0.0, 0.9]]),
    ...     np.array([[0.1, 0.0], [0.0, 1.0]]),
    ...     np.array([[1.0, 0.0]]),
    ... ]
    >>> y = [True, True, False, False]
    >>> model = MISVMClassifier(kernel="linear", C=10.0).fit(bags, y)
    >>> model.witnesses_
    array([ 1,  0, -1, -1])
    >>> model.predict([np.array([[0.0, 0.0], [1.0, 1.0]])])
    array([ True])

    The scores of instances are those of bags with one instance, which is what a 2-D array
    means:

    >>> model.decision_function(bags[1]) > 0
    array([ True, False, False])
    """

    _parameter_constraints: ClassVar[dict] = {
        "formulation": [StrOptions(set(HEURISTICS))],
        "kernel": [StrOptions({"rbf", "linear", "poly"}), callable],
        "C": [Interval(Real, 0.0, None, closed="neither")],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0.0, None, closed="neither")],
        "degree": [Interval(Integral, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "cache_size": [Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        formulation="bag",
        kernel="rbf",
        C=1.0,
        gamma="scale",
        degree=3,
        coef0=0.0,
        max_iter=50,
        tol=1e-3,
        class_weight=None,
        cache_size=200.0,
    ):
        self.formulation = formulation
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight
        self.cache_size = cache_size

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Find the witnesses and fit the support vector machine.

        Parameters
        ----------
        X : bags
            Training bags, see :func:`skmil.check_bags`.
        y : array-like of shape (n_bags,)
            Class labels of the bags.
        sample_weight : array-like of shape (n_bags,), default=None
            Weights of the bags, >= 0; None for equal weights.

        Returns
        -------
        self : MISVMClassifier
            The fitted classifier.
        """
        bags = validate_bags(self, X, reset=True)
        y = check_labels(self, y, bags)
        weight = check_bag_weight(sample_weight, bags.n_bags)
        present = np.flatnonzero(weight)
        bags, weight = _with_svm_rows(bags[present]), weight[present]
        self._fitted_to_dense = not sp.issparse(bags.instances)
        self.classes_, codes = encode_labels(y[present])

        heuristic = HEURISTICS[self.formulation]
        solver = Solver(heuristic.table(bags))
        self._configure(solver, bags, weight)
        weight = apply_class_weight(self.class_weight, self.classes_, codes, weight)
        targets = [1] if len(self.classes_) == 2 else range(len(self.classes_))
        witnesses = np.full((len(targets), len(y)), -1)
        runs = []
        for row, k in zip(witnesses, targets, strict=True):
            run = alternate(heuristic, solver, bags, codes == k, weight, self.max_iter)
            _warn_unless_converged(run, self.formulation, self.max_iter)
            offsets = np.concatenate([[0], np.cumsum(bags.bag_sizes[codes == k])])
            row[present[codes == k]] = best_instances(run.scores, offsets)
            runs.append(run)

        n_iter = np.array([run.n_iter for run in runs])
        self.estimators_ = [run.model for run in runs]
        self.witnesses_ = witnesses[0] if len(runs) == 1 else witnesses
        self.n_iter_ = int(n_iter[0]) if len(runs) == 1 else n_iter
        return self

    def decision_function(self, X):
        """Return the score of each bag: the highest of its instances.

        Parameters
        ----------
        X : bags
            Bags; the rows of a 2-D array are bags of one instance, so that its scores are
            the scores of the instances.

        Returns
        -------
        scores : ndarray of shape (n_bags,) or (n_bags, n_classes)
            With two classes the score of ``classes_[1]``, above zero where it is predicted.
            With more, the score of each class against the rest.
        """
        check_is_fitted(self)
        bags = _with_svm_rows(validate_bags(self, X))
        of_instances = [
            score_rows(svc, bags.instances, self._fitted_to_dense) for svc in self.estimators_
        ]
        scores = [score_bags(row, bags.offsets) for row in of_instances]
        return scores[0] if len(scores) == 1 else np.column_stack(scores)

    def _configure(self, solver, bags, weight):
        """Hand the parameters to the solver, after the weights that `gamma` depends on."""
        gamma = self.gamma
        if self.kernel == "linear":
            gamma = 1.0  # of no influence
        elif gamma == "scale":
            ids = solver.ids[: bags.n_instances]  # without the means of bags
            counts = np.bincount(ids, np.repeat(weight, bags.bag_sizes))
            present = np.flatnonzero(counts)
            gamma = scale_gamma(solver.rows[present], counts[present])
        solver.configure(
            kernel=self.kernel,
            C=self.C,
            gamma=gamma,
            degree=self.degree,
            coef0=self.coef0,
            tol=self.tol,
            cache_size=self.cache_size,
            # MI-SVM looks at few of the kernels.
            keep_gram=self.formulation == "instance",
        )


def _with_svm_rows(bags):
    return bags.replace_instances(as_rows(bags.instances), feature_names=bags.feature_names)


def _warn_unless_converged(run, formulation, max_iter):
    if run.outcome == "converged":
        return
    subject = {"bag": "The choice of witnesses", "instance": "The choice of instance labels"}
    problem = _PROBLEMS[run.outcome].format(max_iter=max_iter)
    warnings.warn(f"{subject[formulation]} {problem}", ConvergenceWarning, stacklevel=4)
