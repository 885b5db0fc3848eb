"""Sparse web pages of 5,863 features, where they are at hand: no embedding makes them dense."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from skmil import Bags
from skmil.embedding import BagFisherVector, BagVLAD, MILESEmbedding


def read_web1():
    folder = os.environ.get("SKMIL_DATA_DIR")
    if folder is None:
        pytest.skip("SKMIL_DATA_DIR does not name a directory of data sets")
    data = np.load(Path(folder) / "web1.npz")
    parts = (data["csr_data"], data["csr_indices"], data["csr_indptr"])
    return Bags(sp.csr_array(parts, shape=tuple(data["csr_shape"])), data["offsets"])


@pytest.mark.parametrize(
    ("embedding", "n_columns"),
    [
        (MILESEmbedding(), None),
        (BagVLAD(n_clusters=2, n_init=1, random_state=0), 2 * 5863),
        (BagFisherVector(random_state=0), 2 * 2 * 32),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sparse_pages_stay_sparse(embedding, n_columns, monkeypatch):
    bags = read_web1()
    whole = bags.n_instances * bags.n_features * 8
    for container in (sp.csr_array, sp.csr_matrix):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(container, name, _refusing(getattr(container, name)))
    tracemalloc.start()
    try:
        rows = embedding.fit_transform(bags)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows.shape == (113, n_columns or embedding.concepts_.shape[0])
    assert np.isfinite(rows).all()
    assert len(np.unique(rows.round(6), axis=0)) > 100
    assert peak < 0.7 * whole


def _refusing(method):
    def wrapped(self, *args, **kwargs):
        # k-means takes a few rows out as first centres; similarities come in blocks.
        assert self.shape[1] < 5863 or self.shape[0] <= 10, "made dense"
        return method(self, *args, **kwargs)

    return wrapped
