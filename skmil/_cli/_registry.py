"""The estimators that the command line knows by name.

To add one, write a function that builds it and a line of the table. Imports stay inside the
functions: listing the names loads neither torch nor scikit-learn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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


def _citation_knn(sparse, seed):
    from sklearn.pipeline import make_pipeline

    from skmil.compose import InstanceTransformer
    from skmil.neighbors import CitationKNNClassifier

    # The distance of the paper.
    return make_pipeline(
        InstanceTransformer(_scaler(sparse)), CitationKNNClassifier(metric="minimum")
    )


def _dp_minn(sparse, seed):
    from skmil.neural import DPMINNClassifier

    return DPMINNClassifier(random_state=seed)  # scales by itself


def _hausdorff_knn(sparse, seed):
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    from skmil.compose import InstanceTransformer
    from skmil.neighbors import BagDistance

    return make_pipeline(
        InstanceTransformer(_scaler(sparse)),
        BagDistance(metric="hausdorff"),
        KNeighborsClassifier(metric="precomputed"),
    )


def _mi_fv(sparse, seed):
    from sklearn.svm import LinearSVC

    from skmil.embedding import BagFisherVector

    return _embedded(BagFisherVector(random_state=seed), LinearSVC(random_state=seed), sparse)


def _mi_vlad(sparse, seed):
    from sklearn.svm import LinearSVC

    from skmil.embedding import BagVLAD

    return _embedded(BagVLAD(random_state=seed), LinearSVC(random_state=seed), sparse)


def _miles(sparse, seed):
    from sklearn.svm import LinearSVC

    from skmil.embedding import MILESEmbedding

    svm = LinearSVC(penalty="l1", dual=False, max_iter=100_000, random_state=seed)
    return _embedded(MILESEmbedding(), svm, sparse)
def _em_dd(sparse, seed):
    from sklearn.pipeline import make_pipeline

    from skmil.compose import InstanceTransformer
    from skmil.diverse_density import EMDDClassifier

    return make_pipeline(InstanceTransformer(_scaler(sparse)), EMDDClassifier())
def _mi_net(sparse, seed):
    return _mi_net_variant("plain", seed)


def _mi_net_ds(sparse, seed):
    return _mi_net_variant("deep_supervision", seed)


def _mi_net_rc(sparse, seed):
    return _mi_net_variant("residual", seed)


def _instance_net(sparse, seed):
    from skmil.neural import InstanceNetClassifier

    return InstanceNetClassifier(random_state=seed)  # scales by itself


def _attention(sparse, seed):
    from skmil.neural import AttentionMILClassifier

    return AttentionMILClassifier(random_state=seed)  # scales by itself


def _gated_attention(sparse, seed):
    from skmil.neural import AttentionMILClassifier

    return AttentionMILClassifier(gated=True, random_state=seed)  # scales by itself


def _misvm_bag(sparse, seed):
    return _misvm("bag", sparse)


def _misvm_instance(sparse, seed):
    return _misvm("instance", sparse)


def _mi_kernel(sparse, seed):
    return _bag_kernel("set", 1.0, sparse)


def _mi_graph(sparse, seed):
    return _bag_kernel("graph", 10.0, sparse)


def _sil_lr(sparse, seed):
    return _single_instance(None, sparse)


def _sil_svm(sparse, seed):
    from sklearn.svm import SVC

    return _single_instance(SVC(random_state=seed), sparse)


def _statistics(sparse, seed):
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    from skmil.embedding import BagStatistics

    return make_pipeline(BagStatistics(), _scaler(sparse), SVC())


def _embedded(embedding, classifier, sparse):
    from sklearn.pipeline import make_pipeline

    from skmil.compose import InstanceTransformer

    return make_pipeline(InstanceTransformer(_scaler(sparse)), embedding, classifier)
def _mi_net_variant(variant, seed):
    from skmil.neural import MINetClassifier

    return MINetClassifier(variant=variant, random_state=seed)  # scales by itself


def _misvm(formulation, sparse):
    from sklearn.pipeline import make_pipeline

    from skmil.compose import InstanceTransformer
    from skmil.svm import MISVMClassifier

    return make_pipeline(
        InstanceTransformer(_scaler(sparse)), MISVMClassifier(formulation=formulation)
    )


def _bag_kernel(method, C, sparse):
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    from skmil.compose import InstanceTransformer
    from skmil.kernels import BagKernel

    return make_pipeline(
        InstanceTransformer(_scaler(sparse)),
        BagKernel(method=method),
        SVC(kernel="precomputed", C=C),
    )


def _single_instance(classifier, sparse):
    from sklearn.pipeline import make_pipeline

    from skmil.compose import InstanceTransformer, SingleInstanceClassifier

    return make_pipeline(InstanceTransformer(_scaler(sparse)), SingleInstanceClassifier(classifier))


def _scaler(sparse):
    """Return a scaler that keeps sparse data sparse."""
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    return MaxAbsScaler() if sparse else StandardScaler()


ESTIMATORS = {
    "citation-knn": Entry("cit. kNN", "nearest bags, in both directions", _citation_knn),
    "dp-minn": Entry("DP-MINN", "network with dynamic pooling", _dp_minn),
    "hausdorff-knn": Entry("Hausdorff", "nearest bags by Hausdorff distance", _hausdorff_knn),
    "mi-fv": Entry("miFV", "linear SVM on Fisher vectors of bags", _mi_fv),
    "mi-vlad": Entry("miVLAD", "linear SVM on sums of residuals", _mi_vlad),
    "miles": Entry("MILES", "L1 SVM on similarity to instances", _miles),
    "mi-graph": Entry("miGraph", "SVM, miGraph kernel of bags", _mi_graph),
    "mi-kernel": Entry("MI-Kernel", "SVM, normalised set kernel of bags", _mi_kernel),
    "em-dd": Entry("EM-DD", "a point near each positive bag", _em_dd),
    "mi-net": Entry("MI-Net", "network that pools instance embeddings", _mi_net),
    "mi-net-ds": Entry("MI-Net DS", "MI-Net with deep supervision", _mi_net_ds),
    "mi-net-rc": Entry("MI-Net RC", "MI-Net with residual connections", _mi_net_rc),
    "instance-net": Entry("mi-Net", "network that classifies instances", _instance_net),
    "attention": Entry("attention", "network with attention pooling", _attention),
    "gated-attention": Entry("gated att.", "network with gated attention", _gated_attention),
    "misvm-bag": Entry("MI-SVM", "SVM on one witness per positive bag", _misvm_bag),
    "misvm-instance": Entry("mi-SVM", "SVM that labels all instances", _misvm_instance),
    "sil-lr": Entry("SIL-LR", "logistic regression on single instances", _sil_lr),
    "sil-svm": Entry("SIL-SVM", "SVM on single instances", _sil_svm),
    "statistics": Entry("statistics", "SVM on statistics of each bag", _statistics),
}

#: The estimators compared unless the user names others.
DEFAULT = ("dp-minn", "misvm-bag", "misvm-instance", "statistics")
