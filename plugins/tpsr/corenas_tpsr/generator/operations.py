"""The sixteen operations and seven reductions (Lee et al., arXiv:2007.04356, section 3.1).

Each name is a function (options, channels) -> module. An operation keeps shape (N, channels, H, W);
a reduction doubles the channels and halves height and width. Kernels are odd, with zero padding of
half their size. The paper does not define the inverted block and the two gates; ``docs/papers.md``
says which reading this is.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from corenas.errors import InputError
from corenas.plugins.hookspecs import NoOptions
from corenas_sr.models.kernels import DepthwiseConv2d, PReLU
from corenas_tpsr.generator.config import (
    ChannelAttentionConfig,
    GroupedConvolutionConfig,
    InvertedBlockConfig,
    SqueezeExciteConfig,
)


class InvertedBlock(nn.Module):
    """Widen, filter every channel, narrow, add the input (MobileNetV2 without normalisation)."""

    def __init__(self, channels: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.body = nn.Sequential(
            nn.Conv2d(channels, inner, 1),
            PReLU(),
            DepthwiseConv2d(inner, kernel_size),
            PReLU(),
            nn.Conv2d(inner, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the input plus what the block makes of it."""
        y: Tensor = x + self.body(x)
        return y


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate of all channels' means (Hu et al., arXiv:1709.01507)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        # Without biases, as Hu et al. have it; the channel attention of RCAN has them.
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input's channels, each times a number in (0, 1)."""
        gate = self.excite(torch.relu(self.squeeze(x.mean((2, 3)))))
        return x * torch.sigmoid(gate)[:, :, None, None]


class ChannelAttention(nn.Module):
    """Scale each channel by a gate of 1x1 convolutions (RCAN, Zhang et al., arXiv:1807.02758)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input's channels, each times a number in (0, 1)."""
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))


class ResidualChannelAttention(nn.Module):
    """RCAN's residual block: two 3x3 convolutions and a channel-attention gate, plus the input.

    Note:
        Another reading of the paper's "channel attention block", which is given no kernel size.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = ChannelAttention(channels, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        y: Tensor = self.gate(self.second(torch.relu(self.first(x))))
        return x + y


def convolution(config: NoOptions, channels: int, *, kernel_size: int) -> nn.Module:
    """Return Conv(k): a convolution with bias."""
    return nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2)


def grouped_convolution(
    config: GroupedConvolutionConfig, channels: int, *, kernel_size: int
) -> nn.Module:
    """Return Conv(k, g): a convolution with bias whose groups of channels do not mix.

    Raises:
        InputError: The groups do not divide the channels.
    """
    _check_groups(f"gconv{kernel_size}", channels, config.groups)
    return nn.Conv2d(
        channels, channels, kernel_size, padding=kernel_size // 2, groups=config.groups
    )


def reducing_convolution(config: NoOptions, channels: int, *, kernel_size: int) -> nn.Module:
    """Return Conv(k) of stride 2 with twice the channels, with bias."""
    return nn.Conv2d(channels, 2 * channels, kernel_size, 2, kernel_size // 2)


def reducing_grouped_convolution(
    config: GroupedConvolutionConfig, channels: int, *, kernel_size: int
) -> nn.Module:
    """Return Conv(k, g) of stride 2 with twice the channels, with bias.

    Raises:
        InputError: The groups do not divide the channels.
    """
    _check_groups(f"reduce-gconv{kernel_size}", channels, config.groups)
    return nn.Conv2d(channels, 2 * channels, kernel_size, 2, kernel_size // 2, groups=config.groups)


def _check_groups(name: str, channels: int, groups: int) -> None:
    if channels % groups:
        raise InputError(f"{name}: {channels} channels do not divide into {groups} groups")


def separable_convolution(config: NoOptions, channels: int, *, kernel_size: int) -> nn.Module:
    """Return DSep(k): depthwise without bias, PReLU, pointwise with bias."""
    # Biases and the inner PReLU are those of the authors' published x4 models.
    return nn.Sequential(
        DepthwiseConv2d(channels, kernel_size, bias=False),
        PReLU(),
        nn.Conv2d(channels, channels, 1),
    )


def inverted_block(config: InvertedBlockConfig, channels: int, *, kernel_size: int) -> nn.Module:
    """Return InvBlock(k)."""
    return InvertedBlock(channels, config.expansion, kernel_size)


def se(config: SqueezeExciteConfig, channels: int) -> nn.Module:
    """Return SEBlock()."""
    return SqueezeExcite(channels, config.reduction)


def ca(config: ChannelAttentionConfig, channels: int) -> nn.Module:
    """Return CABlock()."""
    return ChannelAttention(channels, config.reduction)


def rcab(config: ChannelAttentionConfig, channels: int) -> nn.Module:
    """Return the residual reading of CABlock()."""
    return ResidualChannelAttention(channels, config.reduction)


def identity(config: NoOptions, channels: int) -> nn.Module:
    """Return the operation that does nothing."""
    return nn.Identity()


conv1, conv3, conv5, conv7 = (partial(convolution, kernel_size=k) for k in (1, 3, 5, 7))
gconv3, gconv5, gconv7 = (partial(grouped_convolution, kernel_size=k) for k in (3, 5, 7))
dsep3, dsep5, dsep7 = (partial(separable_convolution, kernel_size=k) for k in (3, 5, 7))
inv3, inv5, inv7 = (partial(inverted_block, kernel_size=k) for k in (3, 5, 7))
reduce_conv1, reduce_conv3, reduce_conv5, reduce_conv7 = (
    partial(reducing_convolution, kernel_size=k) for k in (1, 3, 5, 7)
)
reduce_gconv3, reduce_gconv5, reduce_gconv7 = (
    partial(reducing_grouped_convolution, kernel_size=k) for k in (3, 5, 7)
)
