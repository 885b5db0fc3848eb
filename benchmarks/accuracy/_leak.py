"""What a look at the test fold would add: the best epoch, the best threshold, and both.

None of this is a result. It shows what the same training scores if the test fold is allowed to
choose the iterate or the threshold on which it is then tested.
"""

import numpy as np
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback


class EpochScores(Callback):
    """Score bags after every epoch of a network.

    Parameters
    ----------
    model : BaseNeuralBagClassifier
        The classifier that is going to be fitted with this callback.
    bags : Bags
        The bags to score; scoring them has no influence on the training.

    Attributes
    ----------
    scores_ : list of ndarray of shape (n_bags,)
        The decision values after each epoch.
    """

    def __init__(self, model, bags):
        self.model = model
        self.bags = bags

    def initialize(self):
        """Begin with no scores; skorch calls this before the training."""
        self.scores_ = []
        return self

    def on_epoch_end(self, net, **kwargs):
        """Score the bags with the network as it is now."""
        self.scores_.append(self.model.decision_function(self.bags))

    def __deepcopy__(self, memo):
        # Classifiers train with copies of their callbacks. This one knows the classifier, and is
        # read after the training, so it has to be the very same.
        return self


def best_epoch(scores, y):
    """Return what is seen by picking the epoch on the test fold.

    Parameters
    ----------
    scores : list of ndarray of shape (n_bags,)
        The decision values after each epoch; above 0 means positive.
    y : ndarray of int of shape (n_bags,)
        The labels, 0 and 1.

    Returns
    -------
    figures : dict
        The accuracy at the first of the best epochs, which one it is (counted from 1), the area
        under the ROC curve there, and the best accuracy of any epoch with any threshold.
    """
    accuracies = [np.mean((values > 0) == y) for values in scores]
    best = int(np.argmax(accuracies))
    return {
        "accuracy_best_epoch": accuracies[best],
        "best_epoch": best + 1,
        "auc_best_epoch": roc_auc_score(y, scores[best]) if 0 < y.mean() < 1 else None,
        "accuracy_best_both": max(best_threshold(values, y) for values in scores),
    }


def best_threshold(scores, y):
    """Return the highest accuracy that any threshold reaches.

    Parameters
    ----------
    scores : ndarray of shape (n_bags,)
        The decision values.
    y : ndarray of int of shape (n_bags,)
        The labels, 0 and 1.

    Returns
    -------
    accuracy : float
        The accuracy.
    """
    thresholds = np.append(np.unique(scores), np.inf)
    return ((scores >= thresholds[:, None]) == y).mean(axis=1).max()
