"""What every supernet promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from corenas.errors import InputError
from corenas.protocols import Relaxable, SearchSpace, Supernet
from corenas.supernets.mixtures import one_hot, uniform
from corenas.testing.contracts._space import random_architectures
from corenas.values.architecture import Architecture, Relaxation


class SupernetContract:
    """What every `Supernet` promises, by the space that offers it.

    ``close`` is how far outputs may be from the derived network's, as a share of their size.
    """

    close = 1e-5

    @pytest.fixture
    def space(self) -> SearchSpace:
        """A small space that is `Relaxable`."""
        raise NotImplementedError

    def inputs(self) -> Tensor:
        """Return a batch that the networks of the space take."""
        raise NotImplementedError

    def cost(self, space: SearchSpace, architecture: Architecture) -> float:
        """Return the mult-adds of a derived network, of the input that the supernet counts for."""
        raise NotImplementedError

    @pytest.fixture
    def supernet(self, space: SearchSpace) -> Supernet:
        supernet = make_supernet(space)
        assert isinstance(supernet, nn.Module)
        # Other than they begin: what starts at zero or at one would hide what is left out.
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in supernet.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.1 * parameter.std(correction=0).clamp(min=0.1) * noise)
        return supernet.eval()

    def test_supernet_is_a_module_and_repeatable(self, space: SearchSpace) -> None:
        first, again = make_supernet(space), make_supernet(space)
        assert isinstance(first, nn.Module)
        assert isinstance(again, nn.Module)
        expected = first.state_dict()
        assert again.state_dict().keys() == expected.keys()
        for name, tensor in again.state_dict().items():
            assert torch.equal(tensor, expected[name])

    @torch.no_grad()
    def test_one_hot_point_is_the_derived_network(
        self, space: SearchSpace, supernet: Supernet
    ) -> None:
        x = self.inputs()
        for architecture in random_architectures(space, 6):
            derived = supernet.inherit(architecture)
            expected = derived(x)
            found = supernet(x, one_hot(space, architecture))
            assert found.shape == expected.shape
            far = (found - expected).abs().max() / expected.abs().max()
            assert far <= self.close, architecture

    def test_inherited_weights_are_a_copy(self, space: SearchSpace, supernet: Supernet) -> None:
        (architecture,) = random_architectures(space, 1)
        network = supernet.inherit(architecture)
        assert network.state_dict().keys() == space.build(architecture).state_dict().keys()
        x, point = self.inputs(), one_hot(space, architecture)
        with torch.no_grad():
            before = supernet(x, point)
            for parameter in network.parameters():
                parameter.fill_(7.0)
            assert torch.equal(supernet(x, point), before)

    def test_what_has_no_weight_is_not_computed(
        self, space: SearchSpace, supernet: Supernet
    ) -> None:
        for architecture in random_architectures(space, 6):
            derived = operations_of(supernet.inherit(architecture), self.inputs())
            point = one_hot(space, architecture)
            assert operations_of(supernet, self.inputs(), point) == derived, architecture

    def test_every_weight_of_a_soft_point_is_learnt_from(
        self, space: SearchSpace, supernet: Supernet
    ) -> None:
        point = {name: weights.requires_grad_() for name, weights in uniform(space).items()}
        torch.autograd.backward(supernet(self.inputs(), point).square().mean())
        for name, weights in point.items():
            assert weights.grad is not None, name
            assert weights.grad.isfinite().all(), name
            # Of one option alone there is nothing to learn.
            assert len(weights) == 1 or weights.grad.any(), name

    def test_cost_of_a_one_hot_point_is_the_derived_cost_exactly(
        self, space: SearchSpace, supernet: Supernet
    ) -> None:
        for architecture in random_architectures(space, 6):
            expected = self.cost(space, architecture)
            assert float(supernet.expected_cost(one_hot(space, architecture))) == expected

    def test_cost_is_the_mean_over_each_decision(
        self, space: SearchSpace, supernet: Supernet
    ) -> None:
        point = soft_point(space)
        whole = float(supernet.expected_cost(point))
        for decision in space.decisions:
            weights = point[decision.name]
            costs = [
                float(supernet.expected_cost({**point, decision.name: corner}))
                for corner in torch.eye(len(weights), dtype=weights.dtype)
            ]
            mean = float(weights @ torch.tensor(costs, dtype=weights.dtype))
            assert mean == pytest.approx(whole, rel=1e-9), decision.name

    def test_cost_is_differentiable(self, space: SearchSpace, supernet: Supernet) -> None:
        point = {name: weights.requires_grad_() for name, weights in soft_point(space).items()}
        cost = supernet.expected_cost(point)
        gradients = torch.autograd.grad(cost, list(point.values()), allow_unused=True)
        found = [gradient for gradient in gradients if gradient is not None]
        assert found
        assert all(gradient.isfinite().all() for gradient in found)

    def test_architecture_of_another_space_is_refused(
        self, space: SearchSpace, supernet: Supernet
    ) -> None:
        (architecture,) = random_architectures(space, 1)
        with pytest.raises(InputError):
            supernet.inherit(Architecture("another-space", dict(architecture.choices)))


def make_supernet(space: SearchSpace) -> Supernet:
    """Return a supernet of seeded weights."""
    assert isinstance(space, Relaxable)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return space.supernet()


def soft_point(space: SearchSpace) -> Relaxation:
    """Return a random point of float64 weights, none of them zero."""
    generator = torch.Generator().manual_seed(2)
    return dict(_soft_rows(space, generator))


def _soft_rows(space: SearchSpace, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    for decision in space.decisions:
        logits = torch.randn(len(decision.options), generator=generator, dtype=torch.float64)
        yield decision.name, logits.softmax(-1)


@torch.no_grad()
def operations_of(network: object, *inputs: object) -> int:
    """Return the floating point operations of a forward pass."""
    assert isinstance(network, nn.Module)
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return int(counter.get_total_flops())
