"""The estimators that the command line knows by name.

To add one, write a function that builds it and a line of the table. Imports stay inside the
functions: listing the names loads neither torch nor scikit-learn. The names of skmil itself are
lazy, so they need no such care.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import skmil


@dataclass(frozen=True)
class Entry:
    """A named estimator.

    Parameters
    ----------
    title : str
        What the table of results calls it.
    summary : str
        What it is, in a few words.
    build : callable
        Maps whether the instances are sparse, and a seed, to an unfitted classifier of
        bags. Features are scaled inside it, so that test folds have no part in the scaling.
    """

    title: str
    summary: str
    build: Callable[[bool, int], Any]


def _network(name, **params):
    """Return the builder of a network, which scales features by itself."""
    return lambda sparse, seed: getattr(skmil, name)(**params, random_state=seed)


def _scaled(steps):
    """Return a builder that puts the scaling of instances in front of what `steps` returns."""

    def build(sparse, seed):
        from sklearn.pipeline import make_pipeline

        return make_pipeline(skmil.InstanceTransformer(_scaler(sparse)), *steps(seed))

    return build


def _scaler(sparse):
    """Return a scaler that keeps sparse data sparse."""
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    return MaxAbsScaler() if sparse else StandardScaler()


def _misvm(formulation):
    return _scaled(lambda seed: [skmil.MISVMClassifier(formulation=formulation)])


def _bag_kernel(method, C):
    def steps(seed):
        from sklearn.svm import SVC

        return skmil.BagKernel(method=method), SVC(kernel="precomputed", C=C)

    return _scaled(steps)


@_scaled
def _miles(seed):
    from sklearn.svm import LinearSVC

    svm = LinearSVC(penalty="l1", dual=False, max_iter=100_000, random_state=seed)
    return skmil.MILESEmbedding(), svm


def _codebook(name):
    def steps(seed):
        from sklearn.svm import LinearSVC

        return getattr(skmil, name)(random_state=seed), LinearSVC(random_state=seed)

    return _scaled(steps)


def _statistics(C, **params):
    def build(sparse, seed):
        from sklearn.pipeline import make_pipeline
        from sklearn.svm import SVC

        return make_pipeline(skmil.BagStatistics(**params), _scaler(sparse), SVC(C=C))

    return build


@_scaled
def _citation_knn(seed):
    return [skmil.CitationKNNClassifier(metric="minimum")]  # the distance of the paper


@_scaled
def _hausdorff_knn(seed):
    from sklearn.neighbors import KNeighborsClassifier

    return skmil.BagDistance(metric="hausdorff"), KNeighborsClassifier(metric="precomputed")


@_scaled
def _em_dd(seed):
    return [skmil.EMDDClassifier()]


@_scaled
def _sil_lr(seed):
    return [skmil.SingleInstanceClassifier()]


@_scaled
def _sil_svm(seed):
    from sklearn.svm import SVC

    return [skmil.SingleInstanceClassifier(SVC(random_state=seed))]


ESTIMATORS = {
    "dp-minn": Entry("DP-MINN", "networks with dynamic pooling", _network("DPMINNClassifier")),
    "dp-minn-length": Entry(
        "DP length",
        "DP-MINN with lengths of single embeddings",
        _network("DPMINNClassifier", probability="length"),
    ),
    "dp-minn-ce": Entry(
        "DP-MINN CE",
        "DP-MINN with cross-entropy",
        _network("DPMINNClassifier", loss="cross_entropy"),
    ),
    "mi-net": Entry("MI-Net", "network that pools embeddings", _network("MINetClassifier")),
    "mi-net-ds": Entry(
        "MI-Net DS",
        "MI-Net with deep supervision",
        _network("MINetClassifier", variant="deep_supervision"),
    ),
    "mi-net-rc": Entry(
        "MI-Net RC",
        "MI-Net with residual connections",
        _network("MINetClassifier", variant="residual"),
    ),
    "instance-net": Entry(
        "mi-Net", "network that classifies instances", _network("InstanceNetClassifier")
    ),
    "attention": Entry(
        "attention", "network with attention pooling", _network("AttentionMILClassifier")
    ),
    "gated-attention": Entry(
        "gated att.",
        "network with gated attention",
        _network("AttentionMILClassifier", gated=True),
    ),
    "misvm-bag": Entry("MI-SVM", "SVM on one witness per positive bag", _misvm("bag")),
    "misvm-instance": Entry("mi-SVM", "SVM that labels all instances", _misvm("instance")),
    "mi-kernel": Entry("MI-Kernel", "SVM, normalised set kernel of bags", _bag_kernel("set", 1.0)),
    "mi-graph": Entry("miGraph", "SVM, miGraph kernel of bags", _bag_kernel("graph", 10.0)),
    "miles": Entry("MILES", "1-norm SVM on similarity to instances", _miles),
    "mi-vlad": Entry("miVLAD", "linear SVM on sums of residuals", _codebook("BagVLAD")),
    "mi-fv": Entry("miFV", "linear SVM on Fisher vectors of bags", _codebook("BagFisherVector")),
    "citation-knn": Entry("cit. kNN", "nearest bags, in both directions", _citation_knn),
    "hausdorff-knn": Entry("Hausdorff", "nearest bags by Hausdorff distance", _hausdorff_knn),
    "em-dd": Entry("EM-DD", "a point near each positive bag", _em_dd),
    "sil-lr": Entry("SIL-LR", "logistic regression on single instances", _sil_lr),
    "sil-svm": Entry("SIL-SVM", "SVM on single instances", _sil_svm),
    "statistics": Entry("statistics", "SVM on statistics of each bag", _statistics(C=1.0)),
    "mean": Entry("mean", "SVM on the mean of each bag", _statistics(C=3.0, statistics=("mean",))),
}

#: The estimators compared unless the user names others.
DEFAULT = ("dp-minn", "misvm-bag", "misvm-instance", "statistics")
