"""Sparse web pages of 5,863 features, where they are at hand: no embedding makes them dense."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from real_data import load

from skmil.embedding import BagFisherVector, BagVLAD, MILESEmbedding


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
    bags, _, _ = load("web1")
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
