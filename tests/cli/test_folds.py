import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmil._cli._errors import UsageError
from skmil._cli._folds import draw_splits, published_splits

Y = np.array([0, 1, 0, 1, 0, 1])
PUBLISHED = np.array([[0, 0, 1, 1, 2, 2], [1, 0, 0, 1, 1, 0]], dtype=np.int8)


def test_drawn_folds_are_stratified_and_test_each_bag_once_a_repeat():
    splits = draw_splits(Y, n_folds=3, n_repeats=2, seed=0)
    assert [(s.repeat, s.fold) for s in splits] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    for split in splits:
        assert sorted(Y[split.test]) == [0, 1]
        assert_array_equal(np.union1d(split.train, split.test), np.arange(6))
    for repeat in (0, 1):
        tested = np.concatenate([s.test for s in splits if s.repeat == repeat])
        assert_array_equal(np.sort(tested), np.arange(6))


def test_the_seed_determines_the_folds():
    y = np.repeat([0, 1], 20)

    def tested(seed):
        return [s.test.tolist() for s in draw_splits(y, n_folds=2, n_repeats=1, seed=seed)]

    assert tested(0) == tested(0)
    assert tested(0) != tested(1)


def test_each_class_has_to_be_in_each_fold():
    y = np.array([0, 0, 1, 1, 1])
    assert len(draw_splits(y, 2, 1, 0)) == 2
    with pytest.raises(UsageError, match=r"--folds 3 is more than the 2 bags .* class, 0"):
        draw_splits(y, 3, 1, 0)


def test_published_folds_are_used_as_they_are():
    splits = published_splits(Y, PUBLISHED, n_repeats=2)
    assert [(s.repeat, s.fold) for s in splits] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert [s.test.tolist() for s in splits] == [[0, 1], [2, 3], [4, 5], [1, 2, 5], [0, 3, 4]]
    assert splits[0].train.tolist() == [2, 3, 4, 5]
    assert published_splits(Y, PUBLISHED, n_repeats=1)[-1].repeat == 0


@pytest.mark.parametrize(
    ("y", "folds", "n_repeats", "message"),
    [
        (Y, None, 1, "needs data with folds, such as an .npz file with an array"),
        (Y, PUBLISHED, 3, "--repeats 3 is more than the 2 published repeats"),
        ([0, 0, 1, 1], np.array([[0, 0, 1, 1]]), 1, "fold 0 of repeat 0 leaves bags of one class"),
        (["a", "a"], np.array([[0, 1]]), 1, "all bags have the label a; two classes are needed"),
    ],
)
def test_folds_that_cannot_be_used_are_refused(y, folds, n_repeats, message):
    with pytest.raises(UsageError, match=message):
        published_splits(np.array(y), folds, n_repeats)


def test_one_class_is_refused():
    with pytest.raises(UsageError, match="all bags have the label a; two classes are needed"):
        draw_splits(np.array(["a", "a"]), 2, 1, 0)
