"""DP-MINN: deep multiple instance network with dynamic pooling."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import torch

from skmil._sklearn import Interval, StrOptions
from skmil.base import split_by_bag
from skmil.functional import average_probability
from skmil.functional._capsules import SMALLEST
from skmil.neural._base import BaseNeuralBagClassifier, check_widths, count_logits
from skmil.neural._calibration import CalibrationMixin
from skmil.neural._embedding import BagEmbeddingMixin
from skmil.neural._loader import evenly_spread
from skmil.nn import (
    DPMINN,
    CrossEntropyLoss,
    DPMINNEnsemble,
    EnsembleLoss,
    MarginLoss,
    scale_to_probability,
)
from skmil.nn._encoder import truncated_normal


class DPMINNClassifier(CalibrationMixin, BagEmbeddingMixin, BaseNeuralBagClassifier):
    """Deep multiple instance classifier with dynamic pooling (DP-MINN).

    An encoder embeds every instance; dynamic pooling weighs the instances of a bag by
    their agreement with the bag's embedding, `T` times; the length of the embedding gives the
    probability of a class [1]_. Of two classes the positive one is the second of the sorted
    labels.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 64, 32)
        Widths of the encoder's layers, in each of the `n_members` networks. The last is the width
        of an embedding. The paper has 256, 128 and 64.
    T : int, default=3
        Iterations of dynamic pooling. 1 is mean pooling.
    margin_positive : float, default=0.9
        A bag of the class with a probability of at least this costs nothing.
    margin_negative : float, default=0.1
        A bag of another class with a probability of at most this costs nothing.
    loss : {"margin", "cross_entropy"}, default="margin"
        "cross_entropy" puts a logistic layer on the pooled embedding instead of taking its
        length, the ablation of [1]_.
    probability : {"relative", "length"}, default="relative"
        How the lengths n of embeddings become probabilities, with ``loss="margin"``. "relative"
        has an embedding for each class k, and compares them: ``n_k^2 / sum_j n_j^2``. It goes
        beyond the paper. "length" is the paper: two classes have a single embedding, and
        ``n^2 / (1 + n^2)`` is the probability of the positive one. More classes have an embedding
        each, as in capsule networks, each with a probability of its own in the loss.
    routing_gradient : {"full", "last"}, default="full"
        Whether the gradient flows through all iterations of the pooling, or the instance
        weights count as constants. The paper does not say.
    init : {"scaled", "paper"}, default="scaled"
        How the weights start. "scaled" draws those of the encoder with variance 2 / fan-in, and
        then scales the embeddings so that training can begin, see Notes; it goes beyond the paper.
        "paper" draws all weights from a normal of standard deviation 0.05, cut at two
        deviations, and leaves it at that. Biases are zero.
    dropout : float, default=0.3
        Probability of dropping a unit between the layers of the encoder, in training.
    n_members : int, default=5
        How many networks are trained side by side, from different weights and with different units
        dropped. The mean of their probabilities is more accurate than that of a single network,
        and depends less on the seed; time and memory grow with their number. With 1 and without
        `calibration_cv`, training takes about an eighth of the time. The networks are
        ``net_.module_.members``; their losses are averaged in `loss_curve_`, and `early_stopping`
        ends them together. It goes beyond the paper [2]_.
    calibration_cv : int or None, default=5
        Into how many parts the training bags are divided to calibrate the probabilities. For each
        part a single network is trained on the others, for as many epochs as those of `n_members`,
        and scores the bags of the part. Then `intercept_` is added to all scores, such that the
        mean probabilities of these bags, which their network has not seen, are about the shares
        of the classes, by `sample_weight` times `class_weight`. Fewer parts are taken if a class
        has fewer bags with a weight, and scores stay as they are if it has fewer than two.
        :meth:`partial_fit` leaves `intercept_` as it is; with `warm_start` each call finds it anew,
        by networks that are trained from the start for all epochs so far, and `calibration_cv` may
        change in between. Of `callbacks`, these networks have those of the classes
        ``LRScheduler``, by the training loss or none, ``GradientNormClipping`` and ``ParamMapper``
        only, so that nothing is logged or saved more than once. It takes half of the time of
        :meth:`fit` for large bags, two thirds for small ones; None adds nothing to scores. It goes
        beyond the paper [3]_.
    scale : {"auto", "standard", "rank"} or bool, default="auto"
        How to scale features, by the training instances. "standard", or True, gives them mean 0
        and variance 1. "rank" takes the mean of that, cut at 3, and of the normal score of the
        value's rank: outliers are bounded, and what lies close together is spread, but it takes
        longer. It goes beyond the papers. "auto" is "rank" for up to 2^24 (17 million) training
        values and "standard" for more. False leaves features as they are. Constant features
        become 0, unless nothing is scaled.
    max_epochs : int, default=60
        Passes over the training bags.
    batch_size : int, default=32
        Bags in a step.
    learning_rate : float, default=0.002
        Step size of the optimiser in the first epoch.
    learning_rate_decay : float, default=0.967
        What the learning rate is multiplied by after each epoch; 1 keeps it constant.
    weight_decay : float, default=0.02
        Strength of the L2 penalty: coupled for "adam" and "sgd", decoupled for "adamw".
    optimizer : {"adam", "adamw", "sgd"} or torch optimizer class, default="adam"
        "sgd" has a Nesterov momentum of 0.9.
    early_stopping : bool, default=False
        Whether to hold out training bags, stop when their loss has not improved for
        `n_iter_no_change` epochs, and go back to the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the training bags held out by `early_stopping`, stratified by class.
    n_iter_no_change : int, default=10
        Epochs without improvement after which `early_stopping` stops.
    tol : float, default=0.0001
        Decrease of the validation loss that counts as an improvement.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, by label. "balanced" gives all classes the same
        total weight.
    warm_start : bool, default=False
        Whether :meth:`fit` goes on with the net of the call before, for `max_epochs` more,
        with the same classes and the same scaling. In between, only `max_epochs`,
        `class_weight`, `validation_fraction`, `max_instances`, `instance_dropout`,
        `chunk_size`, `gradient_checkpointing`, `mixed_precision`, `data_parallel` and `verbose`
        may change; `random_state`, `device`, `callbacks` and `net_params` stay those of the first
        call, whatever they are set to.
    max_instances : int or None, default=None
        Most instances of a bag to train on. Of a larger bag so many are drawn anew in each epoch;
        predictions, and the loss of held-out bags, use all. None trains on all.
    instance_dropout : float, default=0.0
        Probability of leaving an instance out of its bag, in each training step anew; at least one
        stays. Predictions, and the loss of held-out bags, use all. It goes beyond the papers.
    chunk_size : int or "auto", default="auto"
        Instances that are embedded at a time to predict, and to train with
        `gradient_checkpointing`. It bounds the memory; results differ by rounding only, but for
        what `dropout` draws with `gradient_checkpointing`. "auto" is 1,024 on the CPU, whose
        cache holds so many, and 16,384 elsewhere.
    gradient_checkpointing : bool, default=False
        Whether training keeps the embeddings of instances only, and computes the layers before
        them once more for the gradient: less memory for more time.
    mixed_precision : {"bf16"} or None, default=None
        "bf16" trains with the encoder's matrix products in bfloat16, on devices that are fast at
        it; weights, pooling, loss and predictions keep their precision. Needs
        ``dtype="float32"``.
    data_parallel : bool, default=False
        Whether the processes of ``torch.distributed`` train one network together, each on a part
        of every step. All of them call :meth:`fit` with the same arguments; see
        :ref:`data-parallel`.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network.
    device : str or torch.device, default="auto"
        Where to train and predict. "auto" takes a CUDA device if there is one.
    callbacks : list of skorch callbacks, default=None
        Called during training. Copies are used: read them from ``net_.callbacks_``. Those
        that predict with the net, such as ``EpochScoring``, do not know bags and fail.
    net_params : dict, default=None
        Further arguments of the :class:`skorch.NeuralNet`, for what has no parameter here:
        those of the optimizer, such as Adam's ``{"optimizer__betas": (0.8, 0.99)}``,
        parameter groups, ``torch_load_kwargs``.
    verbose : int, default=0
        1 shows a progress bar with the loss and the time left, on standard error.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, order of bags, what is dropped, left out or drawn, and the split of
        `early_stopping`. The same integer gives the same result on the same machine.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted. Of two, ``classes_[1]`` is the positive one.
    n_features_in_ : int
        Number of features seen in :meth:`fit`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the features; only if the bags have names.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        What `calibration_cv` adds to the scores: to the log-odds of two classes, or to the score of
        each of more. Zero without it.
    n_iter_ : int
        Number of epochs the net was trained for.
    loss_curve_ : list of float of length `n_iter_`
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float of length `n_iter_`, or None
        Mean loss of the held-out bags after each epoch; None without `early_stopping`.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    scaler_ : object or None
        The fitted scaler of the features, a :class:`sklearn.preprocessing.StandardScaler` if they
        are scaled to mean 0 and variance 1; None if `scale` is False.

    See Also
    --------
    AttentionMILClassifier : Network with learnt instance weights.
    MINetClassifier : Network with maximum or mean pooling.
    MISVMClassifier : Support vector machines for bags.
    BagStatistics : Bags to rows, for any classifier of rows.
    skmil.functional.dynamic_pooling : The pooling itself.

    Notes
    -----
    The squash ``p = n^2 / (1 + n^2)`` of the embedding's length n is flat near n = 0 and
    for large n, and n is also the temperature of the pooling, so training must not start
    at either end. With ``init="scaled"`` the fresh encoder is therefore scaled once, on the
    training bags or a sample of many large ones, such that the mean of p over them, of each class
    that has an embedding, is 0.5 after all `T` iterations. That is the length n = 1, where the
    slope is large, and where the classes have equal shares. This holds for any
    scale and spread of the input, so raw descriptors and TF-IDF vectors start alike. (Of many
    instances, up to 4,096 of a bag and about 131,072 in all are looked at.)

    Loss and scores are finite for every finite input, because the probability is computed
    from n^2 without a square root.

    **The configuration of the paper.** The defaults were chosen for accuracy on new data, and go
    beyond the paper: it has a single, wider network, neither ``probability="relative"`` nor
    ``scale="rank"`` nor `dropout` nor ``init="scaled"`` nor `calibration_cv`, and takes one bag a
    step. For data of the size of Musk1, with 83 training bags, its configuration is
    ``DPMINNClassifier((256, 128, 64), n_members=1, calibration_cv=None, probability="length",
    init="paper", scale="standard", dropout=0.0, batch_size=1, learning_rate=5e-4,
    weight_decay=5e-3, max_epochs=120, learning_rate_decay=0.96 ** (83 / 250))``: about 10,000
    steps, and 0.96 times the learning rate after every 250. How features are scaled the paper does
    not say. The settings for all its data sets are in ``benchmarks/accuracy/_methods.py``.

    With ``loss="margin"``, :meth:`transform` gives the squashed bag embeddings, of length p,
    those of all classes side by side; with ``loss="cross_entropy"``,
    the weighted sums that enter the logistic layer. Those of several members follow each other.

    References
    ----------
    .. [1] Yan, Y., Wang, X., Guo, X., Fang, J., Liu, W., Huang, J. (2018). Deep
       multi-instance learning with dynamic pooling. Proceedings of the 10th Asian
       Conference on Machine Learning, PMLR 95:662-677.
       https://proceedings.mlr.press/v95/yan18a.html
    .. [2] Lakshminarayanan, B., Pritzel, A., Blundell, C. (2017). Simple and scalable predictive
       uncertainty estimation using deep ensembles. Advances in Neural Information Processing
       Systems 30. https://doi.org/10.48550/arXiv.1612.01474

    .. [3] Steyerberg, E. W., Borsboom, G. J. J. M., van Houwelingen, H. C., Eijkemans, M. J. C.,
       Habbema, J. D. F. (2004). Validation and updating of predictive logistic regression models:
       a study on sample size and shrinkage. Statistics in Medicine 23(16):2567-2586.
       https://doi.org/10.1002/sim.1844

    Examples
    --------
    >>> from skmil import DPMINNClassifier
    >>> from skmil.datasets import load_digit_bags
    >>> X, y = load_digit_bags(random_state=0, return_X_y=True)
    >>> classifier = DPMINNClassifier(random_state=0).fit(X[:150], y[:150])
    >>> classifier.score(X[150:], y[150:]) > 0.8
    True
    >>> weights = classifier.instance_weights(X[150:])
    >>> len(weights[0]) == len(X[150])
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseNeuralBagClassifier._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "T": [Interval(Integral, 1, None, closed="left")],
        "margin_positive": [Interval(Real, 0, 1, closed="right")],
        "margin_negative": [Interval(Real, 0, 1, closed="left")],
        "loss": [StrOptions({"margin", "cross_entropy"})],
        "probability": [StrOptions({"relative", "length"})],
        "routing_gradient": [StrOptions({"full", "last"})],
        "init": [StrOptions({"scaled", "paper"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        **CalibrationMixin._parameter_constraints,
        "n_members": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 64, 32),
        *,
        T=3,
        margin_positive=0.9,
        margin_negative=0.1,
        loss="margin",
        probability="relative",
        routing_gradient="full",
        init="scaled",
        dropout=0.3,
        n_members=5,
        calibration_cv=5,
        scale="auto",
        max_epochs=60,
        batch_size=32,
        learning_rate=2e-3,
        learning_rate_decay=0.967,
        weight_decay=0.02,
        optimizer="adam",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        class_weight=None,
        warm_start=False,
        max_instances=None,
        instance_dropout=0.0,
        chunk_size="auto",
        gradient_checkpointing=False,
        mixed_precision=None,
        data_parallel=False,
        dtype="float32",
        device="auto",
        callbacks=None,
        net_params=None,
        verbose=0,
        random_state=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.T = T
        self.margin_positive = margin_positive
        self.margin_negative = margin_negative
        self.loss = loss
        self.probability = probability
        self.routing_gradient = routing_gradient
        self.init = init
        self.dropout = dropout
        self.n_members = n_members
        self.calibration_cv = calibration_cv
        self.scale = scale
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.max_instances = max_instances
        self.instance_dropout = instance_dropout
        self.chunk_size = chunk_size
        self.gradient_checkpointing = gradient_checkpointing
        self.mixed_precision = mixed_precision
        self.data_parallel = data_parallel
        self.dtype = dtype
        self.device = device
        self.callbacks = callbacks
        self.net_params = net_params
        self.verbose = verbose
        self.random_state = random_state

    def instance_weights(self, X):
        """Return how much each instance contributes to the embedding of its bag.

        Parameters
        ----------
        X : bags
            Bags.

        Returns
        -------
        weights : list of ndarray of shape (n_instances,)
            One array per bag, non-negative and summing to 1. Where each class has an embedding,
            the weights in that of the predicted class; of several members the mean.
        """
        bags = self._checked(X)
        scores, _, weights = self._run(bags)
        if weights.shape[-1] > 1:  # of as many capsules as classes
            decision = self._scores_to_decision(scores)
            is_binary = decision.shape[1] == 1
            capsule = decision[:, 0] > 0 if is_binary else decision.argmax(axis=1)
            weights = weights[np.arange(len(weights)), ..., capsule.astype(int)[bags.bag_index]]
        return split_by_bag(weights.reshape(len(weights), -1).mean(axis=1), bags)

    def _build_network(self, n_features, n_classes):
        if self.n_members == 1:
            return self._build_member(n_features, n_classes)
        members = (self._build_member(n_features, n_classes) for _ in range(self.n_members))
        return DPMINNEnsemble(members)

    def _build_member(self, n_features, n_classes):
        by_length = self.loss == "margin"
        relative = by_length and self.probability == "relative"
        n_outputs = n_classes if relative else count_logits(n_classes)
        return DPMINN(
            n_features,
            check_widths(self.hidden_layer_sizes),
            n_capsules=n_outputs if by_length else 1,
            n_logits=None if by_length else n_outputs,
            T=self.T,
            routing_gradient=self.routing_gradient,
            dropout=self.dropout,
        )

    def _build_loss(self, n_classes):
        loss = self._build_member_loss()
        return loss if self.n_members == 1 else EnsembleLoss(loss)

    def _build_member_loss(self):
        if self.loss == "cross_entropy":
            return CrossEntropyLoss()
        if self.margin_negative >= self.margin_positive:
            raise ValueError(
                "margin_negative must be below margin_positive, got "
                f"{self.margin_negative} and {self.margin_positive}."
            )
        return MarginLoss(
            self.margin_positive, self.margin_negative, self.probability == "relative"
        )

    def _prepare_network(self, network, training_set):
        """Start as the paper does, or with bags half way between the classes."""
        if self.init == "paper":
            network.apply(truncated_normal)
            return
        indices, batches = evenly_spread(training_set)
        parts = [(batch.instances, batch.bag_index, batch.n_bags) for batch in batches]
        _, weights = training_set.targets(indices)
        for member in network.members:
            scale_to_probability(member, parts, weights)

    def _scores_to_decision(self, scores):
        """Turn scores into log-odds of two classes, or into logarithms of more, and shift them."""
        network, loss = self.net_.module_, self.net_.criterion_
        if isinstance(network, DPMINNEnsemble):
            decisions = _decision(scores.reshape(-1, scores.shape[2]), loss.loss)
            decisions = decisions.reshape(*scores.shape[:2], -1)
            decisions = average_probability(torch.from_numpy(decisions)).numpy()
        else:
            decisions = _decision(scores, loss)
        return decisions + self.intercept_.astype(decisions.dtype)


def _decision(scores, loss):
    """Turn the squared lengths of a network into logarithms, or log-odds of two; logits stay."""
    if not isinstance(loss, MarginLoss):
        return scores
    if not loss.relative:  # log n^2 = log(p / (1 - p))
        return np.log(np.maximum(scores, np.finfo(scores.dtype).tiny))
    scores = np.log(scores + scores.dtype.type(SMALLEST))
    return scores[:, 1:] - scores[:, :1] if scores.shape[1] == 2 else scores
