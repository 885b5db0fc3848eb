"""What a look at the test fold would add."""

import numpy as np
import pytest
from _leak import EpochScores, best_epoch, best_threshold
from estimators import uncalibrated

from skmil import DPMINNClassifier, MINetClassifier
from skmil.datasets import make_bags

Y = np.array([0, 0, 1, 1])
# Right by the sign: 2 of 4, 3 of 4, 3 of 4, 1 of 4. In order: no, no, no, all but for the sign.
SCORES = [
    np.array([-1.0, 3.0, -2.0, 2.0]),
    np.array([-1.0, 2.0, 1.0, 1.5]),
    np.array([-1.0, -2.0, -3.0, 1.0]),
    np.array([1.0, 2.0, 3.0, -4.0]),
]


def test_the_first_of_the_best_epochs_counts():
    figures = best_epoch(SCORES, Y)
    assert figures["accuracy_best_epoch"] == 0.75
    assert figures["best_epoch"] == 2
    assert figures["auc_best_epoch"] == 0.5  # two of the four pairs are in order
    assert figures["accuracy_best_both"] == 0.75


def test_epoch_and_threshold_are_chosen_together():
    perfect = np.array([1.0, 2.0, 3.0, 4.0])  # for a threshold between 2 and 3, not for 0
    figures = best_epoch([SCORES[0], perfect], Y)
    assert figures["accuracy_best_epoch"] == 0.5
    assert figures["best_epoch"] == 1
    assert figures["accuracy_best_both"] == 1.0


def test_one_class_in_a_fold_has_no_area():
    assert best_epoch(SCORES, np.ones(4, int))["auc_best_epoch"] is None


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1, 2, 3, 4], 1.0),
        ([4, 3, 2, 1], 0.5),  # all positive, or all negative
        ([1, 3, 2, 4], 0.75),
        ([0, 0, 0, 0], 0.5),  # equal scores are on the same side of any threshold
        ([0, 1, 1, 1], 0.75),
    ],
)
def test_best_threshold(scores, expected):
    assert best_threshold(np.array(scores, float), Y) == expected


def test_a_threshold_above_all_scores_counts():
    assert best_threshold(np.array([2.0, 3.0, 1.0]), np.array([0, 0, 1])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("Classifier", [DPMINNClassifier, MINetClassifier])
def test_scoring_every_epoch_does_not_change_the_training(Classifier):
    bags, y = make_bags(n_bags=24, random_state=0, return_X_y=True)

    def model():
        params = {"max_epochs": 3, "batch_size": 4, "dropout": 0.5, "random_state": 1}
        return Classifier((8, 4), **params, **uncalibrated(Classifier))

    plain = model().fit(bags, y).decision_function(bags)
    followed = model()
    follower = EpochScores(followed, bags)
    followed.set_params(callbacks=[follower]).fit(bags, y)
    np.testing.assert_array_equal(followed.decision_function(bags), plain)
    assert len(follower.scores_) == 3
    np.testing.assert_array_equal(follower.scores_[-1], plain)
    assert not np.array_equal(follower.scores_[0], plain)
    one_epoch = model().set_params(max_epochs=1).fit(bags, y)
    np.testing.assert_array_equal(follower.scores_[0], one_epoch.decision_function(bags))
