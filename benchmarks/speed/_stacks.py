"""Training the networks of a search as stacks."""

from dataclasses import dataclass

import numpy as np
import torch
from _one_by_one import SETTINGS, Adam, pooled_gradient

from skmil.bags import take_rows
from skmil.functional._capsules import squash_and_factors, squash_gradient
from skmil.neural._loader import BagLoader


@dataclass
class Step:
    """The batches of a stack's networks, in the order of the stack."""

    instances: torch.Tensor  # of all networks one after the other, or of one for all
    sizes: list[int] | None  # how many are each network's; None if all are for all
    is_outside: torch.Tensor  # (K or 1, n_bags, n_padded): whether a row is not in a bag
    is_positive: torch.Tensor  # (K or 1, n_bags)
    weights: torch.Tensor  # (K or 1, n_bags), summing to 1


class OwnBatches:
    """Batches of networks with training sets of their own, one draw of the bags for each."""

    def __init__(self, prepared):
        # All training sets are one, bag after bag.
        self.instances = torch.cat([one.data._instances for one in prepared])
        sizes = np.concatenate([np.diff(one.data.offsets) for one in prepared])
        self.offsets = np.concatenate([[0], sizes.cumsum()])
        self.codes = np.concatenate([one.task.y for one in prepared]).astype(bool)
        self.n_bags = np.array([len(one.data) for one in prepared])
        # Each network's order is the one that its own loop would draw.
        self.generators = [torch.Generator().manual_seed(1) for _ in prepared]

    def __iter__(self):
        starts = self.n_bags.cumsum() - self.n_bags
        orders = [
            start + torch.randperm(n, generator=generator).numpy()
            for start, n, generator in zip(starts, self.n_bags, self.generators, strict=True)
        ]
        size = SETTINGS.batch_size
        (n_steps,) = set(-(-self.n_bags // size))  # or some networks would step more often
        for s in range(n_steps):
            yield self._step([order[s * size : (s + 1) * size] for order in orders])

    def _step(self, chosen):
        counts = np.array([len(bags) for bags in chosen])
        network = np.repeat(np.arange(len(chosen)), counts)
        bags, place = np.concatenate(chosen), np.concatenate([np.arange(n) for n in counts])
        rows, offsets = take_rows(self.offsets, bags)
        ends = offsets[counts.cumsum()]
        sizes = np.diff(ends, prepend=0)
        # Bags that are missing in the last step have weight zero, and anything inside.
        shape = len(chosen), counts.max()
        first, last = np.zeros(shape, np.int64), np.full(shape, sizes.max())
        first[network, place] = offsets[:-1] - (ends - sizes)[network]
        last[network, place] = offsets[1:] - (ends - sizes)[network]
        positive, weights = np.zeros(shape, bool), np.zeros(shape)
        positive[network, place] = self.codes[bags]
        weights[network, place] = 1 / counts[network]
        row = np.arange(sizes.max())
        return Step(
            self.instances[torch.from_numpy(rows)],
            sizes.tolist(),
            torch.from_numpy((row < first[:, :, None]) | (row >= last[:, :, None])),
            torch.from_numpy(positive),
            torch.from_numpy(weights).to(self.instances.dtype),
        )


class SharedBatches:
    """Batches of networks with the same training set and the same order of bags."""

    def __init__(self, prepared):
        torch.manual_seed(1)
        self.loader = BagLoader(prepared[0].data, SETTINGS.batch_size, shuffle=True)

    def __iter__(self):
        for batch, (codes, weights) in self.loader:
            outside = batch.bag_index != torch.arange(batch.n_bags).unsqueeze(1)
            yield Step(
                batch.instances, None, outside[None], codes.bool()[None], weights[None] / len(batch)
            )


class Encoders:
    """The encoders of several networks, with their gradient written out."""

    def __init__(self, prepared):
        self.weights, self.biases = [], []
        for layers in zip(*(one.linears for one in prepared), strict=True):
            self.weights.append(torch.stack([layer.weight.detach().mT for layer in layers]))
            self.biases.append(torch.stack([layer.bias.detach() for layer in layers]))
        self.adam = Adam([*self.weights, *self.biases])
        self.weight_gradients = self.adam.gradients[: len(self.weights)]
        self.bias_gradients = self.adam.gradients[len(self.weights) :]

    def forward(self, step):
        """Return padded embeddings (K, n_padded, n_dimensions)."""
        self.sizes, K = step.sizes, len(self.weights[0])
        self.outputs = [step.instances]
        if self.sizes is None:
            self.outputs = [step.instances.expand(K, -1, -1)]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = self.outputs[-1]
            if self.sizes is None:
                out = torch.baddbmm(bias.unsqueeze(1), x, weight)
            else:
                out = x.new_empty(len(x), weight.shape[2])
                for b, part, w, o in zip(
                    bias, self._split(x), weight, self._split(out), strict=True
                ):
                    torch.addmm(b, part, w, out=o)
            self.outputs.append(out.relu_())
        if self.sizes is None:
            return out
        return torch.nn.utils.rnn.pad_sequence(self._split(out), batch_first=True)

    def backward(self, gradient):
        """Set the gradients of the weights from that of the padded embeddings."""
        if self.sizes is not None:
            gradient = torch.cat([g[:n] for g, n in zip(gradient, self.sizes, strict=True)])
        for i in reversed(range(len(self.weights))):
            gradient = torch.ops.aten.threshold_backward(gradient, self.outputs[i + 1], 0)
            layer = self._layer_backward if self.sizes is None else self._layer_backward_one_by_one
            gradient = layer(i, gradient)

    def _layer_backward(self, i, gradient):
        torch.sum(gradient, 1, out=self.bias_gradients[i])
        torch.bmm(self.outputs[i].mT, gradient, out=self.weight_gradients[i])
        return torch.bmm(gradient, self.weights[i].mT) if i else None

    def _layer_backward_one_by_one(self, i, gradient):
        parts, inputs = self._split(gradient), self._split(self.outputs[i])
        for g, bias_gradient in zip(parts, self.bias_gradients[i], strict=True):
            torch.sum(g, 0, out=bias_gradient)
        for x, g, weight_gradient in zip(inputs, parts, self.weight_gradients[i], strict=True):
            torch.mm(x.mT, g, out=weight_gradient)
        if i == 0:
            return None
        before = torch.empty_like(self.outputs[i])
        for g, w, o in zip(parts, self.weights[i], self._split(before), strict=True):
            torch.mm(g, w.mT, out=o)
        return before

    def _split(self, rows):
        return rows.split(self.sizes)

    def write_back(self, prepared):
        """Give each network its weights."""
        for k, one in enumerate(prepared):
            for layer, weight, bias in zip(one.linears, self.weights, self.biases, strict=True):
                layer.weight.copy_(weight[k].mT)
                layer.bias.copy_(bias[k])


class Pooling:
    """Dynamic pooling of a stack whose networks are ordered by falling `T`."""

    def __init__(self, Ts):
        # In iteration t only so many networks, the first, take part.
        self.counts = [sum(t < T for T in Ts) for t in range(max(Ts))]

    def forward(self, embeddings, is_outside):
        """Return pooled embeddings (K, n_bags, n_dimensions)."""
        inside = (~is_outside).to(embeddings.dtype)
        equal = (inside / inside.sum(2, keepdim=True)).expand(len(embeddings), -1, -1)
        self.embeddings, self.weights = embeddings, [equal]
        self.centres, self.factors = [], []
        pooled = [torch.bmm(equal, embeddings)]
        for n in self.counts[1:]:
            squashed, factors = squash_and_factors(pooled[-1][:n])
            self.factors.append(factors)
            self.centres.append(self.centres[-1][:n] + squashed if self.centres else squashed)
            logits = torch.bmm(self.centres[-1], embeddings[:n].mT)
            self.weights.append(logits.masked_fill_(is_outside[:n], -torch.inf).softmax(2))
            pooled.append(torch.bmm(self.weights[-1], embeddings[:n]))
        ends = [*self.counts[1:], 0]  # who goes on
        return torch.cat([p[n:] for p, n in zip(pooled, ends, strict=True)][::-1])

    def backward(self, pooled_gradient):
        """Return the gradient of the embeddings from that of the pooled ones."""
        out = torch.zeros_like(self.embeddings)
        gradient = centre_gradient = pooled_gradient[:0]
        for t in reversed(range(len(self.counts))):
            n, n_on = self.counts[t], len(gradient)
            gradient = torch.cat([gradient, pooled_gradient[n_on:n]])
            numbers, vectors, weights = self.weights[t], gradient, self.weights[t]
            if t:
                product = weights * torch.bmm(gradient, self.embeddings[:n].mT)
                logits = product - weights * product.sum(2, keepdim=True)
                numbers = torch.cat([weights, logits], 1)
                vectors = torch.cat([gradient, self.centres[t - 1]], 1)
                total = torch.bmm(logits, self.embeddings[:n])
                total[:n_on] += centre_gradient
                centre_gradient = total
                gradient = squash_gradient(self.factors[t - 1], total)
            out[:n].baddbmm_(numbers.mT, vectors)
        return out


@torch.no_grad()
def train_stack(batches_of, prepared, epochs):
    """Train networks together."""
    prepared = sorted(prepared, key=lambda one: -one.task.T)
    encoders, pooling = Encoders(prepared), Pooling([one.task.T for one in prepared])
    margins = encoders.weights[0].new_tensor([[one.task.margin] for one in prepared])
    batches = batches_of(prepared)
    for _ in range(epochs):
        for step in batches:
            pooled = pooling.forward(encoders.forward(step), step.is_outside)
            gradient = pooled_gradient(pooled, step.is_positive, step.weights, margins)
            encoders.backward(pooling.backward(gradient))
            encoders.adam.step()
        encoders.adam.end_epoch()
    encoders.write_back(prepared)


def in_stacks(batches_of, size, prepared, epochs):
    """Train networks in stacks of `size`."""
    for first in range(0, len(prepared), size):
        train_stack(batches_of, prepared[first : first + size], epochs)
