"""The supernet of tiny networks: for each width all blocks that a network of it can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from corenas.supernets.mixtures import Mixture, mixtures
from corenas.supernets.sharing import copy_slices
from corenas.training.networks import seeded
from corenas.values.architecture import Architecture, Relaxation
from corenas_sr.config import OUTPUT
from corenas_tiny.space.config import IDENTITY
from corenas_tiny.space.network import RGB_MEAN, TAIL, TinyNetwork, last_convolution
from corenas_tiny.space.parts import conv1, conv3, weaken

if TYPE_CHECKING:
    from corenas_tiny.space.space import TinySpace

YES = "yes"

Mixtures = Mapping[str, Mixture]


@frozen
class Taken:
    """The options of a decision that take part, with their weights."""

    options: Sequence[tuple[str, Tensor]]

    def of(self, option: str) -> Tensor | None:
        """Return the weight of an option; None where it takes no part."""
        return dict(self.options).get(option)

    @property
    def chosen(self) -> str | None:
        """The option that takes part alone, if there is one."""
        return self.options[0][0] if len(self.options) == 1 else None


class TinySupernet(nn.Module):
    """Networks of all widths side by side, each with all operations of each block.

    Widths share no weights: what an operation does with its channels, only the operation knows.
    An identity ends a network. So a block counts by the chance that no block before it is one, and
    passes its input on by the rest; the chance of a second block is that of a fusion, too. What has
    a weight of exactly zero is not computed.
    """

    def __init__(self, space: TinySpace) -> None:
        super().__init__()
        self.space = space
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)
        widths = space.config.widths
        self.widths = nn.ModuleDict({str(width): _OneWidth(space, width) for width in widths})

    def forward(self, x: Tensor, point: Relaxation) -> Tensor:
        """Run the mixture.

        Args:
            x: RGB in [0, 255], floating point, shape (N, 3, H, W).
            point: Weights of every decision.

        Returns:
            RGB in the same range, but not clamped, shape (N, 3, scale * H, scale * W).

        Raises:
            ValueError: The point lacks a decision, or its weights have the wrong shape.
        """
        chosen = mixtures(point, self.space.decisions)
        taken = {
            decision.name: _taken(decision.options, chosen[decision.name])
            for decision in self.space.decisions
        }
        scale, skip = self.space.config.scale, taken["skip"]
        z = (x - self.mean) / 255
        terms = (self.widths[width](z, taken) * weight for width, weight in taken["width"].options)
        y: Tensor = reduce(torch.add, terms)
        if (nearest := skip.of("nearest")) is not None:
            # Before the shuffle, all numbers of one pixel get the same.
            colours = y.reshape(y.shape[0], 3, -1, *y.shape[2:])
            y = (colours + nearest * z.unsqueeze(2)).flatten(1, 2)
        y = F.pixel_shuffle(y, scale)
        if (bicubic := skip.of("bicubic")) is not None:
            y = y + bicubic * F.interpolate(
                z, scale_factor=float(scale), mode="bicubic", align_corners=False
            )
        return torch.add(self.mean, y, alpha=255)

    def expected_cost(self, point: Relaxation, *, output: tuple[int, int] = OUTPUT) -> Tensor:
        """Return the mean mult-adds when each decision is drawn by its weights.

        Args:
            point: Weights of every decision.
            output: Width and height of the output.

        Returns:
            A float64 number, the derived network's cost at one-hot points; differentiable.
        """
        exact = {name: weights.double() for name, weights in point.items()}
        width, height = (side // self.space.config.scale for side in output)
        costs = [
            self._cost_of_width(option, exact, height, width) for option in self.space.config.widths
        ]
        return exact["width"] @ torch.stack(costs)

    def _cost_of_width(self, channels: int, point: Relaxation, height: int, width: int) -> Tensor:
        costs, config = (
            self.space.mult_adds(channels, height=height, width=width),
            self.space.config,
        )
        total = point["tail"] @ point["tail"].new_tensor(costs.ends)
        ending = list(self.space.operations).index(IDENTITY) if self._can_end else None
        # The chances of as many blocks as that, or more.
        alive = [point["width"].new_ones(())]
        for number in range(1, config.blocks + 1):
            operations, expansions = point[f"block_{number}"], point[f"expand_{number}"]
            table = operations.new_tensor(costs.blocks)
            total = total + alive[-1] * (operations @ table @ expansions)
            alive.append(alive[-1] if ending is None else alive[-1] * (1 - operations[ending]))
        if config.fusion and config.blocks > 1:
            # A network of one block fuses nothing; the first one counts from two on.
            fused = alive[2] + torch.stack(alive[2:]).sum()
            total = total + point["fusion"][1] * costs.fused_block * fused
        return total

    @property
    def _can_end(self) -> bool:
        return IDENTITY in self.space.operations

    def inherit(self, architecture: Architecture) -> TinyNetwork:
        """Return the derived network with a copy of its part of the weights.

        Raises:
            InputError: The architecture is not of the supernet's space.
        """
        # Its initial weights are all replaced; drawing them shall disturb nobody.
        with seeded(0):
            network = self.space.build(architecture)
        network = network.to(next(self.parameters()))
        source = self.get_submodule(f"widths.{architecture['width']}")
        assert isinstance(source, _OneWidth)
        source.copy_into(network, self.space.shape(architecture).blocks)
        return network.train(self.training)


class _OneWidth(nn.Module):
    """All networks of one width, up to what the pixel shuffle takes."""

    def __init__(self, space: TinySpace, width: int) -> None:
        super().__init__()
        config = space.config
        self.head = conv3(3, width)
        self.names = [name for name in space.operations if name != IDENTITY]
        self.expansions = config.expansions
        self.expanding = frozenset(name for name in self.names if space.expands(name))
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.ModuleList(self._choices(space, name, width)) for name in self.names)
            for _ in range(config.blocks)
        )
        self.fuse = conv1(width * config.blocks, width) if config.fusion else None
        self.tails = nn.ModuleDict(
            {str(size): last_convolution(width, config.scale, size) for size in config.tails}
        )
        for tail in self.tails.values():
            weaken(tail, TAIL)

    def _choices(self, space: TinySpace, name: str, width: int) -> list[nn.Module]:
        if name not in self.expanding:
            return [space.block(name, width)]
        return [space.block(name, width, expansion) for expansion in self.expansions]

    def forward(self, z: Tensor, taken: Mapping[str, Taken]) -> Tensor:
        """Return what the pixel shuffle takes, for images in about [-0.5, 0.5]."""
        first = self.head(z)
        # Outputs of blocks, and the chances that a network has as many blocks, or more.
        outputs, alive = [first], [z.new_ones(())]
        for number, block in enumerate(self.blocks, start=1):
            operations, expansions = taken[f"block_{number}"], taken[f"expand_{number}"]
            if operations.chosen == IDENTITY:
                break
            y = alive[-1] * self._mix(block, outputs[-1], operations, expansions)
            ends = operations.of(IDENTITY)
            alive.append(alive[-1] if ends is None else alive[-1] * (1 - ends))
            outputs.append(y + (1 - alive[-1]) * outputs[-1])
        y = first
        if len(outputs) > 1:
            y = self._fuse(outputs[1:], alive[1:], taken["fusion"]) + alive[1] * first
        tails = taken["tail"].options
        mixed: Tensor = reduce(torch.add, (self.tails[size](y) * weight for size, weight in tails))
        return mixed

    def _mix(self, block: nn.Module, x: Tensor, operations: Taken, expansions: Taken) -> Tensor:
        terms = []
        for name, weight in operations.options:
            if name == IDENTITY:
                continue
            choices = block.get_submodule(str(self.names.index(name)))
            assert isinstance(choices, nn.ModuleList)
            if name not in self.expanding:
                terms.append(weight * choices[0](x))
                continue
            terms += [
                weight * share * choices[self.expansions.index(int(expansion))](x)
                for expansion, share in expansions.options
            ]
        mixed: Tensor = reduce(torch.add, terms)
        return mixed

    def _fuse(self, outputs: list[Tensor], alive: list[Tensor], fusion: Taken) -> Tensor:
        """Return the last output, or the fusion of all, or both by the fusion's chance."""
        weight = fusion.of(YES)
        if self.fuse is None or weight is None or len(outputs) < 2:
            return outputs[-1]
        weighted = (output * chance for output, chance in zip(outputs, alive, strict=True))
        stacked = torch.cat(list(weighted), dim=1)
        fused = F.conv2d(stacked, self.fuse.weight[:, : stacked.shape[1]], self.fuse.bias)
        # One block alone is not fused.
        share = weight * alive[1]
        return share * fused + (1 - share) * outputs[-1]

    def copy_into(self, network: TinyNetwork, blocks: Sequence[tuple[str, int | None]]) -> None:
        """Copy the weights of a network's parts."""
        copy_slices(self.head, network.head)
        for index, ((name, expansion), block) in enumerate(
            zip(blocks, network.blocks, strict=True)
        ):
            choice = 0 if expansion is None else self.expansions.index(expansion)
            source = f"blocks.{index}.{self.names.index(name)}.{choice}"
            copy_slices(self.get_submodule(source), block)
        if network.fuse is not None and self.fuse is not None:
            copy_slices(self.fuse, network.fuse)
        copy_slices(self.get_submodule(f"tails.{network.tail.kernel_size[0]}"), network.tail)


def _taken(options: Sequence[str], mixture: Mixture) -> Taken:
    return Taken([(options[index], mixture.weights[index]) for index in mixture.taking_part])
