"""From instances of any kind to dense, standardised ones."""

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler

from skmil.bags import release

#: How many values are standardised at a time, so that they stay in the cache.
_BLOCK_VALUES = 1 << 17
#: How many values the scaler gets at a time; it makes several copies of them.
_FITTED_VALUES = 1 << 22


def fit_scaler(bags, bag_weight):
    """Fit mean and standard deviation of the instances, each weighted as its bag.

    Sparse instances are not centred by the scaler itself, :class:`Standardizer` does that. Of
    many dense instances, which may be on the disk, the scaler gets one block after the other.
    """
    is_sparse = sp.issparse(bags.instances)
    scaler = StandardScaler(with_mean=not is_sparse)
    weight = np.repeat(bag_weight, bags.bag_sizes)
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
    """Make instances dense, subtract the means, and divide by the standard deviations.

    Parameters
    ----------
    scaler : StandardScaler or None
        Means and standard deviations; None to leave the values as they are.
    dtype : {"float32", "float64"}
        What values are turned into.
    """

    def __init__(self, scaler, dtype):
        self.dtype = np.dtype(dtype)
        self._scales = scaler is not None
        if self._scales:
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
        """Return dense, standardised instances.

        Parameters
        ----------
        instances : ndarray or sparse matrix of shape (n_instances, n_features)
            Instances.
        overwrite : bool, default=False
            Whether the result may take the place of the instances.

        Returns
        -------
        standardised : ndarray of shape (n_instances, n_features)
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
        if not self._scales:
            out[...] = rows
        elif self._in_float32 and rows.dtype == np.float32:
            np.subtract(rows, self._mean32, out=out)
            if self._rest32 is not None:
                out -= self._rest32
            out *= self._factor32
        else:
            centred = rows - self._mean
            centred /= self._scale
            out[...] = centred
