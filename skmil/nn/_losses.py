"""Losses of bag classifiers: the weighted mean over the bags of a batch.

Each takes a network's output, a tuple that begins with the scores, and as target a pair of
class codes and bag weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from skmil.functional import length_probability, margin_loss, relative_probability

__all__ = ["CrossEntropyLoss", "DeepSupervisionLoss", "MarginLoss"]


class MarginLoss(nn.Module):
    """Margin loss of capsule lengths.

    A single capsule stands for the positive class of two. With one capsule for each of more
    classes, the losses of the capsules are added, those of the absent classes at half weight, as
    in capsule networks.

    Parameters
    ----------
    margin_positive : float, default=0.9
        Probability above which a present class costs nothing.
    margin_negative : float, default=0.1
        Probability below which an absent class costs nothing.
    relative : bool, default=False
        Whether a capsule's probability is its share of all squared lengths, rather than its own
        squashed length. There is a capsule for each class then; of two, whose probabilities sum to
        1, the second counts.
    """

    def __init__(
        self, margin_positive: float = 0.9, margin_negative: float = 0.1, relative: bool = False
    ) -> None:
        super().__init__()
        self.margin_positive = margin_positive
        self.margin_negative = margin_negative
        self.relative = relative

    def forward(self, outputs: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Return the weighted mean loss of a batch."""
        squared, (codes, weights) = outputs[0], target  # squared: (B, K)
        probability = self.probability(squared)
        single = probability.shape[1] == 1
        present = codes.unsqueeze(1) if single else F.one_hot(codes, squared.shape[1])
        losses = margin_loss(
            probability,
            present.to(squared.dtype),
            self.margin_positive,
            self.margin_negative,
            negative_weight=1.0 if single else 0.5,
        )
        return (weights * losses.sum(1)).mean()

    def probability(self, squared: Tensor) -> Tensor:
        """Return what the margins are for; over the last axis the second of two classes, or all."""
        if not self.relative:
            return length_probability(squared)
        shares = relative_probability(squared)
        return shares[..., 1:] if shares.shape[-1] == 2 else shares


class CrossEntropyLoss(nn.Module):
    """Cross-entropy: of a sigmoid for one logit per bag, of a softmax for several."""

    def forward(self, outputs: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Return the weighted mean loss of a batch."""
        codes, weights = target
        return (weights * _cross_entropy(outputs[0], codes)).mean()


class DeepSupervisionLoss(nn.Module):
    """Cross-entropy of each of a network's classifiers, added up.

    The third of the outputs are the logits of all classifiers, of shape
    (n_bags, n_classifiers, n_logits), as :class:`MINet` returns them.
    """

    def forward(self, outputs: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Return the weighted mean loss of a batch."""
        logits, (codes, weights) = outputs[2], target  # logits: (B, L, K)
        n_classifiers = logits.shape[1]
        losses = _cross_entropy(logits.flatten(0, 1), codes.repeat_interleave(n_classifiers))
        return (weights * losses.view(-1, n_classifiers).sum(1)).mean()


def _cross_entropy(logits: Tensor, codes: Tensor) -> Tensor:
    """Return the loss of each row of logits."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(
            logits.squeeze(1), codes.to(logits.dtype), reduction="none"
        )
    return F.cross_entropy(logits, codes, reduction="none")
