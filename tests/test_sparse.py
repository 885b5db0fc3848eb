"""No estimator makes sparse bags dense as a whole; the estimators are discovered.

Caught are the conversions that SciPy has, and, whichever way it is done, the memory that a dense
copy of the instances would take.
"""

import tracemalloc
from contextlib import contextmanager
from functools import wraps

import numpy as np
import pytest
import scipy.sparse as sp
from estimators import is_neural, public_classifiers, public_estimators, seeded
from real_data import path_of
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags

from skmil import (
    Bags,
    BagStatistics,
    InstanceTransformer,
    MISVMClassifier,
    SingleInstanceClassifier,
)
from skmil.datasets import read_npz

METHODS = ("predict", "predict_proba", "decision_function", "transform", "instance_weights")
CONTAINERS = [
    getattr(sp, f"{form}_{kind}")
    for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    for kind in ("array", "matrix")
]


class MadeDenseError(AssertionError):
    """Raised in place of a dense matrix that is too large."""


@contextmanager
def dense_at_most(n_cells):
    """Let each conversion of a sparse matrix to a dense one of more than `n_cells` raise."""

    def guarded(convert):
        @wraps(convert)
        def refuse_or_convert(self, *args, **kwargs):
            if np.prod(self.shape) > n_cells:
                raise MadeDenseError(f"{type(self).__name__} of {self.shape} was made dense")
            return convert(self, *args, **kwargs)

        return refuse_or_convert

    with pytest.MonkeyPatch.context() as patch:
        for Container in CONTAINERS:
            for name in ("toarray", "todense"):
                patch.setattr(Container, name, guarded(getattr(Container, name)))
        yield


@contextmanager
def allocated_at_most(n_bytes):
    """Raise if Python and NumPy held more than `n_bytes` of new memory at some time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak > n_bytes:
        raise MadeDenseError(f"{peak} bytes were allocated, {n_bytes} are allowed")


@contextmanager
def never_dense(bags, cells=0.25, memory=0.5):
    """Allow parts of a dense float64 copy of the instances: of its cells, of its memory."""
    n_cells = np.prod(bags.instances.shape)
    with dense_at_most(cells * n_cells), allocated_at_most(memory * 8 * n_cells):
        yield


def make_sparse(n_bags, bag_size, n_features, n_stored=20):
    """Return CSR bags with `n_stored` values a row; those of positive bags have one more."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(bag_size // 2, bag_size * 3 // 2, size=n_bags)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    y = np.arange(n_bags) % 2
    columns = rng.integers(2, n_features, size=(offsets[-1], n_stored))
    columns[:, 0] = np.repeat(y, sizes)  # feature 1 says what feature 0 denies
    values = rng.uniform(0.5, 1.5, size=columns.shape)
    rows = np.repeat(np.arange(offsets[-1]), n_stored)
    shape = (int(offsets[-1]), n_features)
    matrix = sp.csr_array((values.ravel(), (rows, columns.ravel())), shape=shape)
    # Longer indices than the solvers of scikit-learn take; many arrays of SciPy have such.
    matrix.indices, matrix.indptr = (x.astype(np.int64) for x in (matrix.indices, matrix.indptr))
    return Bags(matrix, offsets), y


@pytest.fixture(scope="module")
def wide():
    # Wide enough that everything else, also a table with many numbers for each feature, or
    # for each pair of instances, is small beside the dense instances of 128 MB.
    return make_sparse(n_bags=20, bag_size=40, n_features=20_000)


def takes_sparse(estimator):
    return get_tags(estimator).input_tags.sparse


def use(estimator, bags):
    """Call every method that takes bags."""
    names = [name for name in METHODS if hasattr(estimator, name)]
    assert names
    for name in names:
        result = getattr(estimator, name)(bags)
        assert (result.shape[0] if hasattr(result, "shape") else len(result)) == len(bags)


SPARSE = [Estimator for Estimator in public_estimators() if takes_sparse(seeded(Estimator))]
CLASSICAL = [seeded(Estimator) for Estimator in SPARSE if not is_neural(Estimator)]
CLASSICAL += [
    InstanceTransformer(MaxAbsScaler()),
    SingleInstanceClassifier(LinearSVC(random_state=0), aggregation="max"),
    MISVMClassifier(formulation="instance", kernel="linear"),
    make_pipeline(BagStatistics(), LinearSVC(random_state=0)),
]


@pytest.mark.parametrize("estimator", CLASSICAL, ids=repr)
def test_wide_bags_stay_sparse(wide, estimator):
    bags, y = wide
    with never_dense(bags):
        use(clone(estimator).fit(bags, y), bags)


@pytest.mark.parametrize("estimator", CLASSICAL, ids=repr)
def test_wide_bags_stay_sparse_for_a_model_fitted_to_dense_ones(wide, estimator):
    bags, y = wide
    fitted = clone(estimator).fit([bag[:2].toarray() for bag in list(bags)[:6]], y[:6])
    with never_dense(bags):
        use(fitted, bags)


@pytest.mark.parametrize("Neural", [Estimator for Estimator in SPARSE if is_neural(Estimator)])
def test_networks_make_a_batch_dense_at_a_time(Neural):
    # More instances than two of the batches that predictions are made in.
    bags, y = make_sparse(n_bags=80, bag_size=500, n_features=40)
    assert bags.n_instances > 2 * 16384
    estimator = seeded(Neural).set_params(max_epochs=1)
    with dense_at_most(0.5 * np.prod(bags.instances.shape)):
        use(estimator.fit(bags, y), bags)


def test_sparse_estimators_are_discovered():
    names = {Estimator.__name__ for Estimator in SPARSE}
    expected = {"DPMINNClassifier", "MISVMClassifier", "BagStatistics", "SingleInstanceClassifier"}
    assert expected <= names
    assert {type(estimator) for estimator in CLASSICAL} & set(public_classifiers())


WAYS = {
    "toarray": lambda rows: rows.toarray(),
    "todense": lambda rows: rows.todense(),
    "another class": lambda rows: rows.tocsc().toarray(),
    "a product": lambda rows: rows @ np.eye(rows.shape[1]),
    "row by row": lambda rows: np.vstack([rows[[i]].toarray() for i in range(rows.shape[0])]),
    "by hand": lambda rows: np.zeros(rows.shape, dtype=np.float64),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_makes_bags_dense_is_caught(way):
    bags, y = make_sparse(n_bags=10, bag_size=200, n_features=200)

    class Dense(BaseEstimator):
        def fit(self, X, y):
            self.rows_ = WAYS[way](X.instances)

    with pytest.raises(MadeDenseError), never_dense(bags):
        Dense().fit(bags, y)
    with never_dense(bags):
        bags.instances[:100].toarray()


# --- Real data ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web_pages():
    """Return training bags, labels, test bags, labels of the published split of web1."""
    path = path_of("web1")
    data = read_npz(path)
    bags, y = data.bags, data.target
    split = np.load(path)["split"]
    train, test = np.flatnonzero(split == 0), np.flatnonzero(split == 1)
    return bags[train], y[train], bags[test], y[test]


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(
            InstanceTransformer(MaxAbsScaler()),
            SingleInstanceClassifier(LinearSVC(random_state=0)),
        ),
        make_pipeline(InstanceTransformer(MaxAbsScaler()), MISVMClassifier(kernel="linear")),
        make_pipeline(BagStatistics(), MaxAbsScaler(), LinearSVC(random_state=0)),
    ],
    ids=["SIL", "MI-SVM", "statistics"],
)
def test_web_pages_stay_sparse_and_are_told_apart(web_pages, model):
    train, y_train, test, y_test = web_pages
    with never_dense(train):
        model.fit(train, y_train)
    with never_dense(test):
        scores = model.decision_function(test)
    assert roc_auc_score(y_test, scores) >= 0.75
