import pytest
import torch
from torch.nn import functional as F

from skmil.nn import CrossEntropyLoss, DeepSupervisionLoss, MarginLoss

CODES, WEIGHTS = torch.tensor([1, 0, 1]), torch.tensor([1.0, 2.0, 3.0])


def test_margin_loss_of_one_capsule_is_the_loss_of_the_paper():
    n = torch.tensor([0.5, 2.0, 4.0])
    p = n**2 / (1 + n**2)
    expected = 1.0 * (0.9 - p[0]) ** 2 + 2.0 * (p[1] - 0.1) ** 2 + 3.0 * 0.0
    loss = MarginLoss()(((n**2).unsqueeze(1),), (CODES, WEIGHTS))
    assert loss.item() == pytest.approx(expected.item() / 3)


def test_margin_loss_of_several_capsules_counts_absent_classes_half():
    squared = torch.tensor([[1.0, 1.0, 4.0], [9.0, 1.0, 0.0], [0.0, 9.0, 0.0]])
    p = squared / (1 + squared)
    loss = MarginLoss(0.8, 0.2)((squared,), (CODES, WEIGHTS))
    expected = 0.0
    for i, code in enumerate(CODES):
        for k in range(3):
            if k == code:
                term = max(0.0, 0.8 - p[i, k].item()) ** 2
            else:
                term = 0.5 * max(0.0, p[i, k].item() - 0.2) ** 2
            expected += WEIGHTS[i].item() * term / 3
    assert loss.item() == pytest.approx(expected)


def test_relative_margin_loss_of_two_capsules_is_that_of_the_share_of_the_second():
    squared = torch.tensor([[1.0, 3.0], [0.0, 5.0], [2.0, 2.0]])
    p = torch.tensor([0.75, 1.0, 0.5])
    terms = torch.stack([1.0 * (0.9 - p[0]) ** 2, 2.0 * (p[1] - 0.1) ** 2, 3.0 * (0.9 - p[2]) ** 2])
    loss = MarginLoss(relative=True)((squared,), (CODES, WEIGHTS))
    assert loss.item() == pytest.approx(terms.mean().item(), rel=1e-5)


def test_relative_margin_loss_of_three_capsules_adds_up_their_shares():
    squared = torch.tensor([[1.0, 1.0, 2.0]])
    loss = MarginLoss(0.8, 0.2, relative=True)((squared,), (torch.tensor([2]), torch.ones(1)))
    assert loss.item() == pytest.approx(0.3**2 + 0.5 * 2 * 0.05**2, rel=1e-4)


def test_cross_entropy_of_one_and_of_two_logits_agree():
    logits = torch.randn(3, 1)
    one = CrossEntropyLoss()((logits,), (CODES, WEIGHTS))
    two = CrossEntropyLoss()((torch.cat([0 * logits, logits], 1),), (CODES, WEIGHTS))
    torch.testing.assert_close(one, two)
    p = torch.sigmoid(logits[:, 0])
    expected = (WEIGHTS * F.binary_cross_entropy(p, CODES.float(), reduction="none")).mean()
    torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("n_logits", [1, 3])
def test_deep_supervision_adds_up_the_losses_of_all_classifiers(n_logits):
    logits = torch.randn(3, 4, n_logits)
    unused = torch.full((3, n_logits), torch.nan)
    found = DeepSupervisionLoss()((unused, unused, logits), (CODES, WEIGHTS))
    expected = 0.0
    for i, code in enumerate(CODES):
        for layer in range(4):
            z = logits[i, layer]
            p = torch.sigmoid(z[0]) if n_logits == 1 else torch.softmax(z, 0)[code]
            p = 1 - p if n_logits == 1 and code == 0 else p
            expected -= WEIGHTS[i].item() * torch.log(p).item() / 3
    assert found.item() == pytest.approx(expected, rel=1e-5)
