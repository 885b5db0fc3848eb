"""Embeddings: bags become rows, for any scikit-learn estimator."""

from skmil.embedding._bag_statistics import BagStatistics
from skmil.embedding._fisher import BagFisherVector
from skmil.embedding._miles import MILESEmbedding
from skmil.embedding._vlad import BagVLAD

__all__ = ["BagFisherVector", "BagStatistics", "BagVLAD", "MILESEmbedding"]
