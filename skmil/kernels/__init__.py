"""Kernels between bags, for support vector machines and other kernel methods."""

from skmil.kernels._bag_kernel import BagKernel

__all__ = ["BagKernel"]
