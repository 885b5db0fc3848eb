import io
import pickle

import numpy as np
import pytest
import torch
from networks import make_data
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from scipy.special import expit, softmax
from scipy.stats import truncnorm
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skmil import DPMINNClassifier, check_bags
from skmil import functional as F
from skmil.nn import scale_to_probability

#: One network; several are in `test_members.py`, and `calibration_cv` in `test_calibration.py`.
SMALL = {
    "hidden_layer_sizes": (8, 4),
    "n_members": 1,
    "calibration_cv": None,
    "max_epochs": 5,
    "random_state": 0,
}


def small(**params):
    return DPMINNClassifier(**{**SMALL, **params})


# --- What the numbers mean ---------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_are_log_odds_of_the_embedding_length(n_classes):
    X, y = make_data(n_classes)
    classifier = small(max_epochs=20, scale="standard", probability="length").fit(X, y)
    capsules = 1 if n_classes == 2 else n_classes
    lengths = np.linalg.norm(classifier.transform(X).reshape(len(X), capsules, 4), axis=2)
    scores = classifier.decision_function(X)
    assert_allclose(scores.reshape(lengths.shape), np.log(lengths / (1 - lengths)), rtol=1e-3)
    if n_classes == 2:
        assert_allclose(classifier.predict_proba(X)[:, 1], lengths[:, 0], rtol=1e-4)
        assert_array_equal(classifier.predict(X), lengths[:, 0] > 0.5)
    else:
        assert_allclose(classifier.predict_proba(X), softmax(scores, axis=1), rtol=1e-6)
        assert_array_equal(classifier.predict(X), lengths.argmax(axis=1))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_relative_probabilities_are_shares_of_the_squared_lengths(n_classes):
    X, y = make_data(n_classes)
    classifier = small(max_epochs=20, scale="standard", dtype="float64").fit(X, y)
    p = np.linalg.norm(classifier.transform(X).reshape(len(X), n_classes, 4), axis=2)
    squared = p / (1 - p)
    found = classifier.predict_proba(X)
    assert_allclose(found, squared / squared.sum(axis=1, keepdims=True), atol=1e-4)
    assert_array_equal(classifier.predict(X), found.argmax(axis=1))
    scores = classifier.decision_function(X)
    if n_classes == 2:
        assert_allclose(scores, np.log(found[:, 1] / found[:, 0]), rtol=1e-9)
    else:
        assert_allclose(softmax(scores, axis=1), found, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fitted", ["relative", "length"])
def test_a_parameter_that_is_set_after_fit_does_not_change_predictions(n_classes, fitted):
    X, y = make_data(n_classes)
    classifier = small(probability=fitted).fit(X, y)
    expected = classifier.decision_function(X)
    classifier.set_params(probability="length" if fitted == "relative" else "relative")
    assert_array_equal(classifier.decision_function(X), expected)


def test_bags_whose_embeddings_are_all_zero_are_undecided():
    X, y = make_data()
    classifier = small().fit([np.maximum(bag, 0) for bag in X], y)
    with torch.no_grad():
        classifier.net_.module_.encoder.last_linear.weight.zero_()
        classifier.net_.module_.encoder.last_linear.bias.zero_()
    assert_array_equal(classifier.predict_proba(X), np.full((len(X), 2), 0.5))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_cross_entropy_scores_are_logits_of_the_embedding(n_classes):
    X, y = make_data(n_classes)
    classifier = small(loss="cross_entropy").fit(X, y)
    head = classifier.net_.module_.head
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    logits = classifier.transform(X) @ weight.T + bias
    scores = classifier.decision_function(X)
    assert_allclose(scores.reshape(logits.shape), logits, rtol=1e-4, atol=1e-5)
    expected = expit(scores) if n_classes == 2 else softmax(scores, axis=1)
    found = classifier.predict_proba(X)
    assert_allclose(found[:, 1] if n_classes == 2 else found, expected, rtol=1e-5)


@pytest.mark.parametrize("probability", ["relative", "length"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_instance_weights_reproduce_the_bag_embedding(n_classes, probability):
    X, y = make_data(n_classes)
    classifier = small(dtype="float64", T=4, probability=probability).fit(X, y)
    capsules = 1 if (n_classes, probability) == (2, "length") else n_classes
    embeddings = classifier.transform(X).reshape(len(X), capsules, 4)
    codes = classifier.predict(X) if capsules > 1 else np.zeros(len(X), dtype=int)
    encoder = classifier.net_.module_.encoder
    for i, weights in enumerate(classifier.instance_weights(X)):
        scaled = torch.from_numpy(classifier.scaler_.transform(X[i]))
        own = encoder(scaled).reshape(len(X[i]), capsules, 4)[:, codes[i]].detach()
        pooled = torch.from_numpy(weights) @ own
        assert_allclose(F.squash(pooled), embeddings[i, codes[i]], rtol=1e-9)


def test_one_iteration_is_mean_pooling():
    X, y = make_data()
    for bag, weights in zip(X, small(T=1).fit(X, y).instance_weights(X), strict=True):
        assert_allclose(weights, np.full(len(bag), 1 / len(bag)), rtol=1e-6)


@pytest.mark.parametrize("probability", ["relative", "length"])
def test_training_is_the_plain_loop_over_batches(probability):
    X, y = make_data()
    settings = {"max_epochs": 3, "batch_size": 7, "dtype": "float64", "learning_rate_decay": 0.5}
    settings |= {"scale": False, "dropout": 0.0, "probability": probability}
    classifier = small(**settings).fit(X, y)

    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    torch.manual_seed(seed)
    # built and scaled as at the start of training, then trained by hand
    start = small(**{**settings, "max_epochs": 1})
    network = start._build_network(5, 2).double()
    packed = check_bags(X)
    everything = (torch.from_numpy(packed.instances), torch.from_numpy(packed.bag_index), len(X))
    scale_to_probability(network, [everything], torch.ones(len(X)))
    optimizer = torch.optim.Adam(
        network.parameters(), lr=start.learning_rate, weight_decay=start.weight_decay
    )
    losses = []
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = start.learning_rate * 0.5**epoch
        order = torch.randperm(len(X))
        total = 0.0
        for batch in order.split(7):
            probabilities = []
            for i in batch:
                squared = []
                for f in network.encoder(torch.from_numpy(X[i])).split(4, dim=1):
                    b = torch.zeros(len(f), dtype=torch.float64)
                    for _ in range(3):
                        sigma = torch.softmax(b, 0) @ f
                        b = b + f @ F.squash(sigma)
                    squared.append(sigma @ sigma)
                if probability == "length":
                    probabilities.append(squared[0] / (1 + squared[0]))
                else:
                    probabilities.append((squared[1] + 1e-6) / (sum(squared) + 2e-6))
            p = torch.stack(probabilities)
            loss = F.margin_loss(p, torch.from_numpy(y[batch.numpy()]).double()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(X))
    assert_allclose(classifier.loss_curve_, losses, rtol=1e-9)
    for found, expected in zip(
        classifier.net_.module_.parameters(), network.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("n_capsules", [1, 2])
def test_training_starts_at_the_steepest_length_at_any_scale_of_the_input(
    factor, scale, T, n_capsules
):
    X, y = make_data()
    X = [factor * np.maximum(bag, 0) for bag in X]
    untrained = small(
        T=T,
        learning_rate=1e-12,
        max_epochs=1,
        scale=scale,
        probability="length" if n_capsules == 1 else "relative",
    ).fit(X, y)
    embeddings = untrained.transform(X).reshape(len(X), n_capsules, 4)
    for p in np.linalg.norm(embeddings, axis=2).T:
        assert p[p > 1e-6].mean() == pytest.approx(0.5, abs=1e-3)  # others embed to zero


# --- Where training starts ---------------------------------------------------------------


def start_of(**params):
    """Return the layers of a network after one step that changes nothing."""
    X, y = make_data()
    still = {"max_epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
    classifier = DPMINNClassifier(n_members=1, **still, random_state=0, **params)
    network = classifier.fit(X, y).net_.module_
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]


@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_the_start_of_the_paper_is_a_truncated_normal(loss):
    paper = {"init": "paper", "probability": "length", "loss": loss}
    layers = start_of(**paper, hidden_layer_sizes=(256, 128, 64))
    assert [layer.out_features for layer in layers] == [256, 128, 64, 1][: 3 + (loss != "margin")]
    for layer in layers:
        weight = layer.weight.detach().numpy()
        assert abs(weight).max() <= 0.1 + 1e-7  # two deviations
        assert_allclose(layer.bias.detach(), 0, atol=1e-10)
        if weight.size > 1000:
            assert_allclose(weight.std(), truncnorm(-2, 2).std() * 0.05, rtol=0.05)
            assert_allclose(weight.mean(), 0, atol=4 * 0.05 / np.sqrt(weight.size))
            assert abs(weight).max() > 0.095
    again = start_of(**paper, hidden_layer_sizes=(256, 128, 64))
    for layer, other in zip(layers, again, strict=True):
        assert_array_equal(layer.weight.detach(), other.weight.detach())


def test_the_start_of_the_paper_is_not_scaled_to_the_bags():
    X, y = make_data()
    still = {"max_epochs": 1, "learning_rate": 1e-12, "random_state": 0}
    still |= {"init": "paper", "probability": "length", "calibration_cv": None}
    near, far = (
        DPMINNClassifier(**still, scale=False).fit([factor * bag for bag in X], y)
        for factor in (1, 100)
    )
    layers = zip(near.net_.module_.parameters(), far.net_.module_.parameters(), strict=True)
    for mine, theirs in layers:
        assert_allclose(mine.detach(), theirs.detach(), atol=1e-10)
    assert near.predict_proba(X)[:, 1].max() < 0.1  # short embeddings, as the weights are small


def test_the_scaled_start_has_a_variance_of_two_by_fan_in():
    first, second, _ = start_of(hidden_layer_sizes=(512, 256, 64))
    for layer in (first, second):
        expected = truncnorm(-2, 2).std() * np.sqrt(2 / layer.in_features)
        assert_allclose(layer.weight.detach().std(), expected, rtol=0.05)


# --- Training ----------------------------------------------------------------------------


def test_true_scales_like_standard_and_auto_like_rank():
    X, y = make_data()
    found = {scale: small(scale=scale).fit(X, y).decision_function(X)
             for scale in (True, "standard", "auto", "rank", False)}  # fmt: skip
    assert_array_equal(found[True], found["standard"])
    assert_array_equal(found["auto"], found["rank"])
    assert_array_equal(small().fit(X, y).decision_function(X), found["auto"])
    assert len({tuple(values) for values in found.values()}) == 3


@pytest.mark.parametrize("scale", ["standard", "rank"])
def test_weights_are_repetitions_for_bags_of_several_instances(scale):
    X, y = make_data()
    weight = np.random.default_rng(0).integers(0, 4, size=len(X))
    repeated = np.repeat(np.arange(len(X)), weight)
    params = {"batch_size": 1000, "dtype": "float64", "dropout": 0.0, "scale": scale}
    weighted = small(**params).fit(X, y, sample_weight=weight)
    expected = small(**params).fit([X[i] for i in repeated], y[repeated])
    assert_allclose(weighted.decision_function(X), expected.decision_function(X), rtol=1e-6)


def test_ranks_are_the_same_for_sparse_bags():
    X, y = make_data()
    X = [np.maximum(bag, 0).astype(np.float32) for bag in X]
    sparse = [sp.csr_array(bag) for bag in X]
    classifier = small(scale="rank", dtype="float64")
    dense_scores = classifier.fit(X, y).decision_function(X)
    scores = classifier.fit(sparse, y).decision_function(sparse)
    assert_allclose(scores, dense_scores, rtol=0, atol=1e-9)


def test_curves_and_epochs():
    X, y = make_data()
    classifier = small().fit(X, y)
    assert classifier.n_iter_ == 5
    assert len(classifier.loss_curve_) == 5
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    assert classifier.validation_loss_curve_ is None


def test_early_stopping_holds_out_bags_and_restores_the_best_epoch():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(3, 5)) for _ in range(60)]  # noise, so that validation gets worse
    y = np.arange(60) % 2
    params = {"early_stopping": True, "n_iter_no_change": 4, "validation_fraction": 0.3}
    classifier = small(max_epochs=200, hidden_layer_sizes=(64, 16), **params).fit(X, y)
    losses = classifier.validation_loss_curve_
    assert len(losses) == classifier.n_iter_ < 200
    best = int(np.argmin(losses))
    assert classifier.n_iter_ == best + 1 + 4
    shorter = small(max_epochs=best + 1, hidden_layer_sizes=(64, 16), **params).fit(X, y)
    assert_array_equal(classifier.decision_function(X), shorter.decision_function(X))


def test_early_stopping_needs_each_class_on_both_sides():
    X, y = make_data(n_classes=3, n_bags=9)
    with pytest.raises(ValueError, match=r"early_stopping cannot hold out validation_fraction=0.1"):
        small(early_stopping=True).fit(X, y)


def test_early_stopping_scales_by_the_bags_it_trains_on():
    X, y = make_data()
    params = {"scale": "standard", "max_epochs": 1}
    classifier = small(**params, early_stopping=True, validation_fraction=0.5).fit(X, y)
    everything = small(**params).fit(X, y)
    assert classifier.scaler_.n_samples_seen_.max() < everything.scaler_.n_samples_seen_.max()
    params["scale"] = "rank"
    classifier.set_params(**params).fit(X, y)
    everything.set_params(**params).fit(X, y)
    assert len(classifier.scaler_.knots_[0]) < len(everything.scaler_.knots_[0])


def test_held_out_bags_are_not_kept_with_the_net():
    X, y = make_data()
    huge = [np.tile(bag, (200, 1)) for bag in X]
    size = len(pickle.dumps(small(early_stopping=True).fit(huge, y)))
    assert size < 100_000


def test_partial_fit_trains_an_epoch_at_a_time():
    X, y = make_data()
    params = {"batch_size": 100, "dtype": "float64", "dropout": 0.0}
    classifier = small(**params, learning_rate_decay=0.5)
    for _ in range(4):
        classifier.partial_fit(X, y, classes=[0, 1])
    whole = small(**params, learning_rate_decay=0.5, max_epochs=4)
    whole.fit(X, y)
    assert classifier.n_iter_ == 4
    # full batches come in another order, which changes the rounding only
    assert_allclose(classifier.decision_function(X), whole.decision_function(X), rtol=1e-6)


def test_partial_fit_learns_from_chunks_that_lack_a_class():
    X, y = make_data(n_bags=60)
    classifier = small(learning_rate=0.01)
    first = [X[i] for i in np.flatnonzero(y == 0)]
    classifier.partial_fit(first, np.zeros(30), classes=[0, 1])
    for _ in range(40):
        classifier.partial_fit(X, y)
    assert classifier.score(X, y) > 0.9


def test_weights_count_between_the_chunks_of_partial_fit():
    X, y = make_data()
    by_class = [[X[i] for i in np.flatnonzero(y == k)] for k in (0, 1)]
    scores = []
    for positive in (0.01, 1.0):
        classifier = small(optimizer="sgd", class_weight={1: positive})
        for _ in range(5):
            for k in (0, 1):
                classifier.partial_fit(by_class[k], np.full(20, k), classes=[0, 1])
        scores.append(classifier.decision_function(X).mean())
    assert scores[0] < scores[1]


def test_training_without_any_weight_is_refused():
    X, y = make_data()
    nothing = {"class_weight": {0: 0.0, 1: 0.0}}
    with pytest.raises(ValueError, match="No training bag has a weight above zero"):
        small(**nothing).fit(X, y)
    with pytest.raises(ValueError, match="No training bag has a weight above zero"):
        small(**nothing).partial_fit(X, y, classes=[0, 1])


def test_partial_fit_says_what_it_cannot_do():
    X, y = make_data()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(X, y)
    with pytest.raises(ValueError, match="cannot stop early"):
        small(early_stopping=True).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="needs all bags at once"):
        small(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    started = small().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="not those of the first call"):
        started.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="y contains 2, which is not among the classes"):
        started.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 4 features, but DPMINNClassifier is expecting 5"):
        started.partial_fit([bag[:, :4] for bag in X], y)


def test_warm_start_goes_on_where_training_ended():
    X, y = make_data()
    classifier = small(warm_start=True, max_epochs=3).fit(X, y)
    net, before = classifier.net_, classifier.loss_curve_
    classifier.fit(X, y)
    assert classifier.net_ is net
    assert classifier.n_iter_ == 6
    assert classifier.loss_curve_[:3] == before
    cold = small(max_epochs=3).fit(X, y)
    assert cold.fit(X, y).n_iter_ == 3


def test_the_learning_rate_decays_over_calls():
    X, y = make_data()
    classifier = small(learning_rate=0.1, learning_rate_decay=0.5, warm_start=True, max_epochs=2)
    classifier.fit(X, y).fit(X, y)
    assert classifier.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**4)


def test_a_net_does_not_go_on_with_other_parameters():
    X, y = make_data()
    classifier = small(warm_start=True).fit(X, y)
    for name, value in (
        *(("T", 1), ("loss", "cross_entropy"), ("learning_rate", 0.1)),
        *(("init", "paper"), ("scale", "standard"), ("scale", False)),
    ):
        before = classifier.get_params()[name]
        with pytest.raises(ValueError, match=f"cannot go on with {name}="):
            classifier.set_params(**{name: value}).fit(X, y)
        classifier.set_params(**{name: before})
    classifier.set_params(hidden_layer_sizes=[8, 4], learning_rate=np.float64(0.002))  # the same
    classifier.set_params(max_epochs=1, class_weight="balanced", instance_dropout=0.5)
    assert classifier.fit(X, y).n_iter_ == 6
    assert pickle.loads(pickle.dumps(classifier)).fit(X, y).n_iter_ == 7


def test_predictions_are_those_of_the_net_not_of_parameters_set_later():
    X, y = make_data()
    for loss in ("margin", "cross_entropy"):
        classifier = small(loss=loss).fit(X, y)
        expected = classifier.predict_proba(X)
        classifier.set_params(loss="margin", dtype="float64", T=1, scale=False)
        assert_array_equal(classifier.predict_proba(X), expected)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", torch.optim.RMSprop])
def test_optimizers(optimizer):
    X, y = make_data()
    classifier = small(optimizer=optimizer, max_epochs=30, learning_rate=0.01).fit(X, y)
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]


def test_parameters_reach_loss_optimizer_and_early_stopping():
    X, y = make_data()
    net = small(margin_positive=0.8, margin_negative=0.3, weight_decay=0.2).fit(X, y).net_
    assert (net.criterion_.margin_positive, net.criterion_.margin_negative) == (0.8, 0.3)
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.2
    for name, expected in (
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
    ):
        assert type(small(optimizer=name).fit(X, y).net_.optimizer_) is expected
    group = small(optimizer="sgd").fit(X, y).net_.optimizer_.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)
    # no epoch improves by as much as this
    impatient = small(early_stopping=True, tol=10.0, n_iter_no_change=2, max_epochs=50)
    assert impatient.fit(X, y).n_iter_ == 3


def test_warm_start_refuses_classes_it_does_not_know():
    X, y = make_data()
    classifier = small(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="y contains 2, which is not among the classes"):
        classifier.fit(X, y + 1)


def test_bags_without_weight_play_no_part_where_training_starts():
    X, y = make_data()
    far = [*X, *(1000 * bag for bag in X)]
    weight = np.repeat([1.0, 0.0], len(X))
    start = small(max_epochs=1, learning_rate=1e-12, scale=False, probability="length")
    start.fit(far, np.tile(y, 2), sample_weight=weight)
    assert start.predict_proba(X)[:, 1].mean() == pytest.approx(0.5, abs=1e-2)


def test_what_is_not_in_the_weights_changes_training():
    X, y = make_data()
    curves = [small(**params).fit(X, y).loss_curve_ for params in (
        {}, {"routing_gradient": "last"}, {"dropout": 0.0}, {"T": 1}, {"probability": "length"},
    )]  # fmt: skip
    assert len({tuple(curve) for curve in curves}) == 5


def test_training_survives_features_without_variance_and_dead_inputs():
    X = [np.zeros((3, 4)) for _ in range(10)]
    classifier = small().fit(X, np.arange(10) % 2)
    assert np.isfinite(classifier.predict_proba(X)).all()
    assert np.isfinite(classifier.decision_function(X)).all()


def test_huge_values_at_prediction_stay_finite():
    X, y = make_data()
    classifier = small().fit(X, y)
    for scale in (1e6, 1e15, 1e30):
        far = [scale * bag for bag in X]
        assert np.isfinite(classifier.predict_proba(far)).all()
        assert np.isfinite(classifier.decision_function(far)).all()


def test_values_beyond_float32_are_refused_not_turned_into_a_label():
    X, y = make_data()
    classifier = small(scale="standard").fit(X, y)
    X[3] = X[3] * 1e200
    with pytest.raises(ValueError, match="Bag 3 has values too large for float32"):
        classifier.predict(X)
    assert np.isfinite(small(dtype="float64").fit(X[:3], y[:3]).predict_proba(X)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ranks_cope_with_values_of_any_size(dtype):
    X, y = make_data()
    far = [1e200 * bag for bag in X]
    for training_bags in (X, X[:20] + far[20:]):
        classifier = small(scale="rank", dtype=dtype).fit(training_bags, y)
        assert np.isfinite(classifier.decision_function(X)).all()
        assert np.isfinite(classifier.decision_function(far)).all()


def test_training_that_diverges_is_an_error():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"Training diverged.*Lower learning_rate"):
        small(optimizer="sgd", learning_rate=1e30, loss="cross_entropy").fit(X, y)


# --- skorch ------------------------------------------------------------------------------


class Recorder(Callback):
    def __init__(self):
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1


def test_callbacks_are_called_and_the_given_ones_left_alone():
    X, y = make_data()
    recorder = Recorder()
    classifier = small(callbacks=[recorder]).fit(X, y)
    (copied,) = [cb for _, cb in classifier.net_.callbacks_ if isinstance(cb, Recorder)]
    assert copied.epochs == 5
    assert recorder.epochs == 0


def test_net_params_reach_skorch():
    X, y = make_data()
    classifier = small(net_params={"optimizer__betas": (0.5, 0.6)}).fit(X, y)
    assert classifier.net_.optimizer_.param_groups[0]["betas"] == (0.5, 0.6)


@pytest.mark.parametrize(
    "name",
    ["max_epochs", "train_split", "verbose", "module__T", "iterator_train__num_workers", "compile"],
)
def test_net_params_that_would_have_no_effect_are_refused(name):
    X, y = make_data()
    with pytest.raises(ValueError, match=f"net_params cannot set '{name}'"):
        small(net_params={name: 1}).fit(X, y)


class Interrupting(Callback):
    def on_batch_begin(self, net, **kwargs):
        raise KeyboardInterrupt


def test_ctrl_c_is_not_taken_for_the_end_of_training():
    X, y = make_data()
    with pytest.raises(KeyboardInterrupt):
        small(callbacks=[Interrupting()]).fit(X, y)


def test_progress_bar_only_when_asked(capsys):
    X, y = make_data()
    small().fit(X, y)
    quiet = capsys.readouterr()
    assert quiet.out == quiet.err == ""
    classifier = small(verbose=1, early_stopping=True).fit(X, y)
    shown = capsys.readouterr()
    assert shown.out == ""
    for part in ("DPMINNClassifier", "5/5", "loss=", "valid="):
        assert part in shown.err
    pickle.dump(classifier, io.BytesIO())


# --- In scikit-learn ---------------------------------------------------------------------


def test_grid_search_over_the_parameters_of_the_paper():
    X, y = make_data()
    grid = {"T": [1, 3], "margin_positive": [0.8, 0.9], "margin_negative": [0.1]}
    classifier = small(max_epochs=30, learning_rate=0.01)
    search = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(check_bags(X), y)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(X, y) > 0.5


def test_bag_embeddings_feed_another_classifier():
    X, y = make_data(n_bags=60)
    model = make_pipeline(small(max_epochs=30), LogisticRegression())
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8
    names = model.fit(X, y)[0].get_feature_names_out()
    assert_array_equal(names, [f"dpminnclassifier{i}" for i in range(2 * 4)])
    framed = small().set_output(transform="pandas").fit(X, y).transform(X)
    assert list(framed.columns) == list(names)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"T": 0}, "The 'T' parameter"),
        ({"loss": "hinge"}, "The 'loss' parameter"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes needs at least one width"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes needs"),
        ({"hidden_layer_sizes": (8, 3.5)}, r"each an integer of at least 1, got \(8, 3.5\)"),
        ({"hidden_layer_sizes": ["a"]}, "hidden_layer_sizes needs"),
        ({"hidden_layer_sizes": [[8, 4]]}, "hidden_layer_sizes needs"),
        ({"device": "gpu"}, "device='gpu' cannot be used: "),
        ({"margin_positive": 0.2, "margin_negative": 0.4}, "must be below margin_positive"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
        ({"instance_dropout": 1.0}, "The 'instance_dropout' parameter"),
        ({"instance_dropout": -0.1}, "The 'instance_dropout' parameter"),
        ({"scale": "ranks"}, "The 'scale' parameter"),
        ({"scale": None}, "The 'scale' parameter"),
        ({"init": "glorot"}, "The 'init' parameter"),
        ({"probability": True}, "The 'probability' parameter"),
        ({"learning_rate": -1}, "The 'learning_rate' parameter"),
        ({"batch_size": 0}, "The 'batch_size' parameter"),
        ({"optimizer": "adagrad2"}, "The 'optimizer' parameter"),
        ({"validation_fraction": 1.0}, "The 'validation_fraction' parameter"),
    ],
)
def test_bad_parameters_are_refused_at_fit(params, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        small(**params).fit(X, y)


def test_a_width_stands_for_one_layer():
    X, y = make_data()
    classifier = small(hidden_layer_sizes=6, probability="length")
    assert classifier.fit(X, y).transform(X).shape == (40, 6)


def test_nothing_works_before_fit():
    X, _ = make_data()
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        with pytest.raises(NotFittedError):
            getattr(small(), method)(X)
    with pytest.raises(NotFittedError):
        small().instance_weights(X)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_model_trained_on_a_gpu_agrees_with_the_cpu_and_moves_there():
    X, y = make_data()
    on_gpu = small(device="cuda", dtype="float64").fit(X, y)
    on_cpu = small(device="cpu", dtype="float64").fit(X, y)
    assert next(on_gpu.net_.module_.parameters()).is_cuda
    restored = pickle.loads(pickle.dumps(on_gpu))
    assert_allclose(restored.decision_function(X), on_gpu.decision_function(X))
    assert on_cpu.score(X, y) == pytest.approx(on_gpu.score(X, y), abs=0.1)
