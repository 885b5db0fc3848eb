import numpy as np
import pytest
from estimators import is_neural, public_estimators, seeded
from numpy.testing import assert_allclose

from skmil import DPMINNClassifier
from skmil.neural._embedding import BagEmbeddingMixin

EMBEDDING = [
    Estimator
    for Estimator in public_estimators()
    if is_neural(Estimator) and issubclass(Estimator, BagEmbeddingMixin)
]
every_estimator = pytest.mark.parametrize("Estimator", EMBEDDING)


@every_estimator
def test_small_values_do_not_depend_on_the_batch(Estimator):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 6)), np.arange(300) % 2
    estimator = seeded(Estimator, max_epochs=1).fit(X, y)
    together = estimator.transform(X)
    assert together.dtype == np.float32
    alone = np.vstack([estimator.transform(row.reshape(1, -1)) for row in X])
    # Sums of some ten terms in float32 would leave errors near 1e-7 in values near zero.
    assert_allclose(alone, together, rtol=1e-6, atol=1e-12)


@every_estimator
def test_embeddings_have_the_announced_width(Estimator):
    rng = np.random.default_rng(0)
    estimator = seeded(Estimator, max_epochs=1, hidden_layer_sizes=(5, 3))
    for n_classes in (2, 3):
        X, y = rng.normal(size=(12, 2, 6)), np.arange(12) % n_classes
        embeddings = estimator.fit(X, y).transform(X)
        assert embeddings.shape == (12, len(estimator.get_feature_names_out()))


def test_embeddings_too_large_for_the_precision_are_refused():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 2, 6))
    X_far = X.copy()
    X_far[3] *= 1e200
    for Estimator in EMBEDDING:
        estimator = seeded(Estimator, max_epochs=1).fit(X, np.arange(12) % 2)
        if Estimator is DPMINNClassifier:  # its embeddings are shorter than 1
            assert np.isfinite(estimator.transform(X_far)).all()
            continue
        with pytest.raises(ValueError, match="Bag 3 has values too large for float32"):
            estimator.transform(X_far)
