"""The operation: a module from (N, channels, H, W) to the same shape."""

from __future__ import annotations

from torch import Tensor, nn

from plugin_name.config import Options


class Operation(nn.Module):
    """Multiplies its input by what a depthwise and a pointwise convolution make of it."""

    def __init__(self, config: Options, channels: int) -> None:
        super().__init__()
        kernel = config.kernel
        self.near = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated input."""
        gate: Tensor = self.mix(self.near(x)).sigmoid()
        return x * gate
