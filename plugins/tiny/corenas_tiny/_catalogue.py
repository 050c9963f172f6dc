"""The components of this plugin that make networks, described without importing torch."""

from __future__ import annotations

from corenas.plugins.hookspecs import Component
from corenas_tiny.space.config import (
    BlockConfig,
    ExpandingConfig,
    HeadsConfig,
    SqueezingConfig,
    TinySpaceConfig,
)

_CONVOLUTIONS = "corenas_tiny.space.convolutions"
_ATTENTION = "corenas_tiny.space.attention"

OPERATIONS = (
    Component("res3", f"{_CONVOLUTIONS}:res3", BlockConfig, "residual block of two 3x3"),
    Component("rep3", f"{_CONVOLUTIONS}:rep3", BlockConfig, "activation after one 3x3"),
    *(
        Component(
            f"bsres{k}",
            f"{_CONVOLUTIONS}:bsres{k}",
            BlockConfig,
            f"residual block of a 1x1 and a depthwise {k}x{k}",
        )
        for k in (3, 5)
    ),
    *(
        Component(
            f"next{k}",
            f"{_CONVOLUTIONS}:next{k}",
            ExpandingConfig,
            f"residual block: depthwise {k}x{k}, wider, narrower",
        )
        for k in (5, 7, 9)
    ),
    *(
        Component(
            f"gate{k}",
            f"{_CONVOLUTIONS}:gate{k}",
            ExpandingConfig,
            f"residual block: product of two halves, depthwise {k}x{k}",
        )
        for k in (3, 5, 7)
    ),
    Component("distil3", f"{_CONVOLUTIONS}:distil3", BlockConfig, "distillation in three steps"),
    Component("modulate", f"{_ATTENTION}:modulate", BlockConfig, "gate from features 8x coarser"),
    Component(
        "channel-attention",
        f"{_ATTENTION}:channel_attention",
        HeadsConfig,
        "attention between channels, in windows of 16x16",
    ),
    Component("esa", f"{_ATTENTION}:esa", SqueezingConfig, "gate from a coarse look around"),
    Component(
        "cca",
        f"{_ATTENTION}:cca",
        SqueezingConfig,
        "gate of channels by mean and deviation around",
    ),
)

SPACES = (
    Component(
        "tiny",
        "corenas_tiny.space.space:TinySpace",
        TinySpaceConfig,
        "networks of up to sixteen blocks of today's kinds, all of one width",
    ),
)
