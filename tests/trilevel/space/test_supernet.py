import math
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from corenas.errors import InputError
from corenas.supernets.mixtures import one_hot
from corenas.testing.contracts import random_architectures
from corenas.values.architecture import Architecture
from corenas_oneshot.relaxing.sparsestmax import softmax, sparsestmax
from corenas_trilevel.space.config import TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.space.counting import count
from corenas_trilevel.space.operations import SlimDwsBlock, SlimOperation, SlimResBlock
from corenas_trilevel.space.relaxation import relaxation
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.space.supernet import TrilevelSupernet

SMALL = {"cells": 3, "searched_cells": 2, "widths": (3, 5, 6), "features": 6}
SMALL_A = TrilevelAConfig(**SMALL, scale=2)
SMALL_B = TrilevelBConfig(**SMALL, scale=2, ups=1)
SMALL_SPACES = [SMALL_A, SMALL_B]
FULL_SPACES = [TrilevelAConfig(), TrilevelBConfig()]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@cache
def full_supernet(config) -> TrilevelSupernet:
    torch.manual_seed(0)
    return TrilevelSpace(config).supernet()


def small_supernet(config=SMALL_B) -> TrilevelSupernet:
    return TrilevelSpace(config).supernet().double()


def logits(space: TrilevelSpace) -> dict[str, Tensor]:
    cells, widths = len(space.cells), len(space.config.widths)
    shapes = {"path": (len(space.candidates),), "operations": (cells, 5, 4)}
    shapes["widths"] = (cells, 4, widths)
    return {
        name: torch.randn(shape, dtype=torch.float64).requires_grad_()
        for name, shape in shapes.items()
    }


def soft_point(space: TrilevelSpace) -> dict[str, Tensor]:
    weights = {name: softmax(values.detach()) for name, values in logits(space).items()}
    return dict(relaxation(space, **weights))


def images(size: int = 5) -> Tensor:
    return 255 * torch.rand(2, 3, size, size + 1, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("config", FULL_SPACES)
def test_one_hot_supernet_is_the_derived_network(config):
    supernet = full_supernet(config)
    space, x = supernet.space, 255 * torch.rand(1, 3, 6, 5)
    architectures = random_architectures(space, 50)
    for architecture in architectures:
        with torch.no_grad():
            y = supernet(x, one_hot(space, architecture))
            difference = (y - supernet.inherit(architecture)(x)).abs().max()
        assert difference < 255 * 1e-5
    seen = {
        (d.name[-7:], architecture[d.name])
        for architecture in architectures
        for d in space.active(architecture)[1:]
    }
    assert len(seen) == 5 * 4 + 4 * len(config.widths)


@pytest.mark.parametrize("config", [SMALL_A, SMALL_B, TrilevelAConfig(**SMALL, share_up=True)])
def test_one_hot_supernet_is_the_derived_network_in_every_small_space(config):
    supernet = small_supernet(config)
    space, x = supernet.space, images()
    for architecture in random_architectures(space, 25):
        y = supernet(x, one_hot(space, architecture, dtype=torch.float64))
        torch.testing.assert_close(y, supernet.inherit(architecture)(x), rtol=0, atol=1e-12)


def test_gradients_at_a_one_hot_point_are_those_of_the_derived_network():
    supernet = small_supernet()
    (architecture,) = random_architectures(supernet.space, 1)
    network, x = supernet.inherit(architecture), images()
    supernet(x, one_hot(supernet.space, architecture, dtype=torch.float64)).sum().backward()
    network(x).sum().backward()
    torch.testing.assert_close(supernet.head.weight.grad, network.head.weight.grad)
    torch.testing.assert_close(supernet.tail[0].weight.grad, network.tail[0].weight.grad)


@pytest.mark.slow
@pytest.mark.parametrize("config", FULL_SPACES + SMALL_SPACES)
def test_expected_cost_at_a_one_hot_point_is_the_derived_cost_exactly(config):
    space = TrilevelSpace(config)
    with torch.device("meta"):
        supernet = space.supernet()
    supernet.cost = type(supernet.cost)(space)
    for architecture in [*space.known.values(), *random_architectures(space, 10)]:
        with torch.device("meta"):
            network = space.build(architecture)
        point = one_hot(space, architecture)
        for size in ((256, 256), (35, 51)):
            expected = count(network, size=size).mult_adds
            assert supernet.expected_cost(point, size=size).item() == expected


@pytest.mark.parametrize("config", SMALL_SPACES)
def test_expected_cost_is_the_mean_over_each_decision(config):
    """With the exact costs at one-hot points this is the mean over all architectures."""
    supernet = small_supernet(config)
    point = soft_point(supernet.space)
    whole = supernet.expected_cost(point)
    for decision in supernet.space.decisions:
        options = torch.eye(len(decision.options), dtype=torch.float64)
        costs = [supernet.expected_cost({**point, decision.name: option}) for option in options]
        torch.testing.assert_close(point[decision.name] @ torch.stack(costs), whole)


@pytest.mark.parametrize("config", SMALL_SPACES)
def test_gradient_of_the_expected_cost_matches_finite_differences(config):
    supernet = small_supernet(config)
    values = logits(supernet.space)

    def cost(path: Tensor, operations: Tensor, widths: Tensor) -> Tensor:
        weights = {"path": path, "operations": operations, "widths": widths}
        point = relaxation(supernet.space, **{k: softmax(v) for k, v in weights.items()})
        return supernet.expected_cost(point, size=(1, 1)) / 1000

    assert torch.autograd.gradcheck(cost, tuple(values.values()))


def test_each_width_feels_the_cost_that_it_would_have():
    supernet = small_supernet()
    (architecture,) = random_architectures(supernet.space, 1)
    name = f"cell-{architecture['path'][:1]}-width-2"
    point = dict(one_hot(supernet.space, architecture, dtype=torch.float64))
    point[name].requires_grad_()
    (gradient,) = torch.autograd.grad(supernet.expected_cost(point), point[name])
    costs = [
        supernet.expected_cost({**point, name: option}).item()
        for option in torch.eye(len(gradient), dtype=torch.float64)
    ]
    assert (gradient - gradient[0]).tolist() == [cost - costs[0] for cost in costs]
    assert costs == sorted(set(costs))


def sparse_point(space: TrilevelSpace, values: dict[str, Tensor], radius: float = 0.6):
    weights = {
        "path": sparsestmax(values["path"], radius),
        "operations": sparsestmax(values["operations"], radius),
        "widths": softmax(values["widths"]),
    }
    for name in ("path", "operations"):
        assert (weights[name] == 0).any()
        assert ((weights[name] > 0).sum(-1) > 1).any()
    return relaxation(space, **weights)


@pytest.mark.parametrize("config", SMALL_SPACES)
def test_skipping_zeros_changes_neither_the_output_nor_any_gradient(config):
    supernet = small_supernet(config)
    values, x = logits(supernet.space), images()
    results = []
    for sparse in (True, False):
        supernet.zero_grad()
        for value in values.values():
            value.grad = None
        y = supernet(x, sparse_point(supernet.space, values), sparse=sparse)
        y.square().sum().backward()
        weights = {n: w.grad for n, w in supernet.named_parameters() if w.grad is not None}
        results.append((y.detach(), {n: v.grad for n, v in values.items()}, weights))
    (skipped, logit_grads, weight_grads), (dense, dense_logit_grads, dense_weight_grads) = results
    torch.testing.assert_close(skipped, dense, rtol=0, atol=1e-12)
    for name, gradient in logit_grads.items():
        torch.testing.assert_close(gradient, dense_logit_grads[name], rtol=0, atol=1e-10)
        assert gradient.abs().max() > 0
    assert len(weight_grads) < len(dense_weight_grads)
    for name, gradient in dense_weight_grads.items():
        expected = weight_grads.get(name, torch.zeros_like(gradient))
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-10)


def called(supernet: TrilevelSupernet, point) -> set[str]:
    names = set()
    handles = [
        module.register_forward_hook(lambda *_, name=name: names.add(name))
        for name, module in supernet.named_modules()
        if isinstance(module, SlimOperation) or name.startswith("ups.")
    ]
    supernet(images(), point)
    for handle in handles:
        handle.remove()
    return names


def test_only_what_has_weight_is_computed():
    supernet = small_supernet()
    space = supernet.space
    point = soft_point(space)
    path = torch.zeros(len(space.candidates), dtype=torch.float64)
    path[space.candidates.index("001")] = 0.75
    path[space.candidates.index("01")] = 0.25
    point["path"] = path
    point["cell-00-operation-2"] = torch.tensor([0, 0.5, 0, 0.5], dtype=torch.float64)

    names = called(supernet, point)

    assert {name for name in names if name.startswith("ups.")} >= {"ups.001", "ups.01"}
    assert not any(name.startswith(("ups.0001", "cells.000", "cells.010")) for name in names)
    in_place = {name for name in names if name.startswith("cells.00.operations.1.")}
    assert in_place == {f"cells.00.operations.1.choices.{name}" for name in ("conv3", "dws")}
    assert len([name for name in names if name.startswith("cells.0.")]) == 5 * 4


@pytest.mark.slow
@pytest.mark.parametrize("config", SMALL_SPACES)
def test_a_one_hot_point_computes_no_more_than_the_derived_network(config):
    supernet = small_supernet(config)
    for architecture in random_architectures(supernet.space, 10):
        network, x = supernet.inherit(architecture), images()[:1]
        point = one_hot(supernet.space, architecture, dtype=torch.float64)
        flops = []
        for run in (lambda: network(x), lambda: supernet(x, point)):  # noqa: B023 - called here
            with FlopCounterMode(display=False) as counter:
                run().sum().backward()
            flops.append(counter.get_total_flops())
        assert flops[0] == flops[1]


def at_width(choice: nn.Module, x: Tensor, width: int) -> Tensor:
    """An operation's first channels, inside as wide as at full width, padded with zeros."""
    if isinstance(choice, SlimResBlock):
        inner = F.relu(choice.first(x))
        y = F.relu(F.conv2d(inner, choice.second.weight[:width], padding=1) + x[:, :width])
    elif isinstance(choice, SlimDwsBlock):
        inner = F.relu(choice.depthwise(F.relu(choice.expand(x))))
        y = F.relu(F.conv2d(inner, choice.project.weight[:width]) + x[:, :width])
    else:
        y = choice(x, width)
    return F.pad(y, (0, 0, 0, 0, 0, x.shape[1] - width))


def test_mixed_widths_are_the_mean_of_the_operations_at_every_width():
    supernet = small_supernet(TrilevelBConfig(**SMALL, ups=0, scale=2))
    space, x = supernet.space, images()
    point = soft_point(space) | {"path": torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)}
    assert space.candidates[2] == "000"

    features = supernet.head(x / 255)
    for cell in ("0", "00", "000"):
        y = features
        for number, operation in enumerate(supernet.cells[cell].operations, start=1):
            weights = point[f"cell-{cell}-operation-{number}"]
            widths, sizes = torch.ones(1), (6,)
            if number < 5:
                widths, sizes = point[f"cell-{cell}-width-{number}"], (3, 5, 6)
            y = sum(
                weights[j] * widths[k] * at_width(choice, y, size)
                for j, choice in enumerate(operation.choices.values())
                for k, size in enumerate(sizes)
            )
        features = features + 0.2 * y

    torch.testing.assert_close(supernet(x, point), supernet.tail(features), rtol=0, atol=1e-10)


def test_mixed_paths_are_the_mean_of_their_features():
    supernet = small_supernet()
    space, x = supernet.space, images()
    point = soft_point(space)
    supernet.tail = nn.Identity()
    expected = sum(
        weight * supernet(x, point | {"path": torch.eye(len(space.candidates)).double()[index]})
        for index, weight in enumerate(point["path"])
    )
    torch.testing.assert_close(supernet(x, point), expected)


def test_gradient_reaches_widths_that_were_drawn_hard():
    supernet = small_supernet()
    values, x = logits(supernet.space), images()
    drawn = {name: F.gumbel_softmax(value, hard=True) for name, value in values.items()}
    (gradient,) = torch.autograd.grad(
        supernet(x, relaxation(supernet.space, **drawn)).square().sum(), values["widths"]
    )
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def kept_for_backward(supernet: TrilevelSupernet, point) -> int:
    weights = {weight.untyped_storage().data_ptr() for weight in supernet.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        supernet(images(16), point).sum().backward()
    return sum(storages.values())


def test_memory_falls_with_sparsity():
    supernet = small_supernet()
    space = supernet.space
    point = soft_point(space)
    operations = {n: torch.tensor([0, 1, 0, 0]).double() for n in point if "operation" in n}
    widths = {n: torch.tensor([1, 0, 0]).double() for n in point if "width" in n}
    path = {"path": torch.eye(len(space.candidates)).double()[space.candidates.index("00")]}
    kept = [
        kept_for_backward(supernet, point),
        kept_for_backward(supernet, point | operations),
        kept_for_backward(supernet, point | operations | widths),
        kept_for_backward(supernet, point | operations | widths | path),
    ]
    assert kept[1] < 0.3 * kept[0]
    assert kept[2] < 0.9 * kept[1]
    assert kept[3] < 0.5 * kept[2]


def test_supernet_of_b_has_the_published_size():
    parameters = sum(weight.numel() for weight in full_supernet(TrilevelBConfig()).parameters())
    assert parameters == 28_409_648


def test_point_needs_only_the_cells_that_are_computed():
    supernet = small_supernet()
    architecture = supernet.space.canonical(random_architectures(supernet.space, 1)[0])
    point = one_hot(supernet.space, architecture, dtype=torch.float64)
    active = {d.name: point[d.name] for d in supernet.space.active(architecture)}
    assert len(active) < len(point)
    torch.testing.assert_close(supernet(images(), active).shape, supernet(images(), point).shape)


def test_point_without_a_needed_decision_is_refused():
    supernet = small_supernet()
    point = soft_point(supernet.space)
    del point["cell-00-width-3"]
    with pytest.raises(ValueError, match="cell-00-width-3: the point lacks this decision"):
        supernet(images(), point)


def test_inherited_weights_are_a_copy():
    supernet = small_supernet()
    (architecture,) = random_architectures(supernet.space, 1)
    before = supernet.head.weight.clone()
    network = supernet.inherit(architecture)
    assert all(weight.dtype == torch.float64 for weight in network.parameters())
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(math.pi)
    assert torch.equal(supernet.head.weight, before)


def test_inheriting_draws_no_random_numbers():
    supernet = small_supernet()
    (architecture,) = random_architectures(supernet.space, 1)
    before = torch.get_rng_state()
    supernet.inherit(architecture)
    assert torch.equal(torch.get_rng_state(), before)


def test_inheriting_another_spaces_architecture_is_refused():
    with pytest.raises(InputError, match="belongs to the space 'another', not 'trilevel-b'"):
        small_supernet().inherit(Architecture("another", {"path": "0"}))


def test_state_holds_weights_alone_and_loads_back():
    supernet, other = small_supernet(), small_supernet()
    state = supernet.state_dict()
    assert state.keys() == dict(supernet.named_parameters()).keys()
    other.load_state_dict(state)
    point, x = soft_point(supernet.space), images()
    assert torch.equal(supernet(x, point), other(x, point))
