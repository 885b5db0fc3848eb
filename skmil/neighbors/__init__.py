"""Distances between bags, and classifiers by nearest bags."""

from skmil.neighbors._bag_distance import BagDistance
from skmil.neighbors._citation_knn import CitationKNNClassifier
from skmil.neighbors._distances import bag_distances

__all__ = ["BagDistance", "CitationKNNClassifier", "bag_distances"]
