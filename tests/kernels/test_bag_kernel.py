"""BagKernel as an estimator, against the definition in plain loops."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics.pairwise import laplacian_kernel, polynomial_kernel, rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator
from strategies import ragged_bags

from skmil import Bags, check_bags
from skmil.compose import InstanceTransformer
from skmil.kernels import BagKernel, _sums
from skmil.kernels._graph import graph_weights

SETTINGS = [
    BagKernel(),
    BagKernel(gamma=0.7, normalization="average"),
    BagKernel(gamma="auto", normalization=None, power=2),
    BagKernel(kernel="linear"),
    BagKernel(kernel="linear", normalization=None),
    BagKernel(kernel="linear", power=2),
    BagKernel(kernel="poly", degree=2, coef0=1.0),
    BagKernel(kernel=laplacian_kernel),
    BagKernel(method="graph"),
    BagKernel(method="graph", threshold=0.4),
    BagKernel(method="graph", normalization="feature_space"),
    BagKernel(method="graph", normalization=None, kernel="linear"),
    BagKernel(method="graph", kernel="poly", degree=2, coef0=1.0, gamma=0.5),
]


def name_of(setting):
    return "-".join(str(getattr(v, "__name__", v)) for v in setting.get_params().values())


every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
# A callable decides for itself about sparse rows and about precision.
every_built_in = pytest.mark.parametrize(
    "setting", [setting for setting in SETTINGS if isinstance(setting.kernel, str)], ids=name_of
)


def instance_kernel(setting, gamma):
    """Return scikit-learn's kernel of the same name."""
    functions = {
        "rbf": lambda a, b: rbf_kernel(a, b, gamma=gamma),
        "linear": lambda a, b: a @ b.T,
        "poly": lambda a, b: polynomial_kernel(
            a, b, gamma=gamma, degree=setting.degree, coef0=setting.coef0
        ),
    }
    return functions.get(setting.kernel, setting.kernel)


def weights_by_definition(setting, k, bag):
    if setting.method == "set":
        return np.ones(len(bag))
    gram = k(bag, bag)
    distances = [
        [(gram[a, a] + gram[b, b]) / 2 - gram[a, b] for b in range(len(bag)) if b != a]
        for a in range(len(bag))
    ]
    threshold = setting.threshold
    if threshold == "average":
        threshold = np.mean(distances) if len(bag) > 1 else 0.0
    threshold -= 1e-12 * np.abs(gram.diagonal()).mean()  # a tie is no edge
    return np.array([1 / (1 + np.count_nonzero(np.array(row) < threshold)) for row in distances])


def by_definition(setting, gamma, left, right):
    """Return the Gram matrix by the double sum, one pair of bags at a time."""

    def k(a, b):
        return instance_kernel(setting, gamma)(a, b) ** setting.power

    def total(a, b):
        w_a, w_b = (weights_by_definition(setting, k, bag) for bag in (a, b))
        gram = k(a, b)
        value = sum(w_a[i] * w_b[j] * gram[i, j] for i in range(len(a)) for j in range(len(b)))
        return value, w_a.sum() * w_b.sum()

    def normalised(a, b):
        value, weight = total(a, b)
        normalization = setting.normalization
        if normalization == "auto":
            normalization = {"set": "feature_space", "graph": "average"}[setting.method]
        if normalization == "average":
            return value / weight
        if normalization == "feature_space":
            return value / np.sqrt(total(a, a)[0] * total(b, b)[0])
        return value

    return np.array([[normalised(a, b) for b in right] for a in left])


def some_bags(seed=0, n_bags=8, n_features=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rng.integers(1, 7), n_features)) for _ in range(n_bags)]


@every_built_in
def test_scikit_learn_checks(setting):
    check_estimator(clone(setting), on_skip=None)


@every_setting
@settings(max_examples=10)
@given(data=st.data())
def test_the_matrix_is_the_double_sum_of_the_definition(setting, data):
    train = data.draw(ragged_bags(max_bags=4, max_size=5))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    scale = max(train.instances.std(), 1e-3)
    new = [scale * rng.normal(size=(size, train.n_features)) for size in (1, 4)]
    kernel = clone(setting)
    gram = kernel.fit_transform(train)
    close = {"rtol": 1e-8, "atol": 1e-10 * np.abs(gram).max()}
    np.testing.assert_allclose(gram, by_definition(setting, kernel.gamma_, train, train), **close)
    expected = by_definition(setting, kernel.gamma_, new, train)
    np.testing.assert_allclose(kernel.transform(new), expected, **close)


@every_setting
@settings(max_examples=20)
@given(bags=ragged_bags(max_bags=10))
def test_the_matrix_is_symmetric_and_positive_semi_definite(setting, bags):
    gram = clone(setting).fit_transform(bags)
    np.testing.assert_array_equal(gram, gram.T)
    eigenvalues = np.linalg.eigvalsh(gram)
    assert eigenvalues.min() >= -1e-10 * max(eigenvalues.max(), 1e-300)


@every_setting
@settings(max_examples=20)
@given(bags=ragged_bags())
def test_fit_transform_is_fit_and_transform(setting, bags):
    together = clone(setting)
    gram = together.fit_transform(bags)
    apart = clone(setting).fit(bags)
    close = {"rtol": 1e-10, "atol": 1e-12 * np.abs(gram).max()}
    np.testing.assert_allclose(apart.transform(bags), gram, **close)
    np.testing.assert_allclose(together.transform(bags), gram, **close)
    assert apart.gamma_ == together.gamma_
    names = apart.get_feature_names_out()
    np.testing.assert_array_equal(together.get_feature_names_out(), names)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("method", ["set", "graph"])
@given(bags=ragged_bags())
def test_normalised_bags_have_a_kernel_of_one_with_themselves(method, kernel, bags):
    transformer = BagKernel(
        method=method, kernel=kernel, coef0=1.0, degree=2, normalization="feature_space"
    )
    np.testing.assert_allclose(transformer.fit_transform(bags).diagonal(), 1.0)
    found = transformer.transform(bags)
    np.testing.assert_allclose(found.diagonal(), 1.0)
    assert (np.abs(found) <= 1 + 1e-12).all()


def test_hand_worked_graph():
    # Half squared distances in the first bag: 0.5, 50 and 40.5, on average 30.3; so the weights
    # are 1/2, 1/2 and 1, and those of the second bag 1. The weighted sums are 10.5 and 5.
    bags = [[[0.0], [1.0], [10.0]], [[2.0], [3.0]]]
    kernel = BagKernel(method="graph", kernel="linear").fit(bags)
    expected = [[(10.5 / 2) ** 2, (10.5 / 2) * (5 / 2)], [(10.5 / 2) * (5 / 2), (5 / 2) ** 2]]
    np.testing.assert_allclose(kernel.transform(bags), expected)
    first, second = kernel.instance_weights(bags)
    np.testing.assert_allclose(first, [1 / 4, 1 / 4, 1 / 2])
    np.testing.assert_allclose(second, [1 / 2, 1 / 2])
    kernel = BagKernel(method="graph", kernel="linear", threshold=45.0).fit(bags)
    np.testing.assert_allclose(kernel.instance_weights(bags)[0], np.array([3, 2, 3]) / 8)


def test_hand_worked_set():
    bags = [[[0.0], [1.0]], [[2.0]]]
    e = np.exp(-1.0)
    gram = BagKernel(gamma=1.0, normalization=None).fit_transform(bags)
    np.testing.assert_allclose(gram, [[2 + 2 * e, e**4 + e], [e**4 + e, 1]])
    gram = BagKernel(gamma=1.0, normalization="average").fit_transform(bags)
    np.testing.assert_allclose(gram, [[(1 + e) / 2, (e**4 + e) / 2], [(e**4 + e) / 2, 1]])
    gram = BagKernel(gamma=1.0).fit_transform(bags)
    np.testing.assert_allclose(gram[0, 1], (e**4 + e) / np.sqrt(2 + 2 * e))


def test_copies_of_instances_change_nothing_in_the_graph_kernel():
    bags = some_bags()
    kernel = BagKernel(method="graph", gamma=0.3, threshold=1e-6).fit(bags)
    copied = [np.repeat(bag, 3, axis=0) for bag in bags]
    np.testing.assert_allclose(kernel.transform(copied), kernel.transform(bags))


def test_power_of_rbf_is_a_multiple_of_gamma():
    bags = some_bags()
    for method in ("set", "graph"):
        np.testing.assert_allclose(
            BagKernel(method=method, gamma=0.2, power=3).fit_transform(bags),
            BagKernel(method=method, gamma=0.6).fit_transform(bags),
        )


# --- Bags without a direction ------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["linear", "poly"])
@pytest.mark.parametrize("method", ["set", "graph"])
def test_a_bag_of_zeros_has_a_kernel_of_zero_with_all(kernel, method):
    bags = [np.zeros((2, 2)), np.eye(2), -np.eye(2)]
    transformer = BagKernel(
        method=method, kernel=kernel, degree=1, gamma=1.0, normalization="feature_space"
    )
    expected = [[0, 0, 0], [0, 1, -1], [0, -1, 1]]
    np.testing.assert_allclose(transformer.fit_transform(bags), expected, atol=1e-15)
    np.testing.assert_allclose(transformer.fit(bags).transform(bags), expected, atol=1e-15)
    sparse = [sp.csr_array(bag) for bag in bags]
    np.testing.assert_allclose(transformer.fit_transform(sparse), expected, atol=1e-15)


def test_rounding_gives_no_direction():
    bags = [np.array([[0.1], [0.2], [-0.3]]), np.array([[1.0]])]  # not quite 0 in float64
    gram = BagKernel(kernel="linear").fit_transform(bags)
    np.testing.assert_array_equal(gram, [[0, 0], [0, 1]])


# --- Input -------------------------------------------------------------------------------


@every_built_in
def test_float32_bags_lose_nothing_but_their_own_rounding(setting):
    bags = [bag.astype(np.float32) for bag in some_bags()]
    found = clone(setting).fit_transform(bags)
    assert found.dtype == np.float64
    exact = clone(setting).fit_transform([bag.astype(np.float64) for bag in bags])
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_many_float32_instances_are_summed_in_float64():
    bag = np.full((20_000, 1), 0.1, dtype=np.float32)
    gram = BagKernel(kernel="linear", normalization="average").fit_transform([bag])
    assert gram.item() == pytest.approx(np.float64(np.float32(0.1)) ** 2, rel=1e-12)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
@every_built_in
def test_sparse_bags_stay_sparse(setting, container, monkeypatch):
    bags = some_bags(n_features=50)
    sparse = check_bags([container(np.where(np.abs(bag) > 1, bag, 0)) for bag in bags])
    dense = sparse.replace_instances(sparse.instances.toarray())
    for kind in (sp.csr_matrix, sp.csr_array):
        _refuse_dense_features(monkeypatch, kind, n_features=50)
    kernel = clone(setting)
    found = kernel.fit_transform(sparse)
    np.testing.assert_allclose(kernel.transform(sparse), found, rtol=1e-10)
    np.testing.assert_allclose(found, clone(setting).fit_transform(dense), rtol=1e-10)
    assert sp.issparse(kernel.bags_.instances)


def _refuse_dense_features(monkeypatch, kind, n_features):
    """Let products of blocks become dense, but nothing with the columns of the instances."""
    plain = kind.toarray

    def toarray(self, *args, **kwargs):
        assert self.shape[1] != n_features, "made dense"
        return plain(self, *args, **kwargs)

    def todense(self, *args, **kwargs):
        raise AssertionError("made dense")

    monkeypatch.setattr(kind, "toarray", toarray)
    monkeypatch.setattr(kind, "todense", todense)


def test_the_matrix_of_all_instances_never_exists():
    bags = check_bags([np.random.default_rng(0).normal(size=(50, 2)) for _ in range(100)])
    whole = 8 * bags.n_instances**2  # 200 MB
    for method in ("set", "graph"):
        tracemalloc.start()
        BagKernel(method=method).fit_transform(bags)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < whole / 3


@pytest.mark.parametrize("method", ["set", "graph"])
def test_all_pairs_are_compared_by_the_common_helper(method, monkeypatch):
    largest = []

    def spy(left, right, compare, inner, outer):
        largest.append((left.n_instances, right.n_instances))
        return plain(left, right, compare, inner, outer)

    plain = _sums.reduce_pairs
    monkeypatch.setattr(_sums, "reduce_pairs", spy)
    bags = check_bags(some_bags(n_bags=20))
    BagKernel(method=method).fit(bags).transform(bags)
    assert max(largest) == (bags.n_instances, bags.n_instances)


# --- The estimator -----------------------------------------------------------------------


def test_names_and_data_frames():
    kernel = BagKernel().fit([np.eye(2), np.ones((1, 2))])
    assert kernel.get_feature_names_out().tolist() == ["bagkernel0", "bagkernel1"]
    table = BagKernel().set_output(transform="pandas").fit_transform([np.eye(2), np.ones((1, 2))])
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == ["bagkernel0", "bagkernel1"]


def test_training_bags_and_gamma_are_kept():
    bags = check_bags(some_bags())
    kernel = BagKernel().fit(bags)
    assert isinstance(kernel.bags_, Bags)
    np.testing.assert_array_equal(kernel.bags_.instances, bags.instances)
    assert kernel.gamma_ == pytest.approx(1 / (3 * bags.instances.var()))
    assert BagKernel(gamma="auto").fit(bags).gamma_ == pytest.approx(1 / 3)
    assert BagKernel(gamma=0.25).fit(bags).gamma_ == 0.25
    assert BagKernel(kernel="linear").fit(bags).gamma_ == 1.0


def test_a_fitted_kernel_does_not_change_with_its_parameters():
    bags = some_bags()
    kernel = BagKernel().fit(bags)
    expected = kernel.transform(bags)
    kernel.set_params(gamma=100.0, method="graph", normalization=None, power=2)
    np.testing.assert_array_equal(kernel.transform(bags), expected)


def test_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        BagKernel().transform(some_bags())
    with pytest.raises(NotFittedError):
        BagKernel().instance_weights(some_bags())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "migraph"}, "The 'method' parameter"),
        ({"kernel": "sigmoid"}, "The 'kernel' parameter"),
        ({"gamma": 0.0}, "The 'gamma' parameter"),
        ({"power": 0}, "The 'power' parameter"),
        ({"power": 0.5}, "The 'power' parameter"),
        ({"normalization": "max"}, "The 'normalization' parameter"),
        ({"threshold": -1.0}, "The 'threshold' parameter"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        BagKernel(**parameters).fit(some_bags())
    with pytest.raises(ValueError, match=message):
        BagKernel(**parameters).fit_transform(some_bags())


@pytest.mark.parametrize("method", ["set", "graph"])
@pytest.mark.parametrize("normalization", ["feature_space", "average", None])
def test_what_overflows_is_refused(method, normalization):
    bags = [np.full((2, 2), 1e200), np.ones((1, 2))]
    for kernel in ("rbf", "linear", "poly"):
        transformer = BagKernel(
            method=method, kernel=kernel, gamma=1.0, normalization=normalization
        )
        with pytest.raises(ValueError, match="too large for float64"):
            transformer.fit_transform(bags)


def test_the_weights_of_a_graph_are_shares():
    bags = check_bags(some_bags())
    kernel = BagKernel(method="graph").fit(bags)
    shares = kernel.instance_weights(bags)
    weights = np.split(graph_weights(kernel._kernel, bags, "average"), bags.offsets[1:-1])
    for share, weight in zip(shares, weights, strict=True):
        np.testing.assert_allclose(share, weight / weight.sum())
    for share in BagKernel().fit(bags).instance_weights(bags):
        np.testing.assert_allclose(share, 1 / len(share))


# --- With a support vector machine -------------------------------------------------------


def make_problem(n_bags=60, seed=0):
    """Bags of which half have one instance that lies aside."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % 2
    bags = [rng.normal(size=(rng.integers(1, 7), 3)) for _ in y]
    for bag, label in zip(bags, y, strict=True):
        bag[0] += 5.0 * label
    return bags, np.array(["no", "yes"])[y]


@pytest.mark.parametrize("method", ["set", "graph"])
@pytest.mark.parametrize("container", [list, check_bags])
def test_in_a_pipeline_with_cross_validation(method, container):
    bags, y = make_problem()
    model = make_pipeline(
        InstanceTransformer(), BagKernel(method=method), SVC(kernel="precomputed", C=10.0)
    )
    assert cross_val_score(model, container(bags), y, cv=3, error_score="raise").mean() > 0.9


def test_search_over_gamma():
    bags, y = make_problem()
    pipeline = make_pipeline(BagKernel(), SVC(kernel="precomputed"))
    grid = {"bagkernel__gamma": [1e-9, 0.3], "bagkernel__normalization": ["auto", "average"]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(bags, y)
    assert search.best_params_["bagkernel__gamma"] == 0.3
    assert search.best_score_ > 0.8
    copy = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(copy.predict(bags), search.predict(bags))


def test_bags_of_one_instance_are_an_ordinary_support_vector_machine():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    X[y == 1] += 1.0
    plain = SVC(gamma=0.4, tol=1e-9).fit(X, y).decision_function(X)
    for method in ("set", "graph"):
        kernel = BagKernel(method=method, gamma=0.4)
        model = make_pipeline(kernel, SVC(kernel="precomputed", tol=1e-9)).fit(X, y)
        np.testing.assert_allclose(model.decision_function(X), plain, atol=1e-6)
