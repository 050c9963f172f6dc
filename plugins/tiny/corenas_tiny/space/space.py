"""The search space ``tiny``: one width, up to sixteen blocks, what is fused and skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

from attrs import frozen
from torch import nn

from corenas.cost import Cost, CostTable, Part
from corenas.cost import Shape as Size
from corenas.errors import InputError
from corenas.names import nearest
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas_tiny.space.config import IDENTITY, Skip, TinySpaceConfig
from corenas_tiny.space.network import Fusion, TinyNetwork
from corenas_tiny.space.supernet import TinySupernet

_NO, _YES = "no", "yes"
_DEFAULTS: Mapping[str, Any] = {"fusion": False, "tail": 3, "skip": "nearest"}

KNOWN: Mapping[str, Mapping[str, Any]] = {
    "tiny/res3-16x11": {"width": 16, "blocks": ["res3"] * 11},
    "tiny/res3-16x10": {"width": 16, "blocks": ["res3"] * 10},
    "tiny/res3-28x3": {"width": 28, "blocks": ["res3"] * 3},
    "tiny/plain-28x6": {"width": 28, "blocks": ["rep3"] * 6},
    # The shapes of ECBSR-M4C32, and of ABPN-M4C28 without its second 3x3 convolution of the tail.
    "tiny/ecbsr-32x4": {"width": 32, "blocks": ["rep3"] * 4},
    "tiny/abpn-28x4": {"width": 28, "blocks": ["rep3"] * 4},
}
"""Networks made by hand, in the form that a person writes."""


@frozen
class Shape:
    """What an architecture stands for: the same for all that stand for one network.

    ``blocks`` are operations and their expansions, None where an operation has none.
    """

    width: int
    blocks: tuple[tuple[str, int | None], ...]
    fusion: bool
    tail: int
    skip: Skip


@frozen
class PartCosts:
    """Mult-adds of the parts of networks of one width.

    ``blocks`` has a row for each operation and a column for each expansion; ``ends`` are head and
    tail together, for each size of the tail's kernel; ``fused_block`` is what a fusion takes for
    each of the blocks that it fuses.
    """

    blocks: tuple[tuple[int, ...], ...]
    ends: tuple[int, ...]
    fused_block: int


class TinySpace:
    """A width, sixteen operations with expansions, fusion, tail and skip."""

    name: Literal["tiny"] = "tiny"

    def __init__(self, config: TinySpaceConfig) -> None:
        self.config = config
        self._operations = {
            chosen.name: chosen.filled(activation=config.activation) for chosen in config.operations
        }
        self._expanding = {
            name
            for name, chosen in self._operations.items()
            if chosen.filled(expansion=1) != chosen
        }
        self.decisions = tuple(_decisions(config))
        self._costs = CostTable()

    @property
    def known(self) -> Mapping[str, Architecture]:
        """The networks made by hand that are members of this space."""
        found = {}
        for name, value in KNOWN.items():
            try:
                found[name] = self.parse(value)
            except InputError:
                continue  # its width or operation is not among the options
        return found

    def build(self, architecture: Architecture) -> TinyNetwork:
        """Return the freshly initialised network.

        Raises:
            InputError: The architecture is not of this space, or an operation cannot take its
                number of channels.
        """
        shape = self.shape(architecture)
        return TinyNetwork(
            [self.block(name, shape.width, expansion) for name, expansion in shape.blocks],
            channels=shape.width,
            scale=self.config.scale,
            fusion=shape.fusion,
            tail=shape.tail,
            skip=shape.skip,
        )

    def block(self, name: str, width: int, expansion: int | None = None) -> nn.Module:
        """Return one fresh block."""
        block: nn.Module = self._operations[name].filled(expansion=expansion).build(width)
        return block

    @property
    def operations(self) -> Sequence[str]:
        """The names of what a block can be."""
        return tuple(self._operations)

    def expands(self, operation: str) -> bool:
        """Return whether an operation has an expansion, which then is a decision."""
        return operation in self._expanding

    def supernet(self) -> TinySupernet:
        """Return a freshly initialised supernet (torch's global random state is used)."""
        return TinySupernet(self)

    def cost(self, architecture: Architecture, *, height: int, width: int) -> Cost:
        """Return the network's cost for one low-resolution image of this size.

        It is the sum over its parts, each counted once and remembered.
        """
        shape = (1, 3, height, width)
        return self._costs.total(self.parts(architecture, shape), shape)

    def parts(self, architecture: Architecture, shape: Size) -> Iterator[Part]:
        """Yield the parts of a network for images of shape (N, 3, H, W)."""
        found = self.shape(architecture)
        channels = found.width
        yield self._ends(channels, found.tail, found.skip, shape)
        for name, expansion in found.blocks:
            yield self._block_part(channels, name, expansion, shape)
        if found.fusion:
            yield self._fuse_part(channels, len(found.blocks), shape)

    def all_parts(self, shape: Size) -> Iterator[Part]:
        """Yield every part of every network for images of shape (N, 3, H, W)."""
        config = self.config
        for channels in config.widths:
            for tail, skip in product(config.tails, config.skips):
                yield self._ends(channels, tail, skip, shape)
            for name in self.operations:
                if name == IDENTITY:
                    continue
                for expansion in config.expansions if self.expands(name) else (None,):
                    yield self._block_part(channels, name, expansion, shape)
            if config.fusion:
                for blocks in range(2, config.blocks + 1):
                    yield self._fuse_part(channels, blocks, shape)

    def mult_adds(self, channels: int, *, height: int, width: int) -> PartCosts:
        """Return the mult-adds of all parts of networks of one width."""
        shape = (1, 3, height, width)
        return PartCosts(
            tuple(
                tuple(
                    0
                    if name == IDENTITY
                    else self._mult_adds(self._block_part(channels, name, expansion, shape))
                    for expansion in self.config.expansions
                )
                for name in self.operations
            ),
            tuple(
                self._mult_adds(self._ends(channels, size, "none", shape))
                for size in self.config.tails
            ),
            self._mult_adds(self._fuse_part(channels, 1, shape)),
        )

    def _mult_adds(self, part: Part) -> int:
        return self._costs.total([part], part.shape).mult_adds

    def _ends(self, channels: int, tail: int, skip: Skip, shape: Size) -> Part:
        """Return the head, the tail and the skips around the blocks: a network that has none."""
        build = partial(
            TinyNetwork,
            [nn.Identity()],
            channels=channels,
            scale=self.config.scale,
            fusion=False,
            tail=tail,
            skip=skip,
        )
        return Part(f"ends {channels} tail {tail} skip {skip} x{self.config.scale}", shape, build)

    def _block_part(self, channels: int, name: str, expansion: int | None, shape: Size) -> Part:
        chosen = self._operations[name].filled(expansion=expansion)
        build = partial(chosen.build, channels)
        return Part(f"{chosen.label} for {channels}", _inside(shape, channels), build)

    def _fuse_part(self, channels: int, blocks: int, shape: Size) -> Part:
        build = partial(Fusion, channels, blocks)
        return Part(f"fusion of {blocks} for {channels}", _inside(shape, channels), build)

    def shape(self, architecture: Architecture) -> Shape:
        """Return what an architecture stands for.

        Raises:
            InputError: The architecture is not of this space.
        """
        if problem := self.check(architecture):
            raise InputError(f"architecture: {problem}")
        blocks = []
        for number in range(1, self.config.blocks + 1):
            name = architecture[f"block_{number}"]
            if name == IDENTITY:
                break
            expands = self.expands(name)
            expansion = int(architecture[f"expand_{number}"]) if expands else None
            blocks.append((name, expansion))
        return Shape(
            int(architecture["width"]),
            tuple(blocks),
            architecture["fusion"] == _YES and len(blocks) > 1,
            int(architecture["tail"]),
            architecture["skip"],  # type: ignore[arg-type]  # checked above
        )

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return the decisions that change the network, on blocks up to the first identity."""
        shape = self.shape(architecture)
        depth = len(shape.blocks)
        return [d for d in self.decisions if self._is_active(d.name, shape, depth)]

    def _is_active(self, decision: str, shape: Shape, depth: int) -> bool:
        what, _, number = decision.partition("_")
        match what:
            case "block":
                return int(number) <= depth + 1
            case "expand":
                return int(number) <= depth and shape.blocks[int(number) - 1][1] is not None
            case "fusion":
                return depth > 1
        return True

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the same network with every inactive decision at its first option."""
        return self._architecture(self.shape(architecture))

    def draw(self, architecture: Architecture, path: Path) -> None:
        """Draw an architecture as ``path`` with ``.svg``, ``.png`` and ``.dot`` added.

        Raises:
            CorenasError: A file cannot be written.
            InputError: The architecture is not of this space.
        """
        from corenas_tiny.space.diagrams import draw_tiny

        draw_tiny(path, self, architecture)

    def parse(self, value: Any) -> Architecture:
        """Read ``{"width": 16, "blocks": ["res3", ["next5", 2]], "skip": "nearest"}``.

        A block is an operation, or an operation and its expansion. ``fusion`` (false), ``tail`` (3)
        and ``skip`` (nearest) may be left out.
        """
        keys = ("width", "blocks", *_DEFAULTS)
        if not isinstance(value, Mapping):
            raise InputError(f"expected a table with width and blocks, got {value!r}")
        for key in value:
            if key not in keys:
                raise InputError(f"unknown key {key!r}{nearest(str(key), keys)}")
        for key in ("width", "blocks"):
            if key not in value:
                raise InputError(f"{key}: missing")
        given = {**_DEFAULTS, **value}
        if not isinstance(given["fusion"], bool):
            raise InputError(f"fusion: expected true or false, got {given['fusion']!r}")
        architecture = self._architecture(
            Shape(
                given["width"],
                tuple(self._parse_blocks(given["blocks"])),
                given["fusion"],
                given["tail"],
                given["skip"],
            )
        )
        if problem := self.check(architecture):
            raise InputError(problem)
        return self.canonical(architecture)

    def _parse_blocks(self, blocks: Any) -> Iterator[tuple[str, int | None]]:
        if not isinstance(blocks, list | tuple) or len(blocks) > self.config.blocks:
            raise InputError(
                f"blocks: expected a list of at most {self.config.blocks}, got {blocks!r}"
            )
        for number, block in enumerate(blocks, start=1):
            name, expansion = self._parse_block(number, block)
            if expansion is not None and name not in self._expanding:
                raise InputError(f"block {number}: {name!r} has no expansion")
            yield name, expansion

    def _parse_block(self, number: int, block: Any) -> tuple[str, int | None]:
        match block:
            case str(name) | [str(name)]:
                found: tuple[str, int | None] = (name, None)
            # True and False are integers to Python, but not an expansion to anybody.
            case [str(name), int(expansion)] if not isinstance(expansion, bool):
                found = (name, expansion)
            case _:
                raise InputError(
                    f"block {number}: expected an operation, or one and its expansion, "
                    f"got {block!r}"
                )
        if found[0] not in self._operations:
            hint = nearest(found[0], self._operations)
            raise InputError(f"block {number}: unknown operation {found[0]!r}{hint}")
        return found

    def format(self, architecture: Architecture) -> dict[str, Any]:
        """Return the table that `parse` reads."""
        shape = self.shape(architecture)
        return {
            "width": shape.width,
            "blocks": [
                name if expansion is None else [name, expansion] for name, expansion in shape.blocks
            ],
            "fusion": shape.fusion,
            "tail": shape.tail,
            "skip": shape.skip,
        }

    def _architecture(self, shape: Shape) -> Architecture:
        choices = {d.name: d.options[0] for d in self.decisions}
        for number, (name, expansion) in enumerate(shape.blocks, start=1):
            choices[f"block_{number}"] = name
            if expansion is not None:
                choices[f"expand_{number}"] = str(expansion)
        depth = len(shape.blocks)
        if depth < self.config.blocks:
            # Not left at rest: without an identity among the options, no network is shallower.
            choices[f"block_{depth + 1}"] = IDENTITY
        choices |= {"width": str(shape.width), "tail": str(shape.tail), "skip": shape.skip}
        if depth > 1:
            choices["fusion"] = _YES if shape.fusion else _NO
        return Architecture(self.name, choices)


def _inside(shape: Size, channels: int) -> Size:
    batch, _, height, width = shape
    return (batch, channels, height, width)


def _decisions(config: TinySpaceConfig) -> Iterator[Decision]:
    yield Decision("width", tuple(map(str, config.widths)), "width")
    names = tuple(chosen.name for chosen in config.operations)
    for number in range(1, config.blocks + 1):
        yield Decision(f"block_{number}", names, "operation")
        yield Decision(f"expand_{number}", tuple(map(str, config.expansions)), "width")
    yield Decision("fusion", (_NO, _YES) if config.fusion else (_NO,))
    yield Decision("tail", tuple(map(str, config.tails)))
    yield Decision("skip", config.skips)
