"""Derived networks, and the parts that they have in common with the supernet."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from corenas_trilevel.space.config import Backbone, SpaceConfig
from corenas_trilevel.space.operations import OPERATIONS

# Both as in ESRGAN's residual-in-residual blocks.
RESIDUAL_SCALE = 0.2
SLOPE = 0.2
IMAGE_CHANNELS = 3

PEAK = 255
"""The largest value of an image. Inside, networks work in [0, 1], as the paper's do."""

ChosenCell = Sequence[tuple[str, int]]
"""A cell's operations by name and width, from input to output."""


class Cell(nn.Module):
    """A residual-in-residual block: ``x + 0.2 * OP5(OP4(OP3(OP2(OP1(x)))))``."""

    def __init__(self, operations: Sequence[nn.Module]) -> None:
        super().__init__()
        self.operations = nn.Sequential(*operations)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.operations(x)
        return x + RESIDUAL_SCALE * y


class UpConvolution(nn.Module):
    """Enlarges by two: nearest neighbour, then a convolution and LeakyReLU."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.convolution = convolution(features, features)
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.convolution(F.interpolate(x, scale_factor=2)))
        return y


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 3x3 convolution with bias that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def head(config: SpaceConfig) -> nn.Module:
    """Return the convolution before the path."""
    return convolution(IMAGE_CHANNELS, config.features)


def path_convolution(backbone: Backbone, features: int) -> nn.Module:
    """Return the module of a ``1`` of the path."""
    return UpConvolution(features) if backbone == "a" else convolution(features, features)


class ImageRange(nn.Module):
    """``255 (tanh(x) + 1) / 2``: any number into [0, 255]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.tanh() + 1) * (PEAK / 2)


def tail(config: SpaceConfig) -> nn.Module:
    """Return the layers after the path; their output is an image in [0, 255]."""
    features = config.features
    if config.backbone == "a":
        return nn.Sequential(
            convolution(features, features),
            nn.LeakyReLU(SLOPE, inplace=True),
            convolution(features, IMAGE_CHANNELS),
            ImageRange(),
        )
    return nn.Sequential(
        convolution(features, IMAGE_CHANNELS * config.scale**2),
        nn.PixelShuffle(config.scale),
        ImageRange(),
    )


class TrilevelNetwork(nn.Module):
    """A super-resolution network: a convolution, the path's cells and convolutions, an output.

    Args:
        config: The space's options.
        path: Steps, ``0`` for a cell and ``1`` for a convolution.
        cells: For each ``0`` of the path its operations by name and width, input to output.
    """

    def __init__(self, config: SpaceConfig, path: str, cells: Sequence[ChosenCell]) -> None:
        super().__init__()
        self.scale = config.scale
        self.head = head(config)
        self.path = nn.Sequential(*_build_path(config, path, cells))
        self.tail = tail(config)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge images in [0, 255], shape (N, 3, H, W), to (N, 3, scale * H, scale * W)."""
        y: Tensor = self.tail(self.path(self.head(x / PEAK)))
        return y


def _build_path(config: SpaceConfig, path: str, cells: Sequence[ChosenCell]) -> list[nn.Module]:
    remaining, modules, shared = iter(cells), list[nn.Module](), None
    for step in path:
        if step == "0":
            modules.append(_build_cell(next(remaining), config.features))
        else:
            # One module for all, if shared: that explains the paper's 0.34 M parameters.
            if shared is None or not config.share_up:
                shared = path_convolution(config.backbone, config.features)
            modules.append(shared)
    return modules


def _build_cell(chosen: ChosenCell, features: int) -> Cell:
    operations, inputs = [], features
    for name, width in chosen:
        operations.append(OPERATIONS[name].plain(inputs, width))
        inputs = width
    return Cell(operations)
