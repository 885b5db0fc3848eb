"""MI-Net: the instances of a bag are pooled into one vector, which is classified."""

from numbers import Integral, Real
from typing import ClassVar

from skmil._sklearn import Interval, StrOptions
from skmil.neural._base import BaseNeuralBagClassifier, check_widths, count_logits
from skmil.neural._embedding import BagEmbeddingMixin
from skmil.nn import CrossEntropyLoss, DeepSupervisionLoss, MINet


class MINetClassifier(BagEmbeddingMixin, BaseNeuralBagClassifier):
    """Deep multiple instance classifier that pools instance embeddings (MI-Net).

    An encoder embeds every instance, the embeddings of a bag are pooled into one vector, and
    a linear layer classifies the vector, with cross-entropy as the loss [1]_.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int or None, default=None
        Widths of the encoder's layers. The last is the width of the embedding. None means
        those of the paper, (128, 128, 128) for ``variant="residual"``, which needs equal
        widths, and (256, 128, 64) else.
    variant : {"plain", "deep_supervision", "residual"}, default="plain"
        "plain" pools the last layer of the encoder. "deep_supervision" pools every layer and
        gives each a linear layer of its own; their losses are added up, and their
        probabilities averaged to predict. "residual" pools every layer and classifies the
        sum.
    pooling : {"max", "mean", "lse"}, default="max"
        How each unit's values in a bag are pooled: by the maximum, the mean, or
        "lse", the logarithm of the mean exponential, which lies between the two.
    sharpness : float, default=1.0
        For ``pooling="lse"``: *r* in ``log(mean(exp(r * values))) / r``. Towards 0 the result
        becomes the mean, towards infinity the maximum.
    dropout : float, default=0.0
        Probability of dropping a unit between the layers of the encoder, in training.
    scale : {"auto", "standard", "rank"} or bool, default="standard"
        How to scale features, by the training instances. "standard", or True, gives them mean 0
        and variance 1. "rank" takes the mean of that, cut at 3, and of the normal score of the
        value's rank: outliers are bounded, and what lies close together is spread, but it takes
        longer. It goes beyond the papers. "auto" is "rank" for up to 2^24 (17 million) training
        values and "standard" for more. False leaves features as they are. Constant features
        become 0, unless nothing is scaled.
    max_epochs : int, default=50
        Passes over the training bags.
    batch_size : int, default=16
        Bags in a step.
    learning_rate : float, default=0.001
        Step size of the optimiser in the first epoch.
    learning_rate_decay : float, default=0.98
        What the learning rate is multiplied by after each epoch; 1 keeps it constant.
    weight_decay : float, default=0.005
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
    InstanceNetClassifier : Pools the probabilities of instances instead of embeddings.
    AttentionMILClassifier : Pools embeddings by learnt weights.
    DPMINNClassifier : Pools embeddings by dynamic pooling.

    Notes
    -----
    :meth:`transform` gives the pooled vectors that enter the linear layer; with
    ``variant="deep_supervision"`` those of all layers side by side.

    References
    ----------
    .. [1] Wang, X., Yan, Y., Tang, P., Bai, X., Liu, W. (2018). Revisiting multiple instance
       neural networks. Pattern Recognition 74, 15-24.
       https://doi.org/10.1016/j.patcog.2017.08.026

    Examples
    --------
    >>> from skmil import MINetClassifier
    >>> from skmil.datasets import load_digit_bags
    >>> X, y = load_digit_bags(random_state=0, return_X_y=True)
    >>> classifier = MINetClassifier(random_state=0).fit(X[:150], y[:150])
    >>> classifier.score(X[150:], y[150:]) > 0.8
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseNeuralBagClassifier._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "variant": [StrOptions({"plain", "deep_supervision", "residual"})],
        "pooling": [StrOptions({"max", "mean", "lse"})],
        "sharpness": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=None,
        *,
        variant="plain",
        pooling="max",
        sharpness=1.0,
        dropout=0.0,
        scale="standard",
        max_epochs=50,
        batch_size=16,
        learning_rate=0.001,
        learning_rate_decay=0.98,
        weight_decay=0.005,
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
        self.variant = variant
        self.pooling = pooling
        self.sharpness = sharpness
        self.dropout = dropout
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

    def _build_network(self, n_features, n_classes):
        sizes = self.hidden_layer_sizes
        if sizes is None:
            sizes = (128, 128, 128) if self.variant == "residual" else (256, 128, 64)
        return MINet(
            n_features,
            check_widths(sizes),
            n_logits=count_logits(n_classes),
            variant=self.variant,
            pooling=self.pooling,
            sharpness=self.sharpness,
            dropout=self.dropout,
        )

    def _build_loss(self, n_classes):
        if self.variant == "deep_supervision":
            return DeepSupervisionLoss()
        return CrossEntropyLoss()
