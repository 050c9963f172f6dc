"""Options of the discriminator's search space (no torch here)."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, components, option
from corenas_tpsr.generator.config import OPERATION_NAMES, check_operations

REDUCTION_NAMES = (
    *("reduce-conv1", "reduce-conv3", "reduce-conv5", "reduce-conv7"),
    *("reduce-gconv3", "reduce-gconv5", "reduce-gconv7"),
)
"""The paper's seven, in the order in which they are a policy's options."""

BatchNorm = Literal["operations", "convolutions", "blocks", "none"]


@frozen
class DiscriminatorSpaceConfig:
    """Options of the space of discriminators.

    Raises:
        ConfigError: The blocks cannot halve the patch, or a list of operations does not fit.
    """

    blocks: int = option(
        5, "blocks, each an operation and a reduction to half the size", paper="5", ge=1, le=16
    )
    # With fewer than eight, oneDNN's backward of a strided 1x1 convolution in channels-last memory
    # writes out of bounds (torch 2.15).
    channels: int = option(
        16, "channels of the first block; each block doubles them", paper="not stated", ge=8
    )
    patch: int = option(
        96,
        "side of the high-resolution patches that are judged, a multiple of 2 to the power of "
        "blocks; the last layer's size depends on it; the recipe tpsr sets it by its trainings",
        unit="pixels",
        paper="24 in the search, 48 in the full task, at low resolution and x4",
        ge=1,
    )
    operations: tuple[Chosen, ...] = components(
        "operations", OPERATION_NAMES, "what a block's first half can be, each name once"
    )
    reductions: tuple[Chosen, ...] = components(
        "operations", REDUCTION_NAMES, "what a block's second half can be, each name once"
    )
    stem: Literal["conv3", "conv1"] = option(
        "conv3",
        "the convolution from RGB to channels, before the blocks; most operations need one",
        paper="not stated",
    )
    bottleneck: int | None = option(
        None,
        "units of a layer between the last block and the logit; unset: there is none",
        paper="optional",
        ge=1,
    )
    spectral_norm: bool = option(
        True,
        "divide the weight of each convolution and linear layer by its largest singular value",
        paper="true",
    )
    batch_norm: BatchNorm = option(
        "operations",
        "what is normalised over the batch: stem, operations and reductions; of these, those that "
        "convolve (not se, ca, identity); each block's end alone; nothing",
        paper="each of the first three, in different places",
    )
    input: Literal["centred", "raw"] = option(
        "centred",
        "what the stem sees: (image - mean colour) / 127.5, or the image in 0..255",
        paper="not stated",
    )

    def __attrs_post_init__(self) -> None:
        # A stride of 2 halves even sides exactly; the size of the last layer rests on that.
        side = 2**self.blocks
        if self.patch % side:
            raise ConfigError(
                f"patch: must be a multiple of {side}, which {self.blocks} blocks halve to 1, "
                f"got {self.patch}"
            )
        check_operations("operations", self.operations)
        check_operations("reductions", self.reductions, reductions=True)
