"""Options of the space of tiny networks, and of its operations (no torch here)."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, components, option

Activation = Literal["leaky", "relu", "prelu", "gelu", "silu"]
Skip = Literal["none", "nearest", "bicubic"]

OPERATION_NAMES = (
    "identity",
    *("res3", "rep3", "bsres3", "bsres5", "next5", "next7", "next9"),
    *("gate3", "gate5", "gate7", "distil3", "modulate", "channel-attention", "esa", "cca"),
)
"""What a block can be, in the order in which they are a policy's options.

The first one is what a decision rests at where it changes nothing, and so ends a network.
"""

IDENTITY = "identity"
"""The operation with which a network ends: the blocks after it are left out."""


@frozen
class BlockConfig:
    """Options of a block without any of its own."""

    activation: Activation | None = option(
        None, "what stands between its convolutions; unset: as in the space"
    )


@frozen
class ExpandingConfig(BlockConfig):
    """Options of a block that is wider inside."""

    expansion: int | None = option(
        None,
        "channels inside, as a multiple of those outside; unset: a decision of the space, 2 in "
        "other spaces",
        ge=1,
    )


@frozen
class SqueezingConfig(BlockConfig):
    """Options of a gate with a narrow waist."""

    reduction: int = option(4, "channels divided by those of the waist", ge=1)


@frozen
class HeadsConfig(BlockConfig):
    """Options of the attention over channels."""

    heads: int = option(2, "groups of channels that attend to each other; they divide it", ge=1)


@frozen
class TinySpaceConfig:
    """Options of the space of tiny networks.

    Raises:
        ConfigError: A list is empty or names something twice, or there is no operation but
            identity.
    """

    scale: int = option(4, "up-scaling factor", ge=2, le=4)
    blocks: int = option(16, "blocks at most", ge=1, le=64)
    widths: tuple[int, ...] = option(
        (12, 16, 20, 24, 28, 32, 40), "channels that all blocks of a network may have", ge=1, le=512
    )
    operations: tuple[Chosen, ...] = components(
        "operations", OPERATION_NAMES, "what a block can be, each name once"
    )
    expansions: tuple[int, ...] = option(
        (2, 1, 3), "how much wider a block may be inside, where it has that option", ge=1, le=16
    )
    tails: tuple[int, ...] = option((3, 1), "kernel sizes that the last convolution may have")
    skips: tuple[Skip, ...] = option(
        ("nearest", "none", "bicubic"), "what of the input may be added to the output"
    )
    fusion: bool = option(True, "let a network choose to fuse the outputs of all its blocks")
    activation: Activation = option("leaky", "what stands between the convolutions of a block")

    def __attrs_post_init__(self) -> None:
        names = [chosen.name for chosen in self.operations]
        lists = {
            "widths": self.widths,
            "operations": names,
            "expansions": self.expansions,
            "tails": self.tails,
            "skips": self.skips,
        }
        for name, values in lists.items():
            if not values:
                raise ConfigError(f"{name}: at least one is needed")
            if len(set(values)) < len(values):
                raise ConfigError(f"{name}: name each once, got {list(values)}")
        if set(names) == {IDENTITY}:
            raise ConfigError("operations: a network needs another one than identity")
        if even := [side for side in self.tails if side % 2 == 0 or side < 1]:
            raise ConfigError(f"tails: kernel sizes are odd, got {even[0]}")
