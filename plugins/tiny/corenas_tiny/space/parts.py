"""What several operations are made of: activations, convolutions, means over cells of a grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas_sr.models.kernels import DepthwiseConv2d, PReLU
from corenas_tiny.space.config import Activation

LEAKY_SLOPE = 0.1
"""Of the leaky ReLU below zero."""

RESIDUAL = 0.3
"""By what the last convolution of a residual branch is scaled at first."""


def activation(name: Activation | None) -> nn.Module:
    """Return an activation; without a name, the leaky ReLU."""
    match name:
        case "leaky" | None:
            return nn.LeakyReLU(LEAKY_SLOPE)
        case "relu":
            return nn.ReLU()
        case "prelu":
            return PReLU()
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()


def conv1(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a 1x1 convolution."""
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 3x3 convolution with zero padding that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def blueprint(inputs: int, outputs: int, kernel_size: int = 3) -> nn.Sequential:
    """Return a blueprint-separable convolution (Haase and Amthor, arXiv:2003.13549, BSConv-U).

    It is a 1x1 convolution without bias, and then a depthwise one.
    """
    return nn.Sequential(conv1(inputs, outputs, bias=False), DepthwiseConv2d(outputs, kernel_size))


def weaken(module: nn.Module, factor: float) -> None:
    """Scale the parameters of a fresh module, so that its branch adds little at first."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(factor)


class ChannelNorm(nn.LayerNorm):
    """Normalise each pixel over its channels (Ba et al., arXiv:1607.06450), shape (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def cell_means(x: Tensor, side: int) -> Tensor:
    """Return the means over cells of a grid from the upper left corner, each ``side`` pixels wide.

    The last cells are as large as the image leaves them. Tiles that begin on the grid have the same
    cells as the whole image.
    """
    return F.avg_pool2d(x, side, ceil_mode=True)


def over_cells(values: Tensor, side: int, like: Tensor) -> Tensor:
    """Give every pixel of ``like`` the value of its cell."""
    height, width = like.shape[-2:]
    return F.interpolate(values, scale_factor=float(side))[..., :height, :width]
