"""An operation for any search space that takes operations by name."""

from __future__ import annotations

from torch import nn

from corenas_sample.config import DilatedConfig


def dilated3(config: DilatedConfig, channels: int) -> nn.Module:
    gap = config.dilation
    return nn.Conv2d(channels, channels, 3, padding=gap, dilation=gap)
