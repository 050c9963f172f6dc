"""Options of the generator's search space, of the operations in it, and of its evaluator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, components, option, section
from corenas_sr.config import CandidateConfig, PixelTrainingConfig

OPERATION_NAMES = (
    *("conv1", "conv3", "conv5", "conv7"),
    *("gconv3", "gconv5", "gconv7"),
    *("dsep3", "dsep5", "dsep7"),
    *("inv3", "inv5", "inv7"),
    *("se", "ca", "identity"),
)
"""The paper's sixteen, in the order in which they are a policy's options."""

REDUCTION = "reduction"
"""The metadata of an operation that doubles the channels and halves height and width."""


def check_operations(
    option: str, operations: Sequence[Chosen], *, reductions: bool = False
) -> None:
    """Refuse a list that cannot be a decision's options, or that mixes operations and reductions.

    Args:
        option: The name of the list.
        operations: What it holds.
        reductions: True where all must be reductions; otherwise none may be.

    Raises:
        ConfigError: The list is empty, a name stands twice, or an operation is of the other sort.
    """
    times = Counter(chosen.name for chosen in operations)
    if not times:
        raise ConfigError(f"{option}: at least one is needed")
    for chosen in operations:
        name = chosen.name
        if times[name] > 1:
            raise ConfigError(f"{option}: {name!r} stands more than once")
        if (chosen.component.metadata == REDUCTION) != reductions:
            got = "keeps shape" if reductions else "is a reduction, which changes shape"
            allowed = "reductions" if reductions else "operations that keep it"
            raise ConfigError(f"{option}: {name!r} {got}; allowed are only {allowed}")


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
        ConfigError: There is no operation, one stands twice, or one changes shape.
    """

    # Each node chooses among all before it, so the number of options grows with the square. A model
    # file from elsewhere must not ask for a space that takes minutes to list.
    nodes: int = option(10, "nodes of the cell, each one operation", paper="10", ge=1, le=500)
    channels: int = option(16, "channels of every node", paper="16", ge=1)
    scale: int = option(2, "up-scaling factor", paper="2 in the search", choices=(2, 4))
    operations: tuple[Chosen, ...] = components(
        "operations", OPERATION_NAMES, "what a node can be, each name once"
    )
    merge_single_leaf: bool = option(
        False, "let the PReLU after the sum of the leaves follow a single leaf, too"
    )

    def __attrs_post_init__(self) -> None:
        check_operations("operations", self.operations)


@frozen
class ProxyConfig(CandidateConfig):
    """Options of the evaluator ``tpsr-proxy``: how one candidate is trained and measured."""

    training: PixelTrainingConfig = section(
        PixelTrainingConfig, "the proxy task", steps=50_000, batch=64, patch=12
    )
    mult_adds_limit: float | None = option(
        14.0e9, "f: larger candidates are rejected", unit="mult-adds", paper="not stated", gt=0
    )
    measured: Literal["last", "best"] = option(
        "last", "which measurement counts: after the last step, or the best of all reports"
    )
    cache: bool = option(True, "candidates start from the best weights so far (Eq. 5)")
    cache_fixed: bool = option(True, "the cache holds head, merge and upsampler as well")
    duplicates: Literal["evaluate", "remember"] = option(
        "evaluate", "train a candidate that comes again once more, or take its measurement"
    )
