"""Blocks that weigh features by what is around them: in cells of a grid, never the whole image.

Their papers take statistics over the whole image, or grids that depend on its size. Here they are
taken over cells of 8 or 16 pixels and their neighbours, in training as at inference: the result of
tiles is that of the whole image, and a network sees in an image of any size what it was trained on.
Each name is a function (options, channels) -> module that keeps shape (N, channels, H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas.errors import InputError
from corenas_sr.models.kernels import DepthwiseConv2d
from corenas_tiny.space.config import BlockConfig, HeadsConfig, SqueezingConfig
from corenas_tiny.space.parts import (
    RESIDUAL,
    activation,
    cell_means,
    conv1,
    conv3,
    over_cells,
    weaken,
)

COARSE = 8
"""Side of a cell from which `Modulate` and `SpatialAttention` look at an image, in pixels."""

CELL = 16
"""Side of a cell of the statistics of channels, in pixels."""

EPSILON = 1e-5
"""Added to variances under a root, whose slope at zero is infinite."""


class Modulate(nn.Module):
    """A gate from features eight times coarser (SAFM, Sun et al., arXiv:2302.13800, Fig. 3).

    One half of a 1x1 convolution's output is pooled by 8, filtered depthwise and brought back by
    nearest neighbours; its activation gates the other half.
    """

    def __init__(self, channels: int, act: nn.Module) -> None:
        super().__init__()
        self.split = conv1(channels, 2 * channels)
        self.filter = DepthwiseConv2d(channels, 3)
        self.act = act
        self.merge = conv1(channels, channels)
        weaken(self.merge, RESIDUAL)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        far, near = self.split(x).chunk(2, dim=1)
        gate = self.act(self.filter(cell_means(far, COARSE)))
        y: Tensor = x + self.merge(near * over_cells(gate, COARSE, near))
        return y


class ChannelAttention(nn.Module):
    """Attention between channels (Restormer, Zamir et al., arXiv:2111.09881, Eq. 1), by windows.

    Queries and keys are unit vectors over the pixels of a window of 16x16, so a head's map is as
    large as its channels, whatever the image.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = conv1(channels, 3 * channels, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.merge = conv1(channels, channels)
        weaken(self.merge, RESIDUAL)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        batch, channels, height, width = x.shape
        rows, columns = (height + CELL - 1) // CELL, (width + CELL - 1) // CELL
        # Zeros beyond the border: they add nothing to products over pixels.
        border = (0, columns * CELL - width, 0, rows * CELL - height)
        padded = F.pad(self.project(x), border)
        own = channels // self.heads
        windows = padded.view(batch, 3, self.heads, own, rows, CELL, columns, CELL)
        # To (3, windows of all images, heads, channels of a head, pixels).
        windows = windows.permute(1, 0, 4, 6, 2, 3, 5, 7).flatten(6).flatten(1, 3)
        query, key, value = windows.unbind(0)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        weights = (query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        seen = (weights @ value).view(batch, rows, columns, channels, CELL, CELL)
        image = seen.permute(0, 3, 1, 4, 2, 5)
        image = image.reshape(batch, channels, rows * CELL, columns * CELL)
        y: Tensor = x + self.merge(image[..., :height, :width])
        return y


class SpatialAttention(nn.Module):
    """ESA: weigh each pixel by a coarse look around it (Liu et al., arXiv:2009.11551, Fig. 4).

    The paper's strides are 2 and 3 without padding; here they are 2 and 4 with padding, so that
    cells of 8 pixels stand on a grid, and an image may have any size.
    """

    def __init__(self, channels: int, reduction: int, act: nn.Module) -> None:
        super().__init__()
        waist = max(1, channels // reduction)
        self.squeeze = conv1(channels, waist)
        self.shrink = nn.Conv2d(waist, waist, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(7, stride=4, padding=3)
        self.look = nn.Sequential(conv3(waist, waist), act, conv3(waist, waist))
        self.stay = conv1(waist, waist)
        self.excite = conv1(waist, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, each of its numbers times one in (0, 1)."""
        height, width = x.shape[-2:]
        squeezed = self.squeeze(x)
        coarse = self.look(self.pool(self.shrink(squeezed)))
        seen = F.interpolate(
            coarse, scale_factor=float(COARSE), mode="bilinear", align_corners=False
        )
        gate = self.excite(seen[..., :height, :width] + self.stay(squeezed))
        return x * torch.sigmoid(gate)


class ContrastAttention(nn.Module):
    """CCA: weigh channels by their mean and deviation (IMDN, Hui et al., arXiv:1909.11856, Eq. 4).

    The statistics of a pixel are those of its cell and the eight around it.
    """

    def __init__(self, channels: int, reduction: int, act: nn.Module) -> None:
        super().__init__()
        waist = max(1, channels // reduction)
        self.gate = nn.Sequential(conv1(channels, waist), act, conv1(waist, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, each of its numbers times one in (0, 1)."""
        mean = _around(cell_means(x, CELL))
        square = _around(cell_means(x.square(), CELL))
        deviation = torch.sqrt((square - mean.square()).clamp(min=0) + EPSILON)
        return x * over_cells(torch.sigmoid(self.gate(mean + deviation)), CELL, x)


def _around(cells: Tensor) -> Tensor:
    """Return the mean of each cell and its neighbours, of which there are fewer at the border."""
    return F.avg_pool2d(cells, 3, stride=1, padding=1, count_include_pad=False)


def modulate(config: BlockConfig, channels: int) -> nn.Module:
    """Return a gate from coarse features."""
    return Modulate(channels, activation(config.activation))


def channel_attention(config: HeadsConfig, channels: int) -> nn.Module:
    """Return attention between channels; it has no activation.

    Raises:
        InputError: The heads do not divide the channels.
    """
    if channels % config.heads:
        raise InputError(
            f"channel-attention: {channels} channels do not divide into {config.heads} heads"
        )
    return ChannelAttention(channels, config.heads)


def esa(config: SqueezingConfig, channels: int) -> nn.Module:
    """Return the enhanced spatial attention of RFANet."""
    return SpatialAttention(channels, config.reduction, activation(config.activation))


def cca(config: SqueezingConfig, channels: int) -> nn.Module:
    """Return the contrast-aware channel attention of IMDN."""
    return ContrastAttention(channels, config.reduction, activation(config.activation))
