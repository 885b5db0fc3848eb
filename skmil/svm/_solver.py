"""Weighted support vector machines on choices of the same rows, fitted in a reproducible way."""

import numpy as np
import scipy.sparse as sp
from sklearn import config_context
from sklearn.svm import SVC
from sklearn.utils import gen_batches

from skmil._instance_kernel import InstanceKernel
from skmil._instances import choose_gamma, number_rows

__all__ = ["Solver", "score_rows"]

#: So many rows are compared with so many support vectors at a time: 16 MB of float64.
_BLOCK_ROWS, _BLOCK_VECTORS = 1024, 2048


class Solver:
    """Fits support vector machines to weighted choices of the rows of one table.

    Rows of equal values and label are merged into one with the sum of their weights. For a
    support vector machine this changes nothing: two copies of a row with weights ``a`` and
    ``b`` cost as much as one with weight ``a + b``. It does make the numbers reproducible,
    because the order of the merged rows follows from the rows alone, and SVC, which stops at
    a tolerance, depends on the order of its rows.

    Parameters
    ----------
    table : ndarray or CSR array of float64 of shape (n_rows, n_features)
        The rows to choose from.

    Attributes
    ----------
    rows : ndarray or CSR array of float64 of shape (n_distinct, n_features)
        The distinct rows.
    ids : ndarray of int of shape (n_rows,)
        Which of them each row of the table is.
    """

    def __init__(self, table):
        first, self.ids = number_rows(table)
        self.rows = table[first]
        self._params = {}
        self._gram = None

    def configure(self, *, cache_size, keep_gram, **params):
        """Say what to fit.

        Parameters
        ----------
        cache_size : float
            Megabytes for values of the kernel.
        keep_gram : bool
            Whether to compute the kernels of all pairs of distinct rows once, provided that
            they fit into `cache_size`. It pays where most rows take part in every fit.
        **params : dict
            Parameters of :class:`sklearn.svm.SVC`, with `gamma` as a number.
        """
        self._params = {"cache_size": cache_size, **params}
        self._gram = None
        megabytes = 8e-6 * self.rows.shape[0] ** 2
        if keep_gram and megabytes <= cache_size:
            self._gram = _gram(_kernel(params, self.rows), self.rows)
            self._gram_params = {
                **self._params,
                "kernel": "precomputed",
                "cache_size": max(1.0, cache_size - megabytes),
            }

    def fit(self, chosen, labels, weight):
        """Fit a model for :meth:`score`, by the kept kernels where there are any.

        Parameters
        ----------
        chosen : ndarray of int of shape (n_chosen,)
            Rows of the table.
        labels : ndarray of int of shape (n_chosen,)
            -1 or 1, each at least once.
        weight : ndarray of float of shape (n_chosen,)
            Positive factors of the penalty `C`.

        Returns
        -------
        svc : SVC
            The fitted classifier.
        """
        ids, labels, weight = self._merge(chosen, labels, weight)
        if self._gram is None or not np.array_equal(np.sort(ids), np.arange(len(self._gram))):
            return _fit(self._params, self.rows[ids], labels, weight)
        order = np.argsort(ids)
        with config_context(assume_finite=True):  # else each fit would look through the kernels
            return _fit(self._gram_params, self._gram, labels[order], weight[order])

    def fit_to_features(self, chosen, labels, weight, svc):
        """Return the classifier of rows that `svc`, fitted to the same, stands for.

        Parameters
        ----------
        chosen, labels, weight : ndarray of shape (n_chosen,)
            What :meth:`fit` got.
        svc : SVC
            What it returned.

        Returns
        -------
        svc : SVC
            The same where it takes rows, else another fit.
        """
        if svc.kernel != "precomputed":
            return svc
        ids, labels, weight = self._merge(chosen, labels, weight)
        return _fit(self._params, self.rows[ids], labels, weight)

    def score(self, svc, chosen):
        """Return the scores of rows of the table, exactly equal ones for equal rows.

        Parameters
        ----------
        svc : SVC
            A fitted classifier, of this solver.
        chosen : ndarray of int of shape (n_chosen,)
            Rows of the table.

        Returns
        -------
        scores : ndarray of float64 of shape (n_chosen,)
            Above zero on the positive side.
        """
        ids, inverse = np.unique(self.ids[chosen], return_inverse=True)
        if svc.kernel != "precomputed":
            return score_rows(svc, self.rows[ids])[inverse]
        scores = np.full(len(self._gram), svc.intercept_[0])
        for part in gen_batches(len(svc.support_), _BLOCK_ROWS):
            scores += svc.dual_coef_[0, part] @ self._gram[svc.support_[part]]
        return scores[ids][inverse]

    def _merge(self, chosen, labels, weight):
        """Return the ids, the labels and the weights of the merged rows, sorted by label."""
        keys = labels.astype(np.int64) * len(self.ids) + self.ids[chosen]
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        return self.ids[chosen[first]], labels[first], np.bincount(group, weights=weight)


def score_rows(svc, rows, dense=False):
    """Return the scores of rows under a fitted classifier of two classes.

    The same as its `decision_function`, but a block at a time, so that the kernels of all
    rows with all support vectors are never held, in a fraction of the time, and of rows of
    any storage.

    Parameters
    ----------
    svc : SVC
        The fitted classifier.
    rows : ndarray or CSR array of float64 of shape (n_rows, n_features)
        Rows.
    dense : bool, default=False
        Whether a callable kernel was fitted to dense rows, and so gets such.

    Returns
    -------
    scores : ndarray of float64 of shape (n_rows,)
        Above zero on the side of the second class.
    """
    if callable(svc.kernel):  # keeps no support vectors
        blocks = (rows[part] for part in gen_batches(rows.shape[0], _BLOCK_ROWS))
        if dense and sp.issparse(rows):
            blocks = (block.toarray() for block in blocks)
        return np.concatenate([svc.decision_function(block) for block in blocks])
    vectors = svc.support_vectors_
    compare = _kernel(svc.get_params(), vectors).blocks(rows, vectors)
    scores = np.full(rows.shape[0], svc.intercept_[0])
    dual = svc.dual_coef_.toarray()[0] if sp.issparse(svc.dual_coef_) else svc.dual_coef_[0]
    for part in gen_batches(rows.shape[0], _BLOCK_ROWS):
        for some in gen_batches(vectors.shape[0], _BLOCK_VECTORS):
            scores[part] += compare(part, some) @ dual[some]
    return scores


def _fit(params, rows, labels, weight):
    # The solver draws no numbers, but SVC asks for a seed; None would advance NumPy's global one.
    return SVC(random_state=0, **params).fit(rows, labels, sample_weight=weight)


def _kernel(params, rows):
    gamma = choose_gamma(params["gamma"], rows)
    return InstanceKernel(params["kernel"], gamma, params["degree"], params["coef0"])


def _gram(kernel, rows):
    """Return the kernels of all pairs of rows, computed in blocks."""
    n_rows = rows.shape[0]
    gram = np.empty((n_rows, n_rows))
    compare = kernel.blocks(rows, rows)
    for part in gen_batches(n_rows, _BLOCK_ROWS):
        for other in gen_batches(n_rows, _BLOCK_VECTORS):
            gram[part, other] = compare(part, other)
    return gram
