"""Kernels between instances, computed block by block in float64."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmil._distances import centre_of, squared_norms

__all__ = ["InstanceKernel", "products", "quietly"]

#: What overflows is refused where the kernel of the bags is known, with advice.
quietly = np.errstate(over="ignore", invalid="ignore")


@dataclass(frozen=True)
class InstanceKernel:
    """A kernel between two instances, with its parameters and raised to a power.

    Parameters
    ----------
    kernel : {"rbf", "linear", "poly"} or callable
        The kernel. A callable maps two instance matrices to an array with a row for each
        instance of the first and a column for each of the second.
    gamma : float
        Coefficient of "rbf" and "poly".
    degree : int
        Degree of "poly".
    coef0 : float
        Constant of "poly".
    power : int
        The power that the kernel is raised to.
    """

    kernel: Any
    gamma: float = 1.0
    degree: int = 3
    coef0: float = 0.0
    power: int = 1

    @property
    def is_linear(self):
        """Whether sums of kernels are kernels of sums."""
        return self.kernel == "linear" and self.power == 1

    def blocks(self, left, right):
        """Prepare the comparison of two instance matrices.

        Parameters
        ----------
        left, right : ndarray or CSR matrix of shape (n_rows, n_features)
            The instances.

        Returns
        -------
        compare : callable
            Maps two slices of rows to the kernels of each of the first with each of the
            second, an array of float64 that the caller may change.
        """
        if callable(self.kernel):
            return lambda i, j: self._call(left[i], right[j])
        if self.kernel == "rbf":
            return self._rbf_blocks(left, right)
        return lambda i, j: self._of_products(products(left[i], right[j]))

    @quietly
    def of_same(self, rows):
        """Return the kernel of each instance with itself.

        Not of a callable: these are found as blocks.

        Parameters
        ----------
        rows : ndarray or CSR matrix of shape (n_rows, n_features)
            The instances.

        Returns
        -------
        values : ndarray of float64 of shape (n_rows,)
            One value per instance.
        """
        if self.kernel == "rbf":
            return np.ones(rows.shape[0])
        return self._of_products(squared_norms(rows))

    def _rbf_blocks(self, left, right):
        # Distances do not change with the origin, but round less the nearer it is.
        dense = not (sp.issparse(left) or sp.issparse(right))
        origin = centre_of(right)

        @quietly
        def compare(i, j):
            a, b = left[i], right[j]
            if dense:
                a, b = a - origin, b - origin
            block = products(a, b)
            block *= -2.0
            block += squared_norms(a)[:, np.newaxis]
            block += squared_norms(b)
            np.maximum(block, 0.0, out=block)  # a distance of nearly zero may round below it
            block *= -self.gamma * self.power
            return np.exp(block, out=block)

        return compare

    @quietly
    def _of_products(self, values):
        """Return the linear or the polynomial kernel, given the products of the instances."""
        exponent = self.power
        if self.kernel == "poly":
            values *= self.gamma
            values += self.coef0
            exponent *= self.degree
        return values if exponent == 1 else np.power(values, exponent, out=values)

    def _call(self, left, right):
        block = self.kernel(left, right)
        if sp.issparse(block):
            block = block.toarray()
        block = np.array(block, dtype=np.float64)  # a copy, as the callable may keep its own
        shape = (left.shape[0], right.shape[0])
        if block.shape != shape:
            raise ValueError(
                f"The kernel returned an array of shape {block.shape} for instance matrices of "
                f"{shape[0]} and {shape[1]} rows. It must return one of shape {shape}."
            )
        if not np.isfinite(block).all():
            raise ValueError(
                "The kernel returned values that are not finite. Scale the features, or "
                "correct the callable."
            )
        return block if self.power == 1 else np.power(block, self.power, out=block)


@quietly
def products(left, right):
    """Return the products of all rows of one matrix with all of another, in float64.

    Parameters
    ----------
    left, right : ndarray or CSR matrix of shape (n_rows, n_features)
        The matrices.

    Returns
    -------
    values : ndarray of float64 of shape (n_left, n_right)
        One value per pair of rows.
    """
    left = left.astype(np.float64, copy=False)
    right = right.astype(np.float64, copy=False)
    values = left @ right.T
    return values.toarray() if sp.issparse(values) else values
