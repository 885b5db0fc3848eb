"""Bags to train networks on, plain NumPy versions of what they share, a check of gradients."""

import numpy as np
import torch
from torch import nn
from torch.autograd import gradcheck

#: Three bags of six instances: the rows of each, and the bag of each row.
ROWS = [[0, 1], [2, 3, 4], [5]]
BAG_INDEX = torch.tensor([0, 0, 1, 1, 1, 2])


def make_data(n_classes=2, n_bags=40, seed=0):
    """Return bags of one to six instances, and classes that shift all of a bag's instances."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_bags) % n_classes
    X = [rng.normal(size=(rng.integers(1, 7), 5)) + 1.5 * label for label in y]
    return X, y


def weights_of(layer):
    """Return the matrix and the bias of a linear layer."""
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def layers_of(encoder, x):
    """Return what each layer of an encoder makes of one bag."""
    outputs = []
    for layer in encoder:
        if isinstance(layer, nn.Linear):
            matrix, bias = weights_of(layer)
            x = np.maximum(x @ matrix.T + bias, 0)
            outputs.append(x)
    return outputs


def passes_gradcheck(network, x):
    """Compare all gradients with finite differences: those of inputs and of parameters."""
    network = network.double()
    names = [name for name, _ in network.named_parameters()]
    # Biases of zero would put dead units exactly on the kink of the rectifier.
    values = [torch.randn_like(p).mul_(0.5).requires_grad_() for p in network.parameters()]

    def outputs(x, *parameters):
        replaced = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(network, replaced, (x, BAG_INDEX, 3))

    return gradcheck(outputs, (x.double().requires_grad_(), *values))
