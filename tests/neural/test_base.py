"""Neural classifiers on bags that stay on the disk learn and say what they do in memory."""

import mmap
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from estimators import is_neural, public_estimators
from numpy.testing import assert_allclose
from sklearn.model_selection import cross_val_score

from skmil import Bags, DPMINNClassifier
from skmil.datasets import DataFileError
from skmil.datasets.readers import read_folder
from skmil.neural import _base, _data

NEURAL = [Estimator for Estimator in public_estimators() if is_neural(Estimator)]
#: In float32 the results of a matrix product may depend on where in memory its rows lie.
SMALL = {
    "hidden_layer_sizes": (8, 4),
    "max_epochs": 4,
    "batch_size": 7,
    "dtype": "float64",
    "random_state": 0,
}
CLOSE = {"rtol": 0, "atol": 1e-9}
SETTINGS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 20},
    "drawn instances": {"max_instances": 3},
    "left out instances": {"instance_dropout": 0.5, "dropout": 0.2},
    "without scaling": {"scale": False},
    "ranks": {"scale": "rank"},
    "all at once": {"early_stopping": True, "max_instances": 4, "gradient_checkpointing": True,
                    "chunk_size": 11, "dropout": 0.2, "instance_dropout": 0.2},
}  # fmt: skip


def make_bags(n_bags=40, dtype=np.float32):
    rng = np.random.default_rng(0)
    y = np.arange(n_bags) % 2
    X = [rng.normal(size=(rng.integers(1, 9), 5)) + label for label in y]
    return Bags(np.concatenate(X).astype(dtype), np.cumsum([0, *map(len, X)])), y


@pytest.fixture
def stays_on_disk(monkeypatch):
    """Have training sets on the disk stay there, however small; return which did."""
    monkeypatch.setattr(_data, "_SMALL_BYTES", 0)
    stayed = []

    class Noting(_data.PackedBags):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            stayed.append(not self.is_resident)

    monkeypatch.setattr(_base, "PackedBags", Noting)
    return stayed


@pytest.mark.parametrize("Estimator", NEURAL)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bags_on_the_disk_train_the_same_net(tmp_path, stays_on_disk, Estimator, setting, dtype):
    bags, y = make_bags(dtype=dtype)
    bags.save(tmp_path / "bags")
    stored = Bags.load(tmp_path / "bags")
    params = {**SMALL, **SETTINGS[setting]}
    expected = Estimator(**params).fit(bags, y)
    assert not any(stays_on_disk)
    stays_on_disk.clear()
    found = Estimator(**params).fit(stored, y)
    assert all(stays_on_disk)
    n_parts = getattr(found, "calibration_cv", 0)  # left out in turn, after the training
    assert len(stays_on_disk) == 1 + found.early_stopping + n_parts
    assert_allclose(found.loss_curve_, expected.loss_curve_, **CLOSE)
    if found.early_stopping:
        assert_allclose(found.validation_loss_curve_, expected.validation_loss_curve_, **CLOSE)
    assert_allclose(found.decision_function(stored), expected.decision_function(bags), **CLOSE)
    if hasattr(found, "transform"):
        assert_allclose(found.transform(stored), expected.transform(bags), **CLOSE)


@pytest.mark.parametrize("is_large", [False, True])
def test_cross_validation_on_the_disk_gives_the_scores_of_memory(tmp_path, monkeypatch, is_large):
    monkeypatch.setattr(_data, "_SMALL_BYTES", 0 if is_large else 1 << 26)
    bags, y = make_bags()
    bags.save(tmp_path / "bags")
    classifier = DPMINNClassifier(**SMALL, max_instances=4)
    options = {"cv": 3, "scoring": "neg_log_loss"}
    expected = cross_val_score(classifier, bags, y, **options)
    for mode in ("r", "c"):
        stored = Bags.load(tmp_path / "bags", mmap_mode=mode)
        assert_allclose(cross_val_score(classifier, stored, y, **options), expected, **CLOSE)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a file for each bag, and the labels of the bags."""
    bags, y = make_bags(n_bags=20)
    path = tmp_path / "files"
    path.mkdir()
    for i, bag in enumerate(bags):
        np.save(path / f"b{i:02}.npy", bag)
    return path, {f"b{i:02}": label for i, label in enumerate(y)}


def test_a_file_that_changes_during_training_is_named(folder, stays_on_disk):
    path, labels = folder
    data = read_folder(path, lazy=True, labels=labels)
    classifier = DPMINNClassifier(**SMALL, warm_start=True).fit(data.bags, data.target)
    assert all(stays_on_disk)
    gather = _data.PackedBags.gather
    n_read = []

    def gather_and_break(dataset, *chosen):
        n_read.append(threading.current_thread())
        if len(n_read) == 3:  # of the 12 batches of the epochs
            shutil.rmtree(path)
        return gather(dataset, *chosen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data.PackedBags, "gather", gather_and_break)
        with pytest.raises(DataFileError, match=r"b\d\d\.npy: it is gone"):
            classifier.fit(data.bags, data.target)
    assert len(n_read) == 3
    assert threading.main_thread() not in n_read
    assert not any(thread.is_alive() for thread in n_read)


def test_the_generator_of_torch_is_left_as_it_was(tmp_path, stays_on_disk):
    bags, y = make_bags()
    bags.save(tmp_path / "bags")
    state = torch.get_rng_state()
    DPMINNClassifier(**SMALL, max_instances=2, dropout=0.5).fit(Bags.load(tmp_path / "bags"), y)
    assert torch.equal(torch.get_rng_state(), state)
    assert any(stays_on_disk)


def resident_file_bytes():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssFile:")[1].split()[0])


@pytest.mark.skipif(
    not Path("/proc/self/status").exists() or not hasattr(mmap, "MADV_DONTNEED"),
    reason="memory is measured through /proc, which this system lacks",
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_was_read_does_not_stay_in_memory(tmp_path, early_stopping, stays_on_disk):
    n_bags = 64
    rows = np.random.default_rng(0).normal(size=(2**12 * 4, 2**8)).astype(np.float32)  # 16 MiB
    Bags(rows, np.arange(n_bags + 1) * (len(rows) // n_bags)).save(tmp_path / "bags")
    stored, y = Bags.load(tmp_path / "bags"), np.arange(n_bags) % 2
    classifier = DPMINNClassifier(
        **{**SMALL, "max_epochs": 2, "chunk_size": 512}, early_stopping=early_stopping
    )
    classifier.fit(make_bags()[0], make_bags()[1])  # what is loaded at first
    before = resident_file_bytes()
    classifier.fit(stored, y)
    assert resident_file_bytes() - before < 0.2 * rows.nbytes
    classifier.predict(stored)
    assert resident_file_bytes() - before < 0.2 * rows.nbytes
