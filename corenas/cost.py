"""What a network costs: trainable parameters, and the mult-adds of one forward pass.

Mult-adds are those of convolutions and matrix products, half of what torch's `FlopCounterMode`
counts: no biases, activations, additions or interpolation, as papers on efficient networks count.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import deepcopy
from typing import Any, Protocol, runtime_checkable

import torch
from attrs import field, frozen
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from corenas.values.architecture import Architecture

Shape = tuple[int, ...]
"""The shape of a tensor, with the batch where it is a network's input."""


@frozen
class Cost:
    """Trainable parameters, and mult-adds for a (first) input of the shape ``input``."""

    params: int
    mult_adds: int
    input: Shape

    def __str__(self) -> str:
        params, mult_adds = human(self.params, decimals=1), human(self.mult_adds)
        return f"{params} parameters, {mult_adds} mult-adds at {'x'.join(map(str, self.input))}"


def count(module: nn.Module, shape: Shape, *others: Shape) -> Cost:
    """Count the cost of a module's forward pass, in evaluation mode.

    Nothing is computed, and the module is left as it is: a copy without storage (torch's device
    ``meta``) is run instead.

    Args:
        module: Takes one tensor per shape, of its own parameters' type.
        shape: The input's shape with the batch, such as (1, 3, 360, 640).
        others: The shapes of further inputs.
    """
    ghost = _copy_without_storage(module)
    # A convolution refuses an input of another type than its weights, as those of a half-precision
    # network.
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
    inputs = [torch.empty(each, dtype=dtype, device="meta") for each in (shape, *others)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ghost(*inputs)
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    # The counter has two operations, a product and a sum, for each mult-add.
    return Cost(params, counter.get_total_flops() // 2, tuple(shape))


def _copy_without_storage(module: nn.Module) -> nn.Module:
    # A tensor that stands in deepcopy's memo is taken from there: its numbers are not copied.
    tensors = (*module.parameters(), *module.buffers())
    memo: dict[int, Any] = {id(tensor): tensor.detach().to("meta") for tensor in tensors}
    return deepcopy(module, memo).eval()


@frozen
class Convention:
    """Another way of counting than `count`, such as that of a paper's tables.

    ``count`` takes a network and the shape of its input; ``shape`` is the one for which such costs
    are stated where nothing else is said.
    """

    name: str
    count: Callable[[nn.Module, Shape], Cost]
    shape: Shape


@frozen
class Part:
    """A piece of networks that stands alone, so that what is known of pieces adds up.

    Args:
        name: The same for pieces of the same kind and channels, and for no others.
        shape: The shape of its input with the batch.
        build: Returns it freshly initialised, on torch's default device.
    """

    name: str
    shape: Shape
    build: Callable[[], nn.Module] = field(eq=False, repr=False)

    @property
    def key(self) -> str:
        """Name and shape as one text, such as ``res3 16 at 1x16x180x320``."""
        return f"{self.name} at {'x'.join(map(str, self.shape))}"


@runtime_checkable
class MadeOfParts(Protocol):
    """A search space whose networks are sums of parts, for what is measured part by part."""

    def parts(self, architecture: Architecture, shape: Shape) -> Iterable[Part]:
        """Yield the parts of a network for input of this shape; a part used twice comes twice."""

    def all_parts(self, shape: Shape) -> Iterator[Part]:
        """Yield every part that any network of the space has."""


class CostTable:
    """Remembers costs by key and input shape, because counting one takes milliseconds."""

    def __init__(self) -> None:
        self._costs: dict[tuple[Hashable, Shape], Cost] = {}

    def cost(self, key: Hashable, shape: Shape, build: Callable[[], nn.Module]) -> Cost:
        """Return the cost of what ``build`` makes; it is called (on ``meta``) only once per key.

        Args:
            key: Stands for the module; equal keys must stand for equal costs.
            shape: The input's shape with the batch.
            build: Returns the module, on torch's default device.
        """
        entry = (key, tuple(shape))
        if entry not in self._costs:
            # Building one with storage would take longer than counting it.
            with torch.device("meta"):
                self._costs[entry] = count(build(), shape)
        return self._costs[entry]

    def total(self, parts: Iterable[Part], shape: Shape) -> Cost:
        """Return the cost of a network that is the sum of its parts, for input of this shape."""
        costs = [self.cost(part.name, part.shape, part.build) for part in parts]
        return Cost(
            sum(cost.params for cost in costs), sum(cost.mult_adds for cost in costs), tuple(shape)
        )


def human(number: float, *, decimals: int = 2) -> str:
    """Return a number with a decimal unit: ``432``, ``60.8 K``, ``13.95 G``."""
    value, unit = float(number), ""
    for larger in ("K", "M", "G", "T", "P"):
        # Rounded first: 999 999 is 1.00 M, and not 1000.00 K.
        if round(value, decimals) < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.{decimals}f} {unit}" if unit else f"{number:g}"
