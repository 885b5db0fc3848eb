"""Ways to train the networks of a search one after the other."""

from dataclasses import dataclass

import numpy as np
import torch

from skmil import Bags, DPMINNClassifier
from skmil.functional import length_probability, squared_length
from skmil.functional._capsules import squash_and_factors, squash_gradient
from skmil.neural._data import PackedBags
from skmil.neural._loader import BagLoader
from skmil.neural._standardize import Standardizer, fit_scaler
from skmil.nn import DPMINN, MarginLoss, scale_to_probability

SETTINGS = DPMINNClassifier()


@dataclass
class Task:
    """A network to train."""

    bags: Bags
    y: np.ndarray
    T: int = SETTINGS.T
    margin: float = SETTINGS.margin_positive


class Prepared:
    """A task with its standardised bags and the network at its start."""

    def __init__(self, task, dtype="float32"):
        torch.manual_seed(0)
        self.task = task
        weights = np.ones(len(task.bags))
        standardize = Standardizer(fit_scaler(task.bags, weights), dtype)
        self.data = PackedBags(task.bags, standardize, task.y, weights)
        self.network = DPMINN(task.bags.n_features, T=task.T).to(getattr(torch, dtype))
        everything = self.data.batch(np.arange(len(self.data)))
        batches = [(everything.instances, everything.bag_index, len(self.data))]
        scale_to_probability(self.network, batches, self.data.weights)

    @property
    def linears(self):
        """The linear layers of the encoder."""
        return [layer for layer in self.network.encoder if isinstance(layer, torch.nn.Linear)]


class Adam:
    """The estimator's optimiser and schedule, of weights whose gradients have a fixed place.

    Calls what torch's fused Adam calls; its bookkeeping takes longer than the update of one
    network.
    """

    def __init__(self, parameters):
        self.parameters = parameters
        self.gradients = [torch.empty_like(p) for p in parameters]
        self.means, self.squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self.steps = [torch.zeros(()) for _ in parameters]
        self.lr = SETTINGS.learning_rate

    def step(self):
        torch._foreach_add_(self.steps, 1)
        torch._fused_adam_(
            *(self.parameters, self.gradients, self.means, self.squares, [], self.steps),
            lr=self.lr,
            beta1=0.9,
            beta2=0.999,
            weight_decay=SETTINGS.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def end_epoch(self):
        self.lr *= SETTINGS.learning_rate_decay


def bare_loop(prepared, epochs):
    """Train one network after the other by autograd."""
    for one in prepared:
        torch.manual_seed(1)
        loader = BagLoader(one.data, SETTINGS.batch_size, shuffle=True)
        loss = MarginLoss(one.task.margin)
        optimizer = torch.optim.Adam(
            one.network.parameters(),
            lr=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, SETTINGS.learning_rate_decay)
        for _ in range(epochs):
            for batch, target in loader:
                optimizer.zero_grad()
                outputs = one.network(batch.instances, batch.bag_index, batch.n_bags)
                loss(outputs, target).backward()
                optimizer.step()
            schedule.step()


def estimator(prepared, epochs):
    """Train one estimator after the other."""
    for task in (one.task for one in prepared):
        DPMINNClassifier(
            T=task.T, margin_positive=task.margin, max_epochs=epochs, random_state=0, device="cpu"
        ).fit(task.bags, task.y)


def pooled_gradient(pooled, is_positive, weights, margin):
    """Return the gradient of the margin loss with respect to pooled embeddings."""
    p = length_probability(squared_length(pooled))
    slope = torch.where(
        is_positive, (p - margin).clamp_(max=0), (p - SETTINGS.margin_negative).clamp_(min=0)
    )
    # Twice from the square of the loss and twice from the squared length n^2, of which p has
    # the derivative (1 - p)^2.
    return (4 * weights * slope * (1 - p) ** 2).unsqueeze(-1) * pooled


@torch.no_grad()
def written_out_loop(prepared, epochs):
    """Train one network after the other, without autograd."""
    for one in prepared:
        torch.manual_seed(1)
        loader = BagLoader(one.data, SETTINGS.batch_size, shuffle=True)
        weights, biases = ([getattr(x, n).data for x in one.linears] for n in ("weight", "bias"))
        adam = Adam([*weights, *biases])
        for _ in range(epochs):
            for batch, (codes, bag_weights) in loader:
                outputs = [batch.instances]
                for weight, bias in zip(weights, biases, strict=True):
                    outputs.append(torch.addmm(bias, outputs[-1], weight.mT).relu_())
                pooling = OnePooling(outputs[-1], batch, one.task.T)
                per_bag = bag_weights / batch.n_bags
                gradient = pooling.backward(
                    pooled_gradient(pooling.pooled, codes.bool(), per_bag, one.task.margin)
                )
                for i in reversed(range(len(weights))):
                    gradient = torch.ops.aten.threshold_backward(gradient, outputs[i + 1], 0)
                    torch.mm(gradient.mT, outputs[i], out=adam.gradients[i])
                    torch.sum(gradient, 0, out=adam.gradients[len(weights) + i])
                    gradient = gradient @ weights[i] if i else None
                adam.step()
            adam.end_epoch()


class OnePooling:
    """Dynamic pooling of a batch of one network."""

    def __init__(self, embeddings, batch, T):
        outside = batch.bag_index != torch.arange(batch.n_bags).unsqueeze(1)
        inside = (~outside).to(embeddings.dtype)
        never = torch.zeros_like(inside).masked_fill_(outside, -torch.inf)
        self.embeddings, self.weights = embeddings, [inside / inside.sum(1, keepdim=True)]
        self.centres, self.factors = [], []
        self.pooled = self.weights[0] @ embeddings
        for _ in range(T - 1):
            squashed, factors = squash_and_factors(self.pooled)
            self.factors.append(factors)
            self.centres.append(self.centres[-1] + squashed if self.centres else squashed)
            logits = torch.addmm(never, self.centres[-1], embeddings.mT)
            self.weights.append(logits.softmax(1))
            self.pooled = self.weights[-1] @ embeddings

    def backward(self, gradient):
        """Return the gradient of the embeddings from that of the pooled ones."""
        numbers, vectors, centre_gradient = [self.weights[-1]], [gradient], 0
        for t in reversed(range(1, len(self.weights))):
            product = self.weights[t] * (gradient @ self.embeddings.mT)
            logits = product - self.weights[t] * product.sum(1, keepdim=True)
            centre_gradient = centre_gradient + logits @ self.embeddings
            gradient = squash_gradient(self.factors[t - 1], centre_gradient)
            numbers += [logits, self.weights[t - 1]]
            vectors += [self.centres[t - 1], gradient]
        return torch.cat(numbers).mT @ torch.cat(vectors)
