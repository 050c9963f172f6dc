"""What every operation promises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from corenas.cost import count
from corenas.testing.contracts._states import global_random_states


class OperationContract:
    """What every operation promises that keeps the shape of its input.

    One with ``reduction = True`` halves height and width and doubles the channels instead.
    """

    reduction = False

    def make(self, channels: int) -> nn.Module:
        """Return the operation for so many channels."""
        raise NotImplementedError

    def expected(self, x: Tensor) -> tuple[int, ...]:
        """Return the shape that comes out for an input."""
        n, c, h, w = x.shape
        return (n, 2 * c, h // 2, w // 2) if self.reduction else (n, c, h, w)

    def example(self, channels: int, *, height: int = 8, width: int = 12, batch: int = 2) -> Tensor:
        """Return random input."""
        generator = torch.Generator().manual_seed(channels)
        return torch.randn(batch, channels, height, width, generator=generator)

    @pytest.mark.parametrize("channels", [4, 16, 24])
    def test_shape_is_the_promised_one(self, channels: int) -> None:
        operation = self.make(channels)
        for x in (self.example(channels), self.example(channels, height=4, width=4, batch=1)):
            assert operation(x).shape == self.expected(x)

    def test_odd_sizes_are_taken_too(self) -> None:
        if not self.reduction:
            x = self.example(8, height=7, width=5)
            assert self.make(8)(x).shape == x.shape

    def test_values_are_finite_and_learn(self) -> None:
        operation, x = self.make(8), self.example(8).requires_grad_()
        y = operation(x)
        assert torch.isfinite(y).all()
        y.square().sum().backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
        for name, parameter in operation.named_parameters():
            assert parameter.grad is not None, f"{name} has no part in the result"

    def test_same_random_numbers_same_weights(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            first = self.make(8).state_dict()
            torch.manual_seed(0)
            second = self.make(8).state_dict()
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_result_depends_on_weights_and_input_alone(self) -> None:
        operation, x = self.make(8).eval(), self.example(8)
        before = global_random_states()
        assert torch.equal(operation(x), operation(x))
        assert global_random_states() == before

    def test_weights_can_be_stored(self) -> None:
        first, second = self.make(8).eval(), self.make(8).eval()
        second.load_state_dict(first.state_dict())
        x = self.example(8)
        assert torch.equal(first(x), second(x))

    def test_cost_can_be_counted_without_storage(self) -> None:
        with torch.device("meta"):
            operation = self.make(8)
        cost = count(operation, (1, 8, 16, 16))
        assert cost.params == sum(each.numel() for each in operation.parameters())
