"""From instances of any kind to dense, scaled ones."""

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler

from skmil.bags import release
from skmil.neural._rank_scaler import RankScaler

#: How many values are scaled at a time, so that they stay in the cache.
_BLOCK_VALUES = 1 << 17
#: How many values the scaler gets at a time; it makes several copies of them.
_FITTED_VALUES = 1 << 22
#: Up to how many values "auto" ranks them, and how many are ranked of more.
_RANKED_VALUES = 1 << 24


def fit_scaler(bags, bag_weight, scale="standard"):
    """Fit a scaler to the instances, each weighted as its bag.

    Parameters
    ----------
    bags : Bags
        The training bags.
    bag_weight : ndarray of shape (n_bags,)
        Their weights.
    scale : {"auto", "standard", "rank"} or bool, default="standard"
        The parameter of the networks.

    Returns
    -------
    scaler : StandardScaler, RankScaler or None
        The fitted scaler; None if nothing is scaled.
    """
    if scale is False:
        return None
    weight = np.repeat(bag_weight, bags.bag_sizes)
    is_small = np.count_nonzero(weight) * bags.n_features <= _RANKED_VALUES
    if scale == "rank" or (scale == "auto" and is_small):
        return _fit_ranks(bags, weight)
    return _fit_moments(bags, weight)


def name_of_scaling(scaler):
    """Return the value of `scale` by which a scaler is fitted whatever the size of the data."""
    if scaler is None:
        return False
    return "rank" if isinstance(scaler, RankScaler) else "standard"


def _fit_ranks(bags, weight):
    """Rank the values of all instances that count, or of many evenly spread ones."""
    counting = np.flatnonzero(weight)
    n_ranked = max(1, min(len(counting), _RANKED_VALUES // bags.n_features))
    chosen = counting[np.arange(n_ranked) * len(counting) // n_ranked]
    rows = bags.instances[chosen]
    release(bags.instances)
    return RankScaler().fit(rows, weight[chosen])


def _fit_moments(bags, weight):
    """Fit mean and standard deviation.

    Sparse instances are not centred by the scaler itself, :class:`Standardizer` does that. Of
    many dense instances, which may be on the disk, the scaler gets one block after the other.
    """
    is_sparse = sp.issparse(bags.instances)
    scaler = StandardScaler(with_mean=not is_sparse)
    step = max(1, _FITTED_VALUES // bags.n_features)
    if is_sparse or bags.n_instances <= step:
        return scaler.fit(bags.instances[:], sample_weight=weight)
    for start in range(0, bags.n_instances, step):
        block = slice(start, start + step)
        if weight[block].any():
            scaler.partial_fit(bags.instances[block], sample_weight=weight[block])
            release(bags.instances)
    return scaler


class Standardizer:
    """Make instances dense and scale them.

    Parameters
    ----------
    scaler : StandardScaler, RankScaler or None
        What was fitted; None to leave the values as they are.
    dtype : {"float32", "float64"}
        What values are turned into.
    """

    def __init__(self, scaler, dtype):
        self.dtype = np.dtype(dtype)
        self._scaler = scaler
        if isinstance(scaler, StandardScaler):
            self._mean, self._scale = scaler.mean_, scaler.scale_
            # In float32 a difference from a huge mean may be infinite, and a tiny scale zero.
            is_moderate = np.abs(self._mean).max() < 1e30 and self._scale.min() > 1e-30
            self._in_float32 = self.dtype == np.float32 and is_moderate
            if self._in_float32:
                self._mean32 = self._mean.astype(np.float32)
                self._factor32 = (1 / self._scale).astype(np.float32)
                # What the float32 mean lacks, unless it is lost in rounding anyway.
                rest = self._mean - self._mean32
                matters = np.abs(rest) > np.finfo(np.float32).eps / 4 * self._scale
                self._rest32 = rest.astype(np.float32) if matters.any() else None

    def __call__(self, instances, *, overwrite=False):
        """Return dense, scaled instances.

        Parameters
        ----------
        instances : ndarray or sparse matrix of shape (n_instances, n_features)
            Instances.
        overwrite : bool, default=False
            Whether the result may take the place of the instances.

        Returns
        -------
        scaled : ndarray of shape (n_instances, n_features)
            Of type `dtype`; an array of its own unless `overwrite`.
        """
        if overwrite and isinstance(instances, np.ndarray) and instances.dtype == self.dtype:
            out = instances
        else:
            out = np.empty(instances.shape, self.dtype)
        # Too large values become infinite; infinite scores are refused at the other end.
        with np.errstate(over="ignore"):
            step = max(1, _BLOCK_VALUES // max(1, out.shape[1]))
            for start in range(0, len(out), step):
                block = slice(start, start + step)
                rows = instances[block]
                self._fill(out[block], rows if isinstance(rows, np.ndarray) else rows.toarray())
        return out

    def _fill(self, out, rows):
        if self._scaler is None:
            out[...] = rows
        elif isinstance(self._scaler, RankScaler):
            out[...] = self._scaler.transform(rows)
        elif self._in_float32 and rows.dtype == np.float32:
            np.subtract(rows, self._mean32, out=out)
            if self._rest32 is not None:
                out -= self._rest32
            out *= self._factor32
        else:
            centred = rows - self._mean
            centred /= self._scale
            out[...] = centred
