"""The supernet: all networks of the space in one, whose weights and choices are learnt together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corenas import Architecture, Relaxation
from corenas.cost import count
from corenas.supernets.mixtures import Mixture, mixtures
from corenas.supernets.sharing import copy_slices
from corenas_digits.network import OPERATIONS, WIDTHS, Block, head, stem

if TYPE_CHECKING:
    from corenas_digits.space import DigitsSpace

SIDE = 8
YES = 1
"""Which option of a shortcut or a pooling is the one that has it."""

Mixtures = Mapping[str, Mixture]


class DigitsSupernet(nn.Module):
    """Every operation of every block once, at the greatest width: narrower networks use slices.

    What has a weight of exactly zero is not computed. Widths and depths are mixed at the logits,
    operations and shortcuts where they are. Where a block both pools and does not, the pooled part
    is enlarged again, because the next block needs one size.
    """

    def __init__(self, space: DigitsSpace) -> None:
        super().__init__()
        self.space = space
        self.stem = stem(max(WIDTHS))
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: _widest(name) for name in OPERATIONS})
            for _ in range(space.config.most_blocks)
        )
        self.head = nn.Sequential(*head(max(WIDTHS)))
        self._costs = _Costs()

    def forward(self, x: Tensor, point: Relaxation) -> Tensor:
        """Return the logits of the mixture, shape (N, 10), for images of shape (N, 1, 8, 8)."""
        chosen = mixtures(point, self.space.decisions)
        widths = chosen["width"]
        logits = [
            widths.weights[index] * self._at_width(x, WIDTHS[index], chosen)
            for index in widths.taking_part
        ]
        return torch.stack(logits).sum(0)

    def _at_width(self, x: Tensor, width: int, chosen: Mixtures) -> Tensor:
        depths = chosen["blocks"]
        y, means = _run(self.stem, x, width), []
        for index, block in enumerate(self.blocks[: max(depths.taking_part) + 1]):
            y = self._run_block(block, y, index + 1, chosen)
            if index in depths.taking_part:
                means.append(depths.weights[index] * y.mean((2, 3)))
        # The last layer is linear, so means may be mixed instead of logits.
        return _run(self.head[-1:], torch.stack(means).sum(0), width)

    def _run_block(self, block: nn.Module, x: Tensor, number: int, chosen: Mixtures) -> Tensor:
        operations, shortcut = chosen[f"op_{number}"], chosen[f"shortcut_{number}"]
        layers = list(block.children())
        terms = [
            operations.weights[index] * _run(layers[index], x, x.shape[1])
            for index in operations.taking_part
        ]
        if YES in shortcut.taking_part:
            terms.append(shortcut.weights[YES] * x)
        return _pool(F.relu(torch.stack(terms).sum(0)), chosen[f"pool_{number}"])

    def expected_cost(self, point: Relaxation) -> Tensor:
        """Return the mean mult-adds of an image when each decision is drawn by its weights."""
        exact = {name: weights.double() for name, weights in point.items()}
        return self._costs.expected(exact, self.space.config.most_blocks)

    def inherit(self, architecture: Architecture) -> nn.Module:
        """Return the network of an architecture with a copy of its part of the weights."""
        network = self.space.build(architecture)
        assert isinstance(network, nn.Sequential)
        copy_slices(self.stem, network[0])
        copy_slices(self.head[-1], network[-1])
        for number, block in enumerate(network[1:-3], start=1):
            shared = self.get_submodule(f"blocks.{number - 1}.{architecture[f'op_{number}']}")
            copy_slices(shared, block.get_submodule("operation"))
        return network.to(next(self.parameters())).train(self.training)


def _widest(operation: str) -> nn.Module:
    return Block(operation, max(WIDTHS), shortcut=False, pool=False).operation


def _run(layers: nn.Module, x: Tensor, width: int) -> Tensor:
    """Run layers with the first ``width`` channels of each."""
    for layer in layers.children():
        match layer:
            case nn.Conv2d():
                inputs = min(width, layer.weight.shape[1])
                weight = layer.weight[:width, :inputs]
                bias = None if layer.bias is None else layer.bias[:width]
                groups = width if layer.groups > 1 else 1
                x = F.conv2d(x, weight, bias, padding=layer.padding, groups=groups)
            case nn.BatchNorm2d():
                mean, variance = layer.running_mean, layer.running_var
                assert mean is not None  # and variance: every one here gathers them
                assert variance is not None
                # Slices of the statistics are views: they are updated in place.
                x = F.batch_norm(
                    x,
                    mean[:width],
                    variance[:width],
                    layer.weight[:width],
                    layer.bias[:width],
                    training=layer.training,
                )
            case nn.Linear():
                x = F.linear(x, layer.weight[:, :width], layer.bias)
            case _:
                x = layer(x)
    return x


def _pool(x: Tensor, pooling: Mixture) -> Tensor:
    """Pool, or do not, or mix both at the size without it."""
    terms = []
    if YES in pooling.taking_part:
        pooled = F.max_pool2d(x, 2, ceil_mode=True)
        if len(pooling.taking_part) > 1:
            pooled = F.interpolate(pooled, size=x.shape[-2:])
        terms.append(pooling.weights[YES] * pooled)
    if 1 - YES in pooling.taking_part:
        terms.append(pooling.weights[1 - YES] * x)
    return torch.stack(terms).sum(0)


class _Costs:
    """Mult-adds of all parts: of stem and operations at one position, of the head once."""

    def __init__(self) -> None:
        image = SIDE * SIDE
        self.stem = [count(stem(w), (1, 1, SIDE, SIDE)).mult_adds / image for w in WIDTHS]
        self.head = [count(nn.Sequential(*head(w)), (1, w, 1, 1)).mult_adds for w in WIDTHS]
        self.operations = [
            [self._operation(name, width) / image for width in WIDTHS] for name in OPERATIONS
        ]

    def _operation(self, name: str, width: int) -> int:
        block = Block(name, width, shortcut=False, pool=False)
        return count(block, (1, width, SIDE, SIDE)).mult_adds

    def expected(self, point: Relaxation, most_blocks: int) -> Tensor:
        """Return the expected cost at a point of float64 weights."""
        widths, depths = point["width"], point["blocks"]
        tables = {
            name: torch.tensor(getattr(self, name), dtype=widths.dtype, device=widths.device)
            for name in ("stem", "head", "operations")
        }
        cost = widths @ (SIDE * SIDE * tables["stem"] + tables["head"])
        for number, positions in zip(
            range(1, most_blocks + 1), _positions(point, most_blocks), strict=True
        ):
            # A block is there if the network has as many blocks, or more.
            there = depths[number - 1 :].sum()
            operation = point[f"op_{number}"] @ tables["operations"] @ widths
            cost = cost + there * positions * operation
        return cost


def _positions(point: Relaxation, most_blocks: int) -> Iterator[Tensor]:
    """Yield how many positions each block has on average, by the pools before it."""
    sides = [SIDE]
    for _ in range(most_blocks):
        sides.append(-(-sides[-1] // 2))
    first = point["pool_1"]
    areas = torch.tensor([side**2 for side in sides], dtype=first.dtype, device=first.device)
    # The chance of each number of pools so far.
    chances = torch.zeros_like(areas)
    chances[0] = 1
    for number in range(1, most_blocks + 1):
        yield chances @ areas
        pool = point[f"pool_{number}"]
        chances = pool[1 - YES] * chances + pool[YES] * F.pad(chances, (1, 0))[:-1]
