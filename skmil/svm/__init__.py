"""Support vector machines on bags."""

from skmil.svm._mi_svm import MISVMClassifier

__all__ = ["MISVMClassifier"]
