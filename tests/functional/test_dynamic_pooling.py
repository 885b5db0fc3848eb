"""Dynamic pooling against a loop over bags, and what its own gradient promises."""

import gc
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packing import pack
from strategies import ragged_bags
from torch.autograd import gradcheck
from torch.multiprocessing.reductions import StorageWeakRef

from skmil import functional as F
from skmil.functional import _routing

#: Unsorted, with a bag of one instance.
BAG_INDEX = torch.tensor([2, 0, 3, 0, 2, 0, 1, 2])
N_BAGS = 4


@pytest.fixture(params=[_routing.FewBags, _routing.ManyBags])
def form(request, monkeypatch):
    """Have everything computed in one of the two forms."""
    most = 1 << 60 if request.param is _routing.FewBags else 0
    monkeypatch.setattr(_routing, "_MOST_SEGMENTS", most)
    monkeypatch.setattr(_routing, "_MOST_NUMBERS", most)
    return request.param


def in_each_form(function):
    """Return what a function gives in each of the forms; for tests by hypothesis."""
    results = []
    for most in (1 << 60, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_routing, "_MOST_SEGMENTS", most)
            patch.setattr(_routing, "_MOST_NUMBERS", most)
            results.append(function())
    return results


# The algorithm of the paper for the instances of one bag, in each capsule for itself.
def pool_one_bag(f, T, routing_gradient):
    pooled, weights = [], []
    for own in f.unbind(1):  # (n_instances, n_dimensions)
        constant = own if routing_gradient == "full" else own.detach()
        b = torch.zeros(len(own), dtype=f.dtype)
        for t in range(1, T + 1):
            c = torch.softmax(b, 0)
            sigma = c @ (own if t == T else constant)
            n = sigma.norm()
            b = b + constant @ (n / (1 + n**2) * sigma)
        pooled.append(sigma)
        weights.append(c)
    return torch.stack(pooled), torch.stack(weights, 1)


def naive(embeddings, bag_index, n_bags, T, routing_gradient):
    pooled, weights = [], torch.zeros(embeddings.shape[:2], dtype=embeddings.dtype)
    for i in range(n_bags):
        own, own_weights = pool_one_bag(embeddings[bag_index == i], T, routing_gradient)
        pooled.append(own)
        weights = weights.index_put((torch.where(bag_index == i)[0],), own_weights)
    return torch.stack(pooled), weights


def test_the_thresholds_choose_the_form(form):
    routing = _routing.choose_routing(torch.zeros(8, 1, 2), BAG_INDEX, N_BAGS, training=True)
    assert isinstance(routing, form)


@pytest.mark.parametrize("T", [1, 2, 3, 4])
@pytest.mark.parametrize("n_capsules", [1, 3])
@pytest.mark.parametrize("routing_gradient", ["full", "last"])
def test_values_and_gradients_are_those_of_a_loop_over_bags(form, T, n_capsules, routing_gradient):
    embeddings = torch.randn(8, n_capsules, 5, dtype=torch.float64, requires_grad=True)
    arguments = embeddings, BAG_INDEX, N_BAGS, T, routing_gradient
    pooled, weights = F.dynamic_pooling(*arguments)
    expected, expected_weights = naive(*arguments)
    torch.testing.assert_close(pooled, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(weights, expected_weights, rtol=1e-10, atol=1e-12)
    on_pooled, on_weights = torch.randn_like(expected), torch.randn_like(expected_weights)

    def gradient(pooled, weights, *factors):
        parts = [(pooled * on_pooled).sum(), (weights * on_weights).sum()]
        loss = sum(factor * part for factor, part in zip(factors, parts, strict=True))
        return torch.autograd.grad(loss, embeddings, retain_graph=True)[0]

    for factors in ((1, 0), (0, 1), (1, 1)):
        if factors == (0, 1) and (T == 1 or routing_gradient == "last"):
            assert (gradient(pooled, weights, *factors) == 0).all()  # weights are constant
            continue
        found = gradient(pooled, weights, *factors)
        known = gradient(expected, expected_weights, *factors)
        torch.testing.assert_close(found, known, rtol=1e-9, atol=1e-12)


@given(bags=ragged_bags(), T=st.integers(1, 4))
def test_the_two_forms_agree_on_any_bags(bags, T):
    embeddings, bag_index, n_bags = pack(bags)
    on_weights = torch.randn(len(embeddings), dtype=torch.float64)

    def compute():
        pooled, weights = F.dynamic_pooling(embeddings, bag_index, n_bags, T)
        loss = pooled.sum() + (weights * on_weights).sum()
        return pooled, weights, torch.autograd.grad(loss, embeddings)[0]

    few, many = in_each_form(compute)
    torch.testing.assert_close(few, many, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("T", [1, 2, 4])
@pytest.mark.parametrize("shape", [(5,), (3, 2)])
def test_gradients_are_finite_differences(form, T, shape):
    embeddings = torch.randn(8, *shape, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda e: F.dynamic_pooling(e, BAG_INDEX, N_BAGS, T), (embeddings,))


def test_one_of_the_results_alone_can_be_used(form):
    embeddings = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    for k in (0, 1):
        gradcheck(lambda e, k=k: F.dynamic_pooling(e, BAG_INDEX, N_BAGS)[k], (embeddings,))


def test_it_is_differentiated_once_and_says_so(form):
    embeddings = torch.randn(8, 3, requires_grad=True)
    pooled, _ = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    with pytest.raises(RuntimeError, match="cannot be differentiated once more"):
        torch.autograd.grad(pooled.sum(), embeddings, create_graph=True)


def test_no_instances_at_all_give_no_bags(form):
    embeddings = torch.zeros(0, 4, requires_grad=True)
    pooled, weights = F.dynamic_pooling(embeddings, torch.zeros(0, dtype=torch.int64), 0)
    assert (pooled.shape, weights.shape) == ((0, 4), (0,))


def test_values_do_not_depend_on_whether_a_gradient_is_wanted(form):
    embeddings = torch.randn(8, 2, 3, dtype=torch.float64)
    with_gradient = F.dynamic_pooling(embeddings.clone().requires_grad_(), BAG_INDEX, N_BAGS)
    torch.testing.assert_close(F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS), with_gradient)


# Below the smallest normal number, and where squares overflow.
@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e-30, 1e-8, 1e8, 1e20, 1e30])
@pytest.mark.parametrize("T", [1, 3])
def test_everything_is_finite_at_any_scale(form, scale, T):
    embeddings = (scale * torch.randn(8, 2, 3)).requires_grad_()
    pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS, T)
    loss = F.length_probability(F.squared_length(pooled)).sum() + (weights**2).sum()
    (gradient,) = torch.autograd.grad(loss, embeddings)
    for tensor in (pooled, weights, F.squash(pooled), gradient):
        assert torch.isfinite(tensor).all()
    sums = F.segment_sum(weights, BAG_INDEX, N_BAGS)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_zero_embeddings_weigh_the_same_and_have_no_gradient_from_lengths(form):
    embeddings = torch.zeros(8, 3, requires_grad=True)
    pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    sizes = torch.bincount(BAG_INDEX).float()
    torch.testing.assert_close(weights, 1 / sizes[BAG_INDEX])
    (gradient,) = torch.autograd.grad(F.squared_length(pooled).sum(), embeddings)
    assert (gradient == 0).all()


@pytest.mark.parametrize("T", [1, 3])
def test_a_bag_without_instances_is_zero_and_the_others_are_as_without_it(form, T):
    embeddings = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for shift in (0, 1):  # then bag 0 is empty, and the last one
        n_bags = N_BAGS + 2 * shift
        pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX + shift, n_bags, T)
        own = pooled[shift : shift + N_BAGS]
        gradient = torch.autograd.grad((own**2).sum() + (weights**2).sum(), embeddings)[0]
        results.append((own, weights, gradient))
        assert (pooled[[0, -1]] == 0).all() or not shift
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_outside_training_an_instance_that_is_not_finite_spoils_its_own_bag_only(value):
    embeddings = torch.randn(8, 2, 3)
    clean = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    spoilt = embeddings.clone()
    spoilt[1, 0, 0] = value  # of bag 0, in capsule 0
    with torch.inference_mode():
        pooled, weights = F.dynamic_pooling(spoilt, BAG_INDEX, N_BAGS)
    assert not torch.isfinite(pooled[0, 0]).all()
    for own in (pooled[1:], weights[BAG_INDEX != 0], pooled[0, 1]):
        assert torch.isfinite(own).all()
    torch.testing.assert_close(pooled[1:], clean[0][1:])
    torch.testing.assert_close(weights[BAG_INDEX != 0], clean[1][BAG_INDEX != 0])


@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(form, low):
    embeddings = torch.randn(8, 3).to(low).requires_grad_()
    pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    exact = F.dynamic_pooling(embeddings.float(), BAG_INDEX, N_BAGS)
    assert pooled.dtype == weights.dtype == torch.float32
    torch.testing.assert_close((pooled, weights), exact)
    (gradient,) = torch.autograd.grad(pooled.sum(), embeddings)
    assert gradient.dtype == low


def test_autocast_changes_neither_values_nor_gradients(form):
    embeddings = torch.randn(8, 2, 3, requires_grad=True)

    def compute():
        pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
        loss = pooled.sum() + (weights**2).sum()
        return pooled, weights, torch.autograd.grad(loss, embeddings)[0]

    exact = compute()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(compute(), exact, rtol=0, atol=0)


def test_devices_that_know_no_autocast_pool_too():
    assert not torch.amp.is_autocast_available("meta")
    embeddings = torch.zeros(8, 3, device="meta", requires_grad=True)
    pooled, _ = F.dynamic_pooling(embeddings, BAG_INDEX.to("meta"), N_BAGS)
    pooled.sum().backward()
    assert embeddings.grad.shape == (8, 3)


def test_a_change_in_place_before_the_gradient_is_noticed(form):
    leaf = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    embeddings = leaf * 1
    pooled, _ = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    with torch.no_grad():
        embeddings += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        pooled.sum().backward()


def test_a_change_of_the_weights_is_noticed_where_it_would_count(form):
    embeddings = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    expected = torch.autograd.grad(pooled.sum(), embeddings, retain_graph=True)
    with torch.no_grad():
        weights.mul_(3)
    if form is _routing.ManyBags:  # the weights are those that the gradient needs
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            pooled.sum().backward()
    else:
        torch.testing.assert_close(torch.autograd.grad(pooled.sum(), embeddings), expected)


def test_the_gradient_can_be_computed_again_if_the_graph_is_kept(form):
    embeddings = torch.randn(8, 3, requires_grad=True)
    pooled, _ = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    first = torch.autograd.grad(pooled.sum(), embeddings, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(pooled.sum(), embeddings), first)


def test_embeddings_are_free_once_the_gradient_is_computed(form):
    leaf = torch.randn(8, 3, requires_grad=True)
    embeddings = leaf.exp()
    storage = StorageWeakRef(embeddings.untyped_storage())
    results = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
    del embeddings
    assert not storage.expired()
    results[0].sum().backward()
    assert storage.expired()  # although the results are still there


def test_nothing_is_left_to_the_garbage_collector(form):
    gc.collect()
    gc.disable()
    try:
        embeddings = torch.randn(8, 3, requires_grad=True)
        alive = weakref.ref(embeddings)
        storage = StorageWeakRef(embeddings.untyped_storage())
        pooled, weights = F.dynamic_pooling(embeddings, BAG_INDEX, N_BAGS)
        del embeddings, pooled, weights  # without ever computing the gradient
        assert alive() is None
        assert storage.expired()
    finally:
        gc.enable()
