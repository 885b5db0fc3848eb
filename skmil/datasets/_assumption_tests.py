"""Data with a trap: training and test bags that show whether a model breaks an assumption."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skmil.bags import Bags
from skmil.datasets._checks import check_integer
from skmil.datasets._layout import check_bag_size, draw_sizes

# Labels of instances besides 0, the background, and 1 and 2, the concepts.
POISON = -1

_DESCRIPTION = """\
{title}
{line}

**Data set characteristics**

:Number of bags: {n_bags} to train with, {n_bags} to test with, half of them positive
:Number of features: {n_features}
:Instance labels: {labels}

What makes a bag positive: {assumption}

The trap: {trap}

The criterion is the area under the ROC curve on the test bags. A model that keeps to the
assumption is above 0.5, ideally near 1. A model that has learnt what the trap offers is below
0.5, near 0, though it may be perfect on the training bags. To be above 0.5 does not prove that a
model keeps to the assumption; to be far below 0.5 with a good fit proves that it does not.

Edward Raff, James Holt, "Reproducibility in Multiple Instance Learning: A Case For Algorithmic
Unit Tests", Advances in Neural Information Processing Systems 36, 2023, arXiv:2310.17867.
"""

_TEXTS = {
    "single_concept": {
        "labels": "1 for the concept, 0 for background, -1 for poison",
        "assumption": "one instance of the concept is enough, the standard assumption.",
        "trap": (
            "every negative bag of the training part holds a poison instance, and none of the\n"
            "positive ones does. In the test part it is the other way round. The absence of "
            "something\nmust not make a bag positive."
        ),
    },
    "multi_concept": {
        "labels": "1 and 2 for the two concepts, 0 for background, -1 for poison",
        "assumption": (
            "it holds both concepts, the presence-based assumption. A negative\n"
            "bag holds one of them."
        ),
        "trap": (
            "every negative bag of the training part holds a poison instance, and none of the\n"
            "positive ones does. In the test part it is the other way round."
        ),
    },
    "false_frequency": {
        "labels": "1 and 2 for the two concepts, 0 for background",
        "assumption": (
            "it holds both concepts, the presence-based assumption. A negative\n"
            "bag holds one of them."
        ),
        "trap": (
            "in the training part a negative bag holds its concept once, so that positive bags\n"
            "have more instances of concepts. In the test part a negative bag holds its concept "
            "35 to\n45 times. How often something occurs must not stand for what occurs."
        ),
    },
}


def make_assumption_test(
    test="single_concept",
    *,
    n_bags=200,
    n_features=16,
    n_background=(1, 9),
    random_state=None,
):
    """Generate training and test bags that show whether a model breaks the MIL assumption.

    There are training bags and test bags. The training bags can be told apart in two ways: as
    the assumption says, or by an easier rule which breaks it, the trap. The test bags follow
    the same assumption, but there the easier rule is reversed. So a model that keeps to the
    assumption ranks test bags well, and a model that has learnt the trap ranks them worse
    than chance. The three tests are those of Raff and Holt [1]_:

    "single_concept"
        A bag is positive if it holds an instance of the concept: the standard assumption.
        All negative bags hold a poison instance, far away from everything else, in the
        training part; all positive bags do in the test part. A model may learn "positive
        unless there is poison", which the standard assumption forbids.
    "multi_concept"
        A bag is positive if it holds both of two concepts; negative bags hold one of them.
        The poison is placed as before.
    "false_frequency"
        A bag is positive if it holds both of two concepts; negative bags hold one of them,
        once in the training part, and 35 to 45 times in the test part. There is no poison. A
        model may learn to count.

    The criterion is the area under the ROC curve on the test bags (AUC): above 0.5, ideally
    near 1, for a model that keeps to the assumption; below 0.5 for one that does not. A model
    of the standard assumption, which scores a bag by its best instance alone, should come near
    1 in the first test. The other two ask for more than that: it can rank one concept above
    the other, so that half of the negative bags are as good as positive ones, about 0.75. Nor
    is such a model safe from the trap of the third test, for the best of 40 noisy scores is
    higher than the best of two.

    Parameters
    ----------
    test : {"single_concept", "multi_concept", "false_frequency"}, default="single_concept"
        Which test.
    n_bags : int, default=200
        Number of bags in each part, at least two. Half of them are positive, rounded down.
    n_features : int, default=16
        Number of features.
    n_background : int, (int, int) or frozen distribution, default=(1, 9)
        Number of background instances in a bag, in the forms of `bag_size` in
        :func:`make_bags`.
    random_state : int, RandomState instance or None, default=None
        Determines the bags. Pass an int for the same bags in every call.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags_train, bags_test : Bags of shape (n_bags,)
            The bags to train with and to test with.
        target_train, target_test : ndarray of int64 of shape (n_bags,)
            1 for positive bags, 0 for negative ones.
        instance_labels_train, instance_labels_test : ndarray of int64 of shape (n_instances,)
            1, in the second and third test also 2, for instances of a concept, 0 for
            background, -1 for poison, in the order of the ``instances`` of the bags.
        DESCR : str
            What the bags are like, and what the AUC tells.

    See Also
    --------
    make_bags : Bags that follow an assumption, without a trap.

    Notes
    -----
    All features of an instance are independent normal values with these means and standard
    deviations:

    ================  ==================  ===========================
    instance          single concept      two concepts
    ================  ==================  ===========================
    background        0, 1                0, 1
    poison            -10, 0.1            -10, 0.1
    concept 1         0, 3 or 1, 1        2, 0.1
    concept 2                             3, 0.1
    ================  ==================  ===========================

    An instance of the single concept comes from one or the other distribution with the same
    chance. A positive bag holds one to three instances of the single concept, or of each of
    the two in the second test, and one of each in the third.

    These figures are those of the implementation in torchmil [2]_, which says that it follows
    the algorithms 1 to 3 of the paper; they were not compared with the print. Where it leaves
    a choice, or does what is hardly meant, this is what is done here:

    - The numbers of bags, features and, in the first test, background instances are
      arguments there, without defaults. Those here are small enough for slow models; the
      range of the background is that of the other two tests.
    - The second parameter of a normal distribution is taken for the standard deviation.
    - In the second test both concepts occur equally often in a positive bag.
    - In a negative bag, the concept is either of the two with the same chance, also in the
      third test. (There, torchmil draws from a range with a single element, so that it is
      always the first; then the second concept alone would tell the bags apart.)
    - In the third test the range of one to two copies in training bags is that of Python, so
      it is always one copy: otherwise counting would not be perfect on the training part.
    - The instances and the bags are in random order.

    References
    ----------
    .. [1] E. Raff, J. Holt, "Reproducibility in Multiple Instance Learning: A Case For
       Algorithmic Unit Tests", Advances in Neural Information Processing Systems 36, 2023.
       :arxiv:`2310.17867`

    .. [2] torchmil, ``torchmil.datasets.SCStandardMILDataset``, ``MCStandardMILDataset`` and
       ``FalseFrequencyMILDataset``, https://github.com/Franblueee/torchmil

    Examples
    --------
    An SVM on the mean, spread and range of each feature falls for the poison:

    >>> from sklearn.metrics import get_scorer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skmil import BagStatistics
    >>> from skmil.datasets import make_assumption_test
    >>> data = make_assumption_test("single_concept", random_state=0)
    >>> model = make_pipeline(BagStatistics(), SVC()).fit(data.bags_train, data.target_train)
    >>> float(get_scorer("roc_auc")(model, data.bags_train, data.target_train))
    1.0
    >>> float(get_scorer("roc_auc")(model, data.bags_test, data.target_test))
    0.0
    """
    if test not in _TEXTS:
        raise ValueError(f"test must be one of {', '.join(_TEXTS)}; got {test!r}.")
    check_integer("n_bags", n_bags, 2)
    check_integer("n_features", n_features, 1)
    check_bag_size(n_background, name="n_background")
    rng = check_random_state(random_state)
    data = Bunch(DESCR=_describe(test, n_bags, n_features))
    for part in ("train", "test"):
        target = np.arange(n_bags) % 2
        rng.shuffle(target)
        n_concept, n_poison = _draw_counts(test, target, part == "test", rng)
        sizes = draw_sizes(n_background, n_bags, 1, rng, name="n_background")
        counts = np.column_stack([n_poison, sizes, n_concept])
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
        labels = np.repeat(np.tile([POISON, 0, 1, 2], n_bags), counts.ravel())
        labels = _shuffle_in_bags(labels, offsets, rng)
        data[f"bags_{part}"] = Bags(_draw_instances(test, labels, n_features, rng), offsets)
        data[f"target_{part}"] = target
        data[f"instance_labels_{part}"] = labels
    return data


def _describe(test, n_bags, n_features):
    title = f"Algorithmic unit test of multiple instance learning: {test}"
    return _DESCRIPTION.format(
        title=title,
        line="-" * len(title),
        n_bags=n_bags,
        n_features=n_features,
        **_TEXTS[test],
    )


def _draw_counts(test, target, is_test, rng):
    """Return how many instances of the two concepts and of the poison each bag holds."""
    n_bags = len(target)
    is_positive = target == 1
    n_concept = np.zeros((n_bags, 2), dtype=np.int64)
    if test == "single_concept":
        n_concept[:, 0] = np.where(is_positive, rng.randint(1, 4, size=n_bags), 0)
    else:
        n_each = rng.randint(1, 4, size=n_bags) if test == "multi_concept" else 1
        n_alone = rng.randint(35, 46, size=n_bags) if test == "false_frequency" and is_test else 1
        which = rng.randint(2, size=n_bags)
        for k in range(2):
            n_concept[:, k] = np.where(is_positive, n_each, n_alone * (which == k))
    if test == "false_frequency":
        n_poison = np.zeros(n_bags, dtype=np.int64)
    else:
        n_poison = (is_positive == is_test).astype(np.int64)
    return n_concept, n_poison


def _shuffle_in_bags(labels, offsets, rng):
    """Put the instances of each bag in random order."""
    bag_index = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return labels[np.lexsort((rng.uniform(size=len(labels)), bag_index))]


def _draw_instances(test, labels, n_features, rng):
    """Return a row of features for each instance label."""
    mean = np.choose(labels + 1, [-10.0, 0.0, 2.0, 3.0])
    spread = np.choose(labels + 1, [0.1, 1.0, 0.1, 0.1])
    if test == "single_concept":
        is_wide = rng.uniform(size=len(labels)) < 0.5
        is_concept = labels == 1
        mean[is_concept] = np.where(is_wide, 0.0, 1.0)[is_concept]
        spread[is_concept] = np.where(is_wide, 3.0, 1.0)[is_concept]
    noise = rng.standard_normal((len(labels), n_features))
    return mean[:, np.newaxis] + spread[:, np.newaxis] * noise
