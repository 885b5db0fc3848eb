"""Embeddings: bags become rows, for any scikit-learn estimator."""

from skmil.embedding._bag_statistics import BagStatistics

__all__ = ["BagStatistics"]
