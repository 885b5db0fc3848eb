"""Scaling of features half by their values and half by their ranks."""

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri

#: Standardised values, and normal scores, are cut here.
_LARGEST = 3.0
#: Most values of a feature whose score is remembered; those of others are interpolated.
_N_KNOTS = 256
#: Values that differ by less than this, relative to the largest, differ by rounding.
_ROUNDING = 1e-12


class RankScaler:
    """Map each feature to the mean of its standardised value and its normal score.

    The standardised value is cut at 3. The normal score of a value is the standard normal quantile
    of the share of the training instances below it, values equal to it counted half; it is cut at 3
    and standardised in turn. The first half keeps distances but bounds outliers, the second spreads
    what lies close together, and lets rare values of a mostly constant feature stand out.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        Weighted mean and standard deviation of the values; 1 for a constant feature.
    knots_, scores_ : list of ndarray
        For each feature values that were seen, ascending, and their standardised normal scores.
        Scores in between are interpolated.
    """

    def fit(self, rows, weight):
        """Learn from instances.

        Parameters
        ----------
        rows : ndarray or sparse matrix of shape (n_instances, n_features)
            Instances.
        weight : ndarray of shape (n_instances,)
            How often each instance counts, more than zero.

        Returns
        -------
        self : RankScaler
            The fitted scaler.
        """
        shares = weight / weight.sum()
        with np.errstate(over="ignore"):  # where squares overflow, only ranks tell values apart
            features = [_Feature(column.astype(np.float64), shares) for column in _columns(rows)]
        self.mean_ = np.array([feature.mean for feature in features])
        self.scale_ = np.array([feature.scale for feature in features])
        self.knots_ = [feature.knots for feature in features]
        self.scores_ = [feature.scores for feature in features]
        return self

    def transform(self, rows):
        """Return scaled instances.

        Parameters
        ----------
        rows : ndarray of shape (n_instances, n_features)
            Instances.

        Returns
        -------
        scaled : float64 ndarray of shape (n_instances, n_features)
            Scaled instances. Constant features are 0.
        """
        scaled = rows - self.mean_
        scaled /= self.scale_
        np.clip(scaled, -_LARGEST, _LARGEST, out=scaled)
        for j, (knots, scores) in enumerate(zip(self.knots_, self.scores_, strict=True)):
            scaled[:, j] += np.interp(rows[:, j], knots, scores)
        scaled /= 2
        return scaled


def _columns(rows):
    """Yield the features one after the other, each as a dense array."""
    if not sp.issparse(rows):
        yield from rows.T
        return
    rows = rows.tocsc()
    for j in range(rows.shape[1]):
        yield rows[:, [j]].toarray()[:, 0]


class _Feature:
    """What is learnt of one feature, from its values and their shares, which sum to 1."""

    def __init__(self, values, shares):
        values, place = np.unique(values, return_inverse=True)
        if values[-1] - values[0] <= _ROUNDING * max(-values[0], values[-1]):
            values, place = values[:1], np.zeros_like(place)  # constant
        shares = np.bincount(place, shares)
        self.mean, self.scale = _mean_and_scale(values, shares)
        below = np.cumsum(shares) - shares
        ranks = np.minimum(below + shares / 2, 1)  # sums of shares may round to more than 1
        scores = np.clip(ndtri(ranks), -_LARGEST, _LARGEST)
        mean, scale = _mean_and_scale(scores, shares)
        kept = _evenly_spread(ranks)
        self.knots, self.scores = values[kept], (scores[kept] - mean) / scale


def _mean_and_scale(values, shares):
    """Return mean and standard deviation, of equal values 1."""
    mean = shares @ values
    if len(values) == 1:
        return values[0], 1.0
    scale = np.sqrt(shares @ (values - mean) ** 2)
    return mean, scale or 1.0  # of values so close to each other that the squares are 0


def _evenly_spread(ranks):
    """Return which of ascending ranks to keep: the ends, and a few in equal distances."""
    if len(ranks) <= _N_KNOTS:
        return np.arange(len(ranks))
    return np.unique(np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], _N_KNOTS)))
