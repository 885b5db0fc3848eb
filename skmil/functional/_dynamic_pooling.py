"""Dynamic pooling, with a gradient of its own.

The logit of an instance is the inner product of its embedding with the sum of the bag's squashed
embeddings so far. So what an iteration leaves behind is a vector for each bag and a number for
each instance, and all the gradient needs is those. Recorded step by step, it would need several
arrays as large as all embeddings for each iteration.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from skmil.functional._capsules import squash_and_factors, squash_gradient
from skmil.functional._routing import choose_routing

__all__ = ["dynamic_pooling"]

RoutingGradient = Literal["full", "last"]


def dynamic_pooling(
    embeddings: Tensor,
    bag_index: Tensor,
    n_bags: int,
    T: int = 3,
    routing_gradient: RoutingGradient = "full",
) -> tuple[Tensor, Tensor]:
    """Pool the instances of each bag by iterated agreement with the bag's embedding.

    As in [1]_, the weight of an instance in its bag is a softmax over the bag of
    its logit, which starts at zero and grows in each iteration by the inner product of the
    instance's embedding and the squashed bag embedding.

    Parameters
    ----------
    embeddings : Tensor of shape (n_instances, ..., n_dimensions)
        Packed instance embeddings. Axes in between, such as one capsule per class, are
        pooled independently. Half precision is raised to float32.
    bag_index : int64 Tensor of shape (n_instances,)
        The bag of each row.
    n_bags : int
        Number of bags.
    T : int, default=3
        Number of iterations, at least 1. One iteration is mean pooling.
    routing_gradient : {"full", "last"}, default="full"
        "full" differentiates through all iterations; "last" treats the weights as
        constants and differentiates only the last weighted sum.

    Returns
    -------
    pooled : Tensor of shape (n_bags, ..., n_dimensions)
        The weighted sum of the last iteration, not squashed; see :func:`squash`.
    weights : Tensor of shape (n_instances, ...)
        The instance weights of the last iteration, summing to 1 in each bag.

    Notes
    -----
    The result can be differentiated once, by autograd; not twice, and not by ``torch.func``. Where
    a gradient is wanted, an embedding that is not finite may spoil other bags as well.

    References
    ----------
    .. [1] Yan, Y., Wang, X., Guo, X., Fang, J., Liu, W., Huang, J. (2018). Deep
       multi-instance learning with dynamic pooling. ACML, PMLR 95:662-677.

    Examples
    --------
    >>> import torch
    >>> from skmil.functional import dynamic_pooling
    >>> embeddings = torch.tensor([[3.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
    >>> pooled, weights = dynamic_pooling(embeddings, torch.tensor([0, 0, 0]), n_bags=1)
    >>> weights
    tensor([0.0185, 0.4908, 0.4908])
    """
    if embeddings.dtype in (torch.float16, torch.bfloat16):
        embeddings = embeddings.float()
    n_instances, *inner, n_dimensions = embeddings.shape
    flat = embeddings.reshape(n_instances, math.prod(inner), n_dimensions)  # (N, K, D)
    # torch has no types for `apply`.
    pooled, weights = _DynamicPooling.apply(  # type: ignore[no-untyped-call]
        flat, bag_index, n_bags, T, routing_gradient
    )
    return pooled.view(n_bags, *inner, n_dimensions), weights.view(n_instances, *inner)


class _DynamicPooling(torch.autograd.Function):
    """The iterations on embeddings of shape (n_instances, n_capsules, n_dimensions)."""

    @staticmethod
    def forward(
        ctx: Any,
        embeddings: Tensor,
        bag_index: Tensor,
        n_bags: int,
        T: int,
        routing_gradient: RoutingGradient,
    ) -> tuple[Tensor, Tensor]:
        with _without_autocast(embeddings.device):
            routing = choose_routing(embeddings, bag_index, n_bags, ctx.needs_input_grad[0])
            weights = [routing.equal_weights()]
            pooled = routing.weighted_sum(weights[0])
            centres: list[Tensor] = []  # sums of the squashed bag embeddings so far
            factors = []  # of squash
            for _ in range(T - 1):
                squashed, used = squash_and_factors(pooled)
                centres.append(centres[-1] + squashed if centres else squashed)
                factors.append(used)
                weights.append(routing.softmax_of_products(centres[-1]))
                pooled = routing.weighted_sum(weights[-1])
        # What is large is saved by torch, which notices if it is changed in place, and lets go of
        # it after the gradient is computed.
        routing.detach()
        ctx.save_for_backward(embeddings, *weights)
        ctx.routing, ctx.centres, ctx.factors = routing, centres, factors
        ctx.n_differentiated = T if routing_gradient == "full" else 1
        return routing.per_bag(pooled), routing.per_instance(weights[-1])

    @staticmethod
    def backward(
        ctx: Any, pooled_gradient: Tensor, weights_gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The gradient of dynamic_pooling cannot be differentiated once more: leave out "
                "create_graph=True."
            )
        embeddings, *weights = ctx.saved_tensors
        routing, T = ctx.routing, len(weights)
        routing.attach(embeddings)
        with _without_autocast(embeddings.device):
            gradient = routing.from_bags(pooled_gradient)
            # The gradient of the embeddings is a sum of terms number x vector of the bag.
            terms = [(weights[-1], gradient)]
            centre_gradient = 0
            for t in range(T - 1, T - ctx.n_differentiated, -1):
                numbers = routing.products(gradient)
                if t == T - 1:
                    numbers = numbers + routing.from_instances(weights_gradient)
                logit_gradient = routing.softmax_gradient(weights[t], numbers)
                centre_gradient = centre_gradient + routing.weighted_sum(logit_gradient)
                gradient = squash_gradient(ctx.factors[t - 1], centre_gradient)
                terms += [(logit_gradient, ctx.centres[t - 1]), (weights[t - 1], gradient)]
            spread = routing.spread(terms)
        routing.detach()
        return spread.view_as(embeddings), None, None, None, None


def _without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which results keep the type of what they are computed from."""
    kind = device.type
    # Old versions of torch know no autocast of "mps", not even to switch it off.
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
