"""Options of the generator's search space and of the operations in it."""

from __future__ import annotations

from collections import Counter

from attrs import frozen

from corenas.config import Chosen, components, option
from corenas.errors import ConfigError

OPERATION_NAMES = (
    *("conv1", "conv3", "conv5", "conv7"),
    *("gconv3", "gconv5", "gconv7"),
    *("dsep3", "dsep5", "dsep7"),
    *("inv3", "inv5", "inv7"),
    *("se", "ca", "identity"),
)
"""The paper's sixteen, in the order in which they are a policy's options."""


@frozen
class GroupedConvolutionConfig:
    """Options of the grouped convolutions."""

    groups: int = option(4, "groups of channels that do not mix; a divisor of the channels", ge=1)


@frozen
class InvertedBlockConfig:
    """Options of the inverted blocks."""

    expansion: int = option(2, "channels inside, as a multiple of those outside", ge=1)


@frozen
class SqueezeExciteConfig:
    """Options of the squeeze-and-excitation gate."""

    reduction: int = option(4, "channels divided by hidden units", ge=1)


@frozen
class ChannelAttentionConfig:
    """Options of the channel-attention gate."""

    reduction: int = option(16, "channels divided by hidden channels", ge=1)


@frozen
class GeneratorSpaceConfig:
    """Options of the space of super-resolution generators.

    Raises:
        ConfigError: There is no operation, or one stands twice.
    """

    nodes: int = option(10, "nodes of the cell, each one operation", paper="10", ge=1)
    channels: int = option(16, "channels of every node", paper="16", ge=1)
    scale: int = option(2, "up-scaling factor", paper="2 in the search", choices=(2, 4))
    operations: tuple[Chosen, ...] = components(
        "operations", OPERATION_NAMES, "what a node can be, each name once"
    )
    merge_single_leaf: bool = option(
        False, "let the PReLU after the sum of the leaves follow a single leaf, too"
    )

    def __attrs_post_init__(self) -> None:
        times = Counter(chosen.name for chosen in self.operations)
        twice = [name for name, count in times.items() if count > 1]
        if twice:
            raise ConfigError(f"operations: {twice[0]!r} stands more than once")
        if not times:
            raise ConfigError("operations: at least one is needed")
