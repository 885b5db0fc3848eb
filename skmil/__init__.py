"""scikit-learn for bags: multiple instance learning."""

from importlib import import_module as _import_module

__version__ = "0.1.0"

#: Where each public name lives. Names are imported on first use, so that ``import skmil``
#: loads neither torch nor anything else that is slow to start.
_HOMES = {
    "AttentionMILClassifier": "skmil.neural",
    "BagDistance": "skmil.neighbors",
    "BagFisherVector": "skmil.embedding",
    "BagKernel": "skmil.kernels",
    "BagStatistics": "skmil.embedding",
    "BagVLAD": "skmil.embedding",
    "Bags": "skmil.bags",
    "CitationKNNClassifier": "skmil.neighbors",
    "DPMINNClassifier": "skmil.neural",
    "EMDDClassifier": "skmil.diverse_density",
    "InstanceNetClassifier": "skmil.neural",
    "InstanceTransformer": "skmil.compose",
    "MILESEmbedding": "skmil.embedding",
    "MINetClassifier": "skmil.neural",
    "MISVMClassifier": "skmil.svm",
    "SingleInstanceClassifier": "skmil.compose",
    "check_bags": "skmil.bags",
}
_FOLDERS = (
    "base",
    "compose",
    "datasets",
    "diverse_density",
    "embedding",
    "functional",
    "kernels",
    "neighbors",
    "neural",
    "nn",
    "svm",
)

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name in _HOMES:
        value = getattr(_import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in _FOLDERS:
        return _import_module(f"skmil.{name}")
    raise AttributeError(f"module 'skmil' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_HOMES, *_FOLDERS})
