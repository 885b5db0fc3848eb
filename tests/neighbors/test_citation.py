"""References and citers against random tie-breaking, carried out in full on copies of bags."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skmil.neighbors._citation import (
    Neighbourhoods,
    citer_shares,
    join,
    neighbourhoods,
    reference_shares,
)

N_BAGS = 4


@st.composite
def counted_bags(draw):
    """Distances with many ties, and how many copies there are of each bag."""
    copies = np.array(draw(st.lists(st.integers(1, 2), min_size=N_BAGS, max_size=N_BAGS)))
    distance = st.integers(0, 3).map(lambda d: d / 3)
    upper = np.zeros((N_BAGS, N_BAGS))
    for i in range(N_BAGS):
        for j in range(i):
            upper[j, i] = draw(distance)
    query = np.array(draw(st.lists(distance, min_size=N_BAGS, max_size=N_BAGS)))
    return upper + upper.T, query, copies, draw(st.integers(1, 9))


def chance_of_places(distances, n_places):
    """Return how often each one is among the nearest, over all orders of those at a distance."""
    chance = np.zeros(len(distances))
    orders = list(permutations(range(len(distances))))
    for order in orders:
        nearest = sorted(order, key=lambda i: distances[i])  # stable
        chance[nearest[:n_places]] += 1
    return chance / len(orders)


@settings(max_examples=20)
@given(counted_bags())
def test_references_are_the_nearest_copies_with_ties_broken_at_random(data):
    _, query, copies, n_references = data
    index = np.repeat(np.arange(N_BAGS), copies)
    if len(index) > 6:
        index = index[:6]
        copies = np.bincount(index, minlength=N_BAGS)
    expected = chance_of_places(query[index], n_references)
    present = np.flatnonzero(copies)
    found = reference_shares(
        query[np.newaxis, present], copies[present].astype(float), n_references
    )
    for bag, share in zip(present, found[0], strict=True):
        assert_allclose(expected[index == bag], share, atol=1e-12)


@settings(max_examples=20)
@given(counted_bags())
def test_citers_rank_the_query_among_the_other_copies_with_ties_broken_at_random(data):
    between, query, copies, n_citers = data
    index = np.repeat(np.arange(N_BAGS), copies)[:6]
    copies = np.bincount(index, minlength=N_BAGS)
    present = np.flatnonzero(copies)
    table = neighbourhoods(
        between[np.ix_(present, present)], copies[present].astype(float), n_citers
    )
    found = citer_shares(query[np.newaxis, present], table, n_citers)[0]
    for bag, share in zip(present, found, strict=True):
        one = int(np.flatnonzero(index == bag)[0])
        others = np.delete(index, one)
        ranked = np.append(between[bag, others], query[bag])
        assert_allclose(chance_of_places(ranked, n_citers)[-1], share, atol=1e-12)


def test_worked_example():
    places = np.array([0.0, 1.0, 3.0, 7.0, 12.0])
    between = np.abs(places[:, np.newaxis] - places)
    query = np.abs(1.8 - places)[np.newaxis]  # 1.8, 0.8, 1.2, 5.2, 10.2
    one = np.ones(5)
    # The nearest two are the bags at 1 and at 3.
    assert reference_shares(query, one, 2).tolist() == [[0, 1, 1, 0, 0]]
    # Nearest two of the bag at 0: at 1 and the query. At 1: the query and at 0. At 3: the query
    # and at 1. At 7: at 3 and at 12. At 12: at 7 and at 3.
    table = neighbourhoods(between, one, 2)
    assert citer_shares(query, table, 2).tolist() == [[1, 1, 1, 0, 0]]
    # Nearest three of the bag at 7: at 3, at 12 and the query. At 12: at 7, at 3 and the query.
    table = neighbourhoods(between, one, 3)
    assert citer_shares(query, table, 3).tolist() == [[1, 1, 1, 1, 1]]
    assert reference_shares(query, one, 3).tolist() == [[1, 1, 1, 0, 0]]
    assert citer_shares(query, neighbourhoods(between, one, 0), 0).tolist() == [[0] * 5]


def test_ties_share_the_places_that_are_left():
    query = np.array([[2.0, 1.0, 2.0, 2.0]])
    assert_allclose(reference_shares(query, np.ones(4), 3), [[2 / 3, 1, 2 / 3, 2 / 3]])
    # By weight: after the first, 2 places are left for a total of 0.5 + 3 + 1.5.
    weight = np.array([0.5, 1.0, 3.0, 1.5])
    assert_allclose(reference_shares(query, weight, 3), [[0.4, 1, 0.4, 0.4]])
    # The bag at 0 has neighbours at 1, 2, 2; the query, at 2 too, is one of three for a place.
    between = np.abs(np.subtract.outer([0.0, 1.0, 2.0, -2.0], [0.0, 1.0, 2.0, -2.0]))
    shares = citer_shares(query, neighbourhoods(between, np.ones(4), 2), 2)
    assert_allclose(shares[0, 0], 1 / 3)


def test_rounding_breaks_no_tie():
    rounded = np.array([[1.0, 1.0 + 1e-12, 1.0 - 1e-12, 1.001]])
    assert_allclose(reference_shares(rounded, np.ones(4), 1), [[1 / 3, 1 / 3, 1 / 3, 0]])
    between = np.array([[0.0, 1.0], [1.0, 0.0]])
    table = neighbourhoods(between, np.ones(2), 1)
    for change in (-1e-12, 0, 1e-12):
        assert_allclose(citer_shares(np.array([[1.0, 1.0]]) + change, table, 1), [[0.5, 0.5]])
    for change, share in ((-1e-6, 1), (1e-6, 0)):
        assert_allclose(citer_shares(np.array([[1.0, 1.0]]) + change, table, 1), [[share] * 2])


def test_only_neighbours_that_may_matter_are_kept():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(200, 2))
    between = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
    table = neighbourhoods(between, np.ones(200), 4)
    assert table.distances.shape == (200, 5)  # with the bag itself, which has weight zero
    assert table.weights.shape == (200, 6)


def test_weights_next_to_nothing_do_no_harm():
    query = np.array([[1.0, 1.0, 2.0]])
    shares = reference_shares(query, np.array([1.0, 1e-300, 1.0]), 2)
    assert_allclose(shares[:, [0, 2]], 1)
    shares = reference_shares(np.array([[1.0, 2.0, 3.0]]), np.array([1.0, 1e-300, 1.0]), 1)
    assert np.isfinite(shares).all()
    assert_allclose(shares[:, [0, 2]], [[1, 0]])


@settings(max_examples=30)
@given(counted_bags(), st.integers(1, N_BAGS))
def test_neighbours_found_some_bags_at_a_time_are_the_same(data, size):
    between, query, copies, n_citers = data
    weight = copies / 2
    tables = [
        neighbourhoods(between[i : i + size], weight, n_citers, i) for i in range(0, N_BAGS, size)
    ]
    expected = citer_shares(query[np.newaxis], neighbourhoods(between, weight, n_citers), n_citers)
    assert_allclose(citer_shares(query[np.newaxis], join(tables), n_citers), expected)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 6), st.sampled_from([0.1, 1.0, 3.0]))
def test_neighbours_are_those_of_sorting_all(seed, n_citers, heaviest):
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 8, size=40) + 1.0
    between = np.abs(np.subtract.outer(places, places))
    weight = rng.uniform(0.0, heaviest, size=40) + 1e-3
    query = np.abs(rng.integers(0, 10, size=(5, 1)) - places)
    found = citer_shares(query, neighbourhoods(between, weight, n_citers), n_citers)
    for i in range(40):
        others = weight.copy()
        others[i] = max(weight[i] - 1.0, 0.0)
        for q in range(5):
            nearer = others[between[i] < query[q, i]].sum()
            as_near = others[between[i] == query[q, i]].sum() + 1.0
            assert_allclose(found[q, i], np.clip(n_citers - nearer, 0, as_near) / as_near)


def test_what_is_missing_to_the_longest_row_is_far_away():
    short = Neighbourhoods(np.array([[1.0]]), np.array([[0.0, 1.0]]))
    long = Neighbourhoods(np.array([[1.0, 2.0]]), np.array([[0.0, 1.0, 3.0]]))
    distances, weights = join([short, long])
    assert distances.tolist() == [[1.0, np.inf], [1.0, 2.0]]
    assert weights.tolist() == [[0.0, 1.0, 1.0], [0.0, 1.0, 3.0]]
