"""Training classifiers that differ in `T` and the margins only as one stacked network.

With the same seed such classifiers start from the same random weights, but for one factor,
see the same bags in the same order, and drop the same units. So a step encodes its instances for
all of them by batched matrix products, and one Adam, which treats every number by itself, updates
all weights. Of classifiers with several networks each, the first, second, ... drop the same units.
"""

import copy
import time
from itertools import groupby

import joblib
import torch
from sklearn.base import clone
from torch import nn
from torch.nn.functional import dropout

from skmil.bags import check_bags
from skmil.functional import dynamic_pooling, margin_loss, squared_length
from skmil.neural._dp_minn import DPMINNClassifier
from skmil.neural._loader import BagLoader
from skmil.neural._training import OPTIMIZERS
from skmil.nn import MarginLoss

#: In what the candidates of a stack may differ.
_STACKED = {"T", "margin_positive", "margin_negative"}
#: How many networks a stack has, unless one candidate has more; larger stacks take more memory and
#: were not faster.
_MOST_NETWORKS = 16


class Stacks:
    """The candidates of a search, trained for whatever bags come.

    Parameters
    ----------
    candidates : list of DPMINNClassifier
        The candidates.
    X : bags
        All bags, to which no stack is fitted.
    """

    def __init__(self, candidates, X):
        self._all = X
        self._times = {}  # of a candidate: its share of the seconds of each stack it was in
        self._fitted = {}  # by training data and candidate
        self._stackable = {}  # by what they share
        for candidate in filter(_is_valid, candidates):
            together = self._stackable.setdefault(_shared(candidate), {})
            together[_key(candidate)] = candidate

    def trained(self, candidate, X, y, sample_weight):
        """Return the candidate fitted to some of the bags, or raise what fitting it raises.

        None if it is not in a stack, if its stack could not be trained, or if it is to be fitted
        to all bags, as one candidate only is.
        """
        together = self._stackable.get(_shared(candidate), {})
        if X is self._all or _key(candidate) not in together:
            return None
        bags = check_bags(X)
        data = joblib.hash((bags.instances, bags.offsets, y, sample_weight))
        if (data, _key(candidate)) not in self._fitted:
            stack = sorted(together.items(), key=lambda item: item[1].T)
            most = max(1, _MOST_NETWORKS // candidate.n_members)
            for first in range(0, len(stack), most):
                self._train(stack[first : first + most], data, X, y, sample_weight)
        result = self._fitted[data, _key(candidate)]
        if result is not None:
            result._record_training()
        return result

    def times_of(self, candidate):
        """Return the candidate's shares of the seconds of its stacks; None if it was in none."""
        return self._times.get(_key(candidate))

    def _train(self, stack, data, X, y, sample_weight):
        start = time.perf_counter()
        trainer = StackTrainer(**stack[0][1].get_params(deep=False))
        trainer.candidates = [clone(candidate) for _, candidate in stack]
        try:
            trainer.fit(X, y, sample_weight=sample_weight)
        except ValueError:  # by themselves, those that fail say why, and the others do not fail
            self._fitted |= {(data, key): None for key, _ in stack}
            return
        share = (time.perf_counter() - start) / len(stack)
        for (key, _), candidate in zip(stack, trainer.candidates, strict=True):
            self._fitted[data, key] = candidate
            self._times.setdefault(key, []).append(share)


def _key(candidate):
    return joblib.hash(candidate.get_params(deep=False))


def _shared(candidate):
    parameters = candidate.get_params(deep=False).items()
    return joblib.hash({name: value for name, value in parameters if name not in _STACKED})


def _is_valid(candidate):
    """Return whether the parameters are allowed; if not, fitting it alone tells what is wrong."""
    try:
        candidate._validate_params()
        candidate._build_loss(n_classes=2)
    except ValueError:
        return False
    return True


class StackTrainer(DPMINNClassifier):
    """Fit several classifiers at once, each as its own `fit` would.

    Its parameters are those of any of the classifiers. It is not fitted itself.
    """

    candidates = ()

    def _start_network(self, training_set):
        seed, networks = torch.initial_seed(), {}
        for candidate in self.candidates:
            if candidate.T not in networks:
                torch.manual_seed(seed)
                candidate.classes_ = self.classes_
                networks[candidate.T] = candidate._start_network(training_set)
        return networks

    def _set_net(self, networks, device):
        known = {*self.get_params(deep=False), "candidates"}
        fitted = {name: value for name, value in vars(self).items() if name not in known}
        for candidate in self.candidates:
            vars(candidate).update(copy.deepcopy(fitted))
            candidate._set_net(copy.deepcopy(networks[candidate.T]), device)

    def _run_epochs(self, training_set, n_epochs, *_):
        nets = [candidate.net_ for candidate in self.candidates]
        stack = StackedNetwork([net.module_ for net in nets])
        margins = [
            (candidate.margin_positive, candidate.margin_negative)
            for candidate in self.candidates
            for _ in range(self.n_members)
        ]
        make_optimizer, settings = OPTIMIZERS[self.optimizer]
        optimizer = make_optimizer(
            stack.parameters(),
            lr=self.learning_rate,
            weight_decay=self._chosen_weight_decay(),
            **settings,
        )
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.learning_rate_decay)
        loss = StackedMarginLoss(margins, training_set, relative=self.probability == "relative")
        loader = BagLoader(training_set, self.batch_size, shuffle=True)
        for _ in range(n_epochs):
            total = 0
            for batch, target in loader:
                optimizer.zero_grad()
                losses = loss(stack(batch.instances, batch.bag_index, batch.n_bags), target)
                losses.sum().backward()
                optimizer.step()
                means = losses.detach().double().unflatten(0, (len(nets), -1)).mean(1)
                total = total + means * batch.n_bags
            schedule.step()
            for net, value in zip(nets, (total / len(training_set)).tolist(), strict=True):
                net.history.new_epoch()
                net.history.record("train_loss", value)
        stack.write_back()

    def _record_training(self):
        """Leave it to each candidate, as some may have diverged."""

    @property
    def _trained(self):
        return self.candidates

    def _twin_for_part(self, seed, note):
        """Return a trainer of a network for each candidate, to be trained on some of the bags."""
        self.net_ = self.candidates[0].net_  # all are trained as long as the first
        twin = super()._twin_for_part(seed, note)
        twin.candidates = [candidate._twin_for_part(seed, note) for candidate in self.candidates]
        return twin


class StackedNetwork(nn.Module):
    """The encoders and poolings of several networks, or ensembles, of :class:`skmil.nn.DPMINN`.

    Parameters
    ----------
    networks : list of BagNetwork
        Networks with the same numbers of members, widths and capsules, those of the same `T` side
        by side.
    """

    def __init__(self, networks):
        super().__init__()
        self._n_members = len(networks[0].members)
        networks = [member for network in networks for member in network.members]
        self._layers = [
            layers
            for layers in zip(*(network.encoder for network in networks), strict=True)
            if isinstance(layers[0], nn.Linear)
        ]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layers in self._layers:
            self.weights.append(torch.stack([layer.weight.detach().mT for layer in layers]))
            self.biases.append(torch.stack([layer.bias.detach() for layer in layers]))
        runs = groupby(networks, key=lambda network: network.pooling.T)
        self._Ts, self._counts = zip(*((T, len(list(run))) for T, run in runs), strict=True)
        self._n_capsules = networks[0].n_capsules
        self._gradient = networks[0].pooling.routing_gradient
        self._dropout = next((m.p for m in networks[0].encoder if isinstance(m, nn.Dropout)), 0.0)

    def forward(self, instances, bag_index, n_bags):
        """Return the squared lengths of the capsules, (n_bags, n_networks, n_capsules)."""
        kept = self._kept_units(instances)
        x = instances.expand(sum(self._counts), -1, -1)  # (K, N, D)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i and self._dropout:
                x = (x.unflatten(0, (-1, self._n_members)) * kept[i - 1]).flatten(0, 1)
            x = torch.baddbmm(bias.unsqueeze(1), x, weight).relu_()
        lengths = []
        for T, part in zip(self._Ts, x.split(self._counts), strict=True):
            # As of one network with the capsules of all.
            capsules = part.unflatten(2, (self._n_capsules, -1)).transpose(1, 2).flatten(0, 1)
            pooled, _ = dynamic_pooling(
                capsules.transpose(0, 1), bag_index, n_bags, T, self._gradient
            )
            lengths.append(squared_length(pooled).unflatten(1, (-1, self._n_capsules)))
        return torch.cat(lengths, dim=1)

    def _kept_units(self, instances):
        """Return the factors of each inner layer's units, (n_members, n_instances, width).

        They are drawn in the order in which an ensemble draws them, one member after the other.
        """
        if not self._dropout:
            return []
        ones = [instances.new_ones(len(instances), weight.shape[1]) for weight in self.weights[1:]]
        drawn = [[dropout(x, self._dropout) for x in ones] for _ in range(self._n_members)]
        return [torch.stack(factors) for factors in zip(*drawn, strict=True)]

    @torch.no_grad()
    def write_back(self):
        """Give each network its weights."""
        for layers, weight, bias in zip(self._layers, self.weights, self.biases, strict=True):
            for k, layer in enumerate(layers):
                layer.weight.copy_(weight[k].mT)
                layer.bias.copy_(bias[k])


class StackedMarginLoss(MarginLoss):
    """The margin loss of each network of a stack, by margins of its own, for two classes.

    Parameters
    ----------
    margins : list of (float, float)
        The positive and the negative margin of each network.
    training_set : PackedBags
        Tells device and precision.
    relative : bool
        Whether probabilities are shares of the lengths of two capsules.
    """

    def __init__(self, margins, training_set, relative):
        super().__init__(*training_set.weights.new_tensor(margins).mT, relative)

    def forward(self, squared, target):
        """Return the weighted mean loss of a batch for each network."""
        codes, weights = target
        losses = margin_loss(
            self.probability(squared).squeeze(2),  # (B, K)
            codes.unsqueeze(1),
            self.margin_positive,
            self.margin_negative,
        )
        return (weights.unsqueeze(1) * losses).mean(0)
