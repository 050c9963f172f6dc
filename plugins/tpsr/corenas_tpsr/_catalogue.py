"""The components of this plugin that make networks, described without importing torch."""

from __future__ import annotations

from corenas.plugins.hookspecs import Component, NoOptions
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.generator.config import (
    REDUCTION,
    ChannelAttentionConfig,
    GeneratorSpaceConfig,
    GroupedConvolutionConfig,
    InvertedBlockConfig,
    SqueezeExciteConfig,
)


# Names and options alone: the command line lists them, and must start without torch.
def _operation(name: str, config: type, summary: str) -> Component:
    return Component(name, f"corenas_tpsr.generator.operations:{name}", config, summary)


def _reduction(name: str, config: type, summary: str) -> Component:
    build = f"corenas_tpsr.generator.operations:{name.replace('-', '_')}"
    return Component(name, build, config, summary, REDUCTION)


OPERATIONS = (
    *(_operation(f"conv{k}", NoOptions, f"{k}x{k} convolution") for k in (1, 3, 5, 7)),
    *(
        _operation(f"gconv{k}", GroupedConvolutionConfig, f"{k}x{k} convolution in groups")
        for k in (3, 5, 7)
    ),
    *(_operation(f"dsep{k}", NoOptions, f"depthwise {k}x{k}, PReLU, pointwise") for k in (3, 5, 7)),
    *(
        _operation(f"inv{k}", InvertedBlockConfig, f"inverted residual block, depthwise {k}x{k}")
        for k in (3, 5, 7)
    ),
    _operation("se", SqueezeExciteConfig, "squeeze-and-excitation gate of fully connected layers"),
    _operation("ca", ChannelAttentionConfig, "channel-attention gate of 1x1 convolutions"),
    _operation("identity", NoOptions, "nothing; the node's PReLU remains"),
)

OTHER_OPERATIONS = (
    _operation("rcab", ChannelAttentionConfig, "residual block with channel attention"),
)
"""Not among the paper's sixteen; a space's option ``operations`` may name it."""

REDUCTIONS = (
    *(
        _reduction(f"reduce-conv{k}", NoOptions, f"{k}x{k} convolution of stride 2, 2c channels")
        for k in (1, 3, 5, 7)
    ),
    *(
        _reduction(
            f"reduce-gconv{k}",
            GroupedConvolutionConfig,
            f"{k}x{k} convolution of stride 2 in groups, 2c channels",
        )
        for k in (3, 5, 7)
    ),
)
"""The seven operations that end a discriminator's blocks."""

SPACES = (
    Component(
        "tpsr-generator",
        "corenas_tpsr.generator.space:GeneratorSpace",
        GeneratorSpaceConfig,
        "cells of ten nodes between a fixed head and up-sampler",
    ),
    Component(
        "tpsr-discriminator",
        "corenas_tpsr.discriminator.space:DiscriminatorSpace",
        DiscriminatorSpaceConfig,
        "chains of five blocks that judge patches, each an operation and a reduction",
    ),
)
