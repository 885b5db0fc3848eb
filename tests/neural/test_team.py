"""Several processes that train one network, against one process that does.

Starting processes takes long, so two of them run all scenarios, and the tests look at what they
left behind.
"""

import contextlib
import copy
import io
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, GradientNormClipping
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from skmil import (
    AttentionMILClassifier,
    Bags,
    DPMINNClassifier,
    InstanceNetClassifier,
    MINetClassifier,
)
from skmil.neural._team import Team, local_device
from skmil.neural._training import resolve_device
from skmil.nn import CrossEntropyLoss

slow = pytest.mark.slow

# Without dropout of units, which each process draws for itself.
SMALL = {
    "hidden_layer_sizes": (6, 4),
    "max_epochs": 3,
    "batch_size": 8,
    "random_state": 0,
    "dropout": 0.0,
}
#: One net for each classifier; the others are calibrated by two more.
UNCALIBRATED = {**SMALL, "calibration_cv": None}
CALIBRATED = {**SMALL, "calibration_cv": 2}


def make_data(n_bags=33, seed=0):
    """Return bags of very different sizes, and labels that depend on them a little."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, size=n_bags)
    y = np.arange(n_bags) % 2
    instances = rng.normal(size=(sizes.sum(), 5)) + 0.5 * np.repeat(y, sizes)[:, None]
    return Bags(instances, np.concatenate([[0], sizes.cumsum()])), y


# What one process and two must do alike. 33 bags in steps of 8 leave one bag for the last step.
ALIKE = {
    "float32": DPMINNClassifier(**CALIBRATED),
    "float64": DPMINNClassifier(**CALIBRATED, dtype="float64"),
    "steps of one bag": DPMINNClassifier(**{**UNCALIBRATED, "batch_size": 1}, dtype="float64"),
    "cross-entropy": DPMINNClassifier(**UNCALIBRATED, dtype="float64", loss="cross_entropy"),
    "attention": AttentionMILClassifier(**SMALL, dtype="float64", optimizer="sgd"),
    "deep supervision": MINetClassifier(
        **SMALL, dtype="float64", variant="deep_supervision", gradient_checkpointing=True
    ),
    "instances": InstanceNetClassifier(
        **SMALL, dtype="float64", callbacks=[GradientNormClipping(0.1)]
    ),
    "max_instances": DPMINNClassifier(**UNCALIBRATED, dtype="float64", max_instances=4),
    "instance_dropout": DPMINNClassifier(**UNCALIBRATED, dtype="float64", instance_dropout=0.3),
    "drawn, then left out": MINetClassifier(
        **SMALL, dtype="float64", max_instances=6, instance_dropout=0.5, scale="rank"
    ),
    "the start of the paper": DPMINNClassifier(**UNCALIBRATED, dtype="float64", init="paper"),
    "class_weight": DPMINNClassifier(**CALIBRATED, dtype="float64", class_weight={0: 1, 1: 5}),
    "early stopping": DPMINNClassifier(
        **{**CALIBRATED, "max_epochs": 40},
        dtype="float64",
        early_stopping=True,
        n_iter_no_change=2,
        learning_rate=0.03,
    ),
}


def fit_alike(name, **parameters):
    X, y = make_data()
    return copy.deepcopy(ALIKE[name]).set_params(**parameters).fit(X, y)


def fit_sparse(**parameters):
    X, y = make_data()
    X = Bags(sp.csr_array(np.maximum(X.instances, 0)), X.offsets)
    return DPMINNClassifier(**UNCALIBRATED, dtype="float64", **parameters).fit(X, y)


def fit_on_disk(folder, **parameters):
    _, y = make_data()
    return DPMINNClassifier(**UNCALIBRATED, max_instances=9, **parameters).fit(Bags.load(folder), y)


def go_on(**parameters):
    """Fit and go on: parallel first and last, and by one process in between if it is so."""
    X, y = make_data()
    classifier = MINetClassifier(**SMALL, dtype="float64", warm_start=True, **parameters)
    classifier.fit(X, y).set_params(data_parallel=False).fit(X, y)
    return classifier.set_params(**parameters).fit(X, y).partial_fit(X[:5], y[:5])


def fit_unlike(rank, dropout=0.0, **parameters):
    """Fit with another seed in each process; return the classifier and whether it showed a bar."""
    X, y = make_data()
    seed = np.random.RandomState(rank)
    before = torch.get_rng_state()
    with contextlib.redirect_stderr(io.StringIO()) as shown:
        classifier = DPMINNClassifier(
            **{**UNCALIBRATED, "random_state": seed, "max_epochs": 5, "dropout": dropout},
            dtype="float64",
            early_stopping=True,
            verbose=1,
            **parameters,
        ).fit(X, y)
    assert torch.equal(before, torch.get_rng_state())
    return classifier, bool(shown.getvalue())


def step_of_torch(rank):
    """Make one step of 2 x 6 bags, and the same by torch's own data parallelism."""
    X, y = make_data(12)
    parameters = {"batch_size": 12, "max_epochs": 1, "learning_rate": 0.5}
    classifier = MINetClassifier(
        **{**SMALL, **parameters},
        optimizer=torch.optim.SGD,
        dtype="float64",
        warm_start=True,
        learning_rate_decay=1,
        data_parallel=True,
    ).fit(X, y)
    network = DistributedDataParallel(copy.deepcopy(classifier.net_.module_).train())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, weight_decay=0.005)
    own, targets = X[rank::2], (torch.from_numpy(y[rank::2]), torch.ones(6, dtype=torch.float64))
    instances = torch.from_numpy(classifier.scaler_.transform(own.instances))
    outputs = network(instances, torch.from_numpy(own.bag_index), 6)
    CrossEntropyLoss()(outputs, targets).backward()
    optimizer.step()
    return weights_of(classifier.fit(X, y)), [p.detach().numpy() for p in network.parameters()]


def message_of_different(what, rank):
    """Pass something else in the second process."""
    X, y = make_data(12)
    classifier = DPMINNClassifier(**UNCALIBRATED, data_parallel=True)
    if what == "network":
        classifier.set_params(data_parallel=False, warm_start=True, random_state=rank).fit(X, y)
        classifier.set_params(data_parallel=True)
    elif rank == 1:
        X = Bags(X.instances + 1, X.offsets) if what == "instances" else X[:11]
        y = y[: len(X)]
    with pytest.raises(ValueError, match="data_parallel") as caught:
        classifier.fit(X, y)
    return str(caught.value)


class FailInSecondEpoch(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            raise OSError("out of disks")


def message_of_failure(rank):
    """Fail in the second process, which ends; this comes last."""
    X, y = make_data()
    callbacks = [FailInSecondEpoch()] if rank == 1 else None
    with pytest.raises((OSError, RuntimeError)) as caught:
        DPMINNClassifier(**UNCALIBRATED, data_parallel=True, callbacks=callbacks).fit(X, y)
    return str(caught.value)


def run_scenarios(rank, folder):
    """Do what the tests look at, in one of two processes."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2
    )
    results = {name: fit_alike(name, data_parallel=True) for name in ALIKE}
    results["sparse"] = fit_sparse(data_parallel=True)
    results["on disk"] = fit_on_disk(folder / "bags", data_parallel=True)
    results["go on"] = go_on(data_parallel=True)
    results["unlike"] = fit_unlike(rank, data_parallel=True)
    results["dropout"] = fit_unlike(rank, dropout=0.5, data_parallel=True)
    results["step of torch"] = step_of_torch(rank)
    for what in ("instances", "bags", "network"):
        results[f"different {what}"] = message_of_different(what, rank)
    results["failure"] = message_of_failure(rank)
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(results))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("team")
    X, _ = make_data()
    X.save(folder / "bags")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    """Return what each of two processes came to, by the name of the scenario."""
    multiprocessing.spawn(run_scenarios, (folder,), nprocs=2)
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(2)]


def weights_of(classifier):
    return [tensor.numpy() for tensor in classifier.net_.module_.state_dict().values()]


def assert_same(one, other, rtol):
    X, _ = make_data()
    assert one.n_iter_ == other.n_iter_
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)
    for mine, theirs in zip(weights_of(one), weights_of(other), strict=True):
        assert_allclose(mine, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())
    assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=rtol)
    if one.early_stopping:
        assert_allclose(one.validation_loss_curve_, other.validation_loss_curve_, rtol=rtol)


@slow
@pytest.mark.parametrize("name", ALIKE)
def test_two_processes_train_the_net_that_one_does(results, name):
    single = fit_alike(name)
    for own in results:
        assert_same(own[name], single, 1e-9 if single.dtype == "float64" else 1e-4)


@slow
def test_early_stopping_was_early(results):
    assert results[0]["early stopping"].n_iter_ < 40


@slow
@pytest.mark.parametrize("name", [*ALIKE, "sparse", "on disk", "go on"])
def test_both_processes_end_with_the_same_net(results, name):
    first, second = (own[name] for own in results)
    assert_same(first, second, 0)
    assert_array_equal(first.scaler_.mean_, second.scaler_.mean_)
    assert_array_equal(first.scaler_.scale_, second.scaler_.scale_)


@slow
def test_sparse_bags(results):
    assert_same(results[1]["sparse"], fit_sparse(), 1e-9)


@slow
def test_bags_on_the_disk(results, folder):
    assert_same(results[1]["on disk"], fit_on_disk(folder / "bags"), 1e-4)


@slow
def test_a_net_goes_on_with_one_process_and_again_with_two(results):
    assert_same(results[0]["go on"], go_on(), 1e-9)


@slow
def test_with_other_seeds_all_follow_the_first(results):
    (first, bar), (second, other_bar) = (own["unlike"] for own in results)
    assert_same(first, second, 0)
    assert_same(first, fit_unlike(rank=0)[0], 1e-9)
    assert (bar, other_bar) == (True, False)


@slow
def test_with_dropout_both_processes_end_with_the_same_net(results):
    (first, _), (second, _) = (own["dropout"] for own in results)
    assert_same(first, second, 0)
    assert np.isfinite(first.loss_curve_).all()
    assert first.loss_curve_ != results[0]["unlike"][0].loss_curve_


@slow
def test_a_step_is_that_of_twice_the_bags_in_torch(results):
    weights, reference = results[0]["step of torch"]
    for mine, theirs in zip(weights, reference, strict=True):
        assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


@slow
@pytest.mark.parametrize("what", ["instances", "bags", "network"])
def test_processes_with_something_else_are_refused_by_all(results, what):
    for own in results:
        assert r"differs between process 0 and [1]" in own[f"different {what}"]


@slow
def test_others_do_not_wait_for_a_process_that_ended(results):
    first, second = (own["failure"] for own in results)
    assert second == "out of disks"
    assert "by peer" in first  # the connection was closed or reset


@slow
def test_nothing_of_the_team_stays_in_the_net(results):
    assert results[0]["float32"].net_.team is None
    assert not distributed.is_initialized()  # and yet it was unpickled


def test_without_processes_it_says_how_to_start_them():
    X, y = make_data(12)
    with pytest.raises(ValueError, match="init_process_group"):
        DPMINNClassifier(data_parallel=True).fit(X, y)
    with pytest.raises(ValueError, match="init_process_group"):
        DPMINNClassifier(data_parallel=True).partial_fit(X, y, classes=[0, 1])


def test_each_process_of_torchrun_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert resolve_device("auto", data_parallel=True) == local_device() == "cuda:3"
    assert resolve_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # made visible one by one
    assert local_device() == "cuda:0"
    monkeypatch.delenv("LOCAL_RANK")
    assert local_device() == "cuda"


@pytest.mark.parametrize("n_processes", [1, 2, 5])
def test_the_parts_of_a_step_are_of_similar_size(n_processes):
    sizes = np.array([1, 1, 90, 10, 20, 30, 30, 1])
    team = object.__new__(Team)
    team.size = n_processes
    parts = []
    for team.rank in range(n_processes):
        parts.append(team.part_of(sizes))
    assert sorted(np.concatenate(parts)) == list(range(len(sizes)))
    assert max(sizes[part].sum() for part in parts) <= max(90, sizes.sum() / n_processes + 1)


def test_of_few_bags_some_processes_take_none():
    team = object.__new__(Team)
    team.size, team.rank = 3, 2
    assert len(team.part_of(np.array([4, 4]))) == 0
