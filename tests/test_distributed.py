"""Searches on a Dask cluster: two worker processes on this machine, which share no memory.

scikit-learn hands its fits to joblib, and joblib hands them to Dask. So what is tested is that
nothing of skmil is in the way: results are those of one process, the bags travel to a worker
once, and a worker that dies takes no result with it.
"""

import itertools
import os
import signal

import joblib
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info

from skmil import (
    Bags,
    DPMINNClassifier,
    EMDDClassifier,
    InstanceTransformer,
    MISVMClassifier,
)
from skmil.datasets import load_digit_bags

dask = pytest.importorskip("dask", reason="the extra `distributed` is not installed")
distributed = pytest.importorskip("distributed", reason="the extra `distributed` is not installed")

pytestmark = pytest.mark.slow

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: What was unpickled in this process of the bags that a test sends.
ARRIVED = []


class CountedBags(Bags):
    """Bags that are counted in the process where they arrive."""

    def __reduce__(self):
        return arrive, (self.instances, self.offsets)


def arrive(instances, offsets):
    ARRIVED.append(len(offsets))
    return CountedBags(instances, offsets)


def count_arrivals():
    return len(ARRIVED)


class DeadlyScore:
    """Accuracy; but the call of this number, in whatever process, is the end of the process."""

    def __init__(self, path, call):
        self.path, self.call = path, call

    def __call__(self, estimator, X, y):
        with open(self.path, "ab") as file:
            file.write(b".")
            file.flush()
            if file.tell() == self.call:
                os.kill(os.getpid(), signal.SIGKILL)
        return accuracy_score(y, estimator.predict(X))


@pytest.fixture(scope="module")
def client():
    """Return the client of a cluster that would drop replicas at once, were it not told to stop."""
    config = {"distributed.scheduler.active-memory-manager.interval": "100ms"}
    with pytest.MonkeyPatch.context() as patch, dask.config.set(config):
        for name in THREADS:  # Dask sets them, and not only in the workers
            patch.setenv(name, "", prepend=None)
            patch.delenv(name)
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        )
        with cluster, distributed.Client(cluster) as client:
            client.amm.stop()  # what no task waits for just now would be left with one worker
            yield client


@pytest.fixture(scope="module")
def data():
    return load_digit_bags(random_state=0, return_X_y=True)


def network():
    return DPMINNClassifier((8,), max_epochs=2, random_state=0)


def assert_same_search(found, expected, X):
    """Compare all that two searches found; only times may differ."""
    assert found.best_params_ == expected.best_params_
    for key, values in expected.cv_results_.items():
        if not key.endswith("_time"):
            assert_array_equal(found.cv_results_[key], values)
    assert_array_equal(found.predict(X), expected.predict(X))
    assert_array_equal(found.decision_function(X), expected.decision_function(X))


@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (network(), {"T": [1, 3], "margin_positive": [0.7, 0.9]}),
        (MISVMClassifier(), {"C": [0.1, 1.0]}),
        (
            make_pipeline(InstanceTransformer(), MISVMClassifier()),
            {"misvmclassifier__C": [0.1, 1.0]},
        ),
        # This one starts tasks of its own, which go to the cluster too.
        (
            make_pipeline(InstanceTransformer(), EMDDClassifier(n_starts=2)),
            {"emddclassifier__combine": ["mean", "best"]},
        ),
    ],
    ids=["network", "MI-SVM", "pipeline", "EM-DD"],
)
def test_a_search_on_a_cluster_finds_what_one_process_finds(client, data, model, grid):
    X, y = data
    search = GridSearchCV(model, grid, cv=3, error_score="raise")
    expected = search.fit(X, y)
    with joblib.parallel_config(backend="dask"):
        found = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, y)
    assert_same_search(found, expected, X)


@pytest.mark.parametrize("scatter", [False, True], ids=["by itself", "as asked"])
def test_bags_travel_to_a_worker_once_and_not_with_every_task(client, data, scatter):
    X, y = CountedBags(data[0].instances, data[0].offsets), data[1]
    before = client.run(count_arrivals)
    with joblib.parallel_config(backend="dask", **({"scatter": [X]} if scatter else {})):
        search = GridSearchCV(network(), {"T": [1, 2, 3, 4]}, cv=5, refit=False).fit(X, y)
    assert search.n_splits_ * len(search.cv_results_["params"]) == 20
    after = client.run(count_arrivals)
    assert [after[worker] - n for worker, n in before.items()] == [1, 1]


def test_workers_compute_in_one_thread(client):
    assert list(client.run(torch.get_num_threads).values()) == [1, 1]
    found = client.run(lambda: {pool["num_threads"] for pool in threadpool_info()})
    assert list(found.values()) == [{1}, {1}]


def test_a_worker_that_dies_costs_a_retry_and_not_the_search(client, data, tmp_path):
    X, y = data
    folds = list(StratifiedKFold(4).split(X, y))
    search = {"estimator": network(), "param_grid": {"T": [1, 2, 3]}, "cv": folds}
    scores = tmp_path / "scores"
    expected = GridSearchCV(**search, scoring="accuracy").fit(X, y)
    processes = client.run(os.getpid)
    with joblib.parallel_config(backend="dask", scatter=[X, y, *itertools.chain(*folds)]):
        found = GridSearchCV(**search, scoring=DeadlyScore(scores, call=2)).fit(X, y)
    assert_same_search(found, expected, X)
    assert scores.stat().st_size > 12  # some of the 4 x 3 scores were lost and computed again
    client.wait_for_workers(2, timeout=30)
    assert len(set(client.run(os.getpid).values()) - set(processes.values())) == 1
