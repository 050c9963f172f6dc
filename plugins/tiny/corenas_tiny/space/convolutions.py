"""Blocks of convolutions: residual, depthwise, gated, distilling.

Each name is a function (options, channels) -> module that keeps shape (N, channels, H, W), with
zero padding of half the kernel. ``docs/papers.md`` says where a block departs from its paper.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from corenas_sr.models.kernels import DepthwiseConv2d
from corenas_tiny.space.config import BlockConfig, ExpandingConfig
from corenas_tiny.space.parts import (
    RESIDUAL,
    ChannelNorm,
    activation,
    blueprint,
    conv1,
    conv3,
    weaken,
)

EXPANSION = 2
"""Where neither the options nor the space say how wide a block is inside."""


class Residual(nn.Module):
    """The input plus what a body makes of it; the body's last module is weak at first."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        weaken(body[-1], RESIDUAL)
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        y: Tensor = x + self.body(x)
        return y


class BlueprintResidual(nn.Module):
    """BSRB: activation(x + BSConv(x)) (Li et al., arXiv:2205.05996, Fig. 3)."""

    def __init__(self, channels: int, kernel_size: int, act: nn.Module) -> None:
        super().__init__()
        self.body = blueprint(channels, channels, kernel_size)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        y: Tensor = self.act(x + self.body(x))
        return y


class Gate(nn.Module):
    """Normalise, widen, filter, multiply the halves, narrow, add the input.

    The gate is NAFNet's (Chen et al., arXiv:2204.04676, Fig. 2c), which needs no activation.
    """

    def __init__(self, channels: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.norm = ChannelNorm(channels)
        self.widen = conv1(channels, 2 * inner)
        self.filter = DepthwiseConv2d(2 * inner, kernel_size)
        self.narrow = conv1(inner, channels)
        weaken(self.narrow, RESIDUAL)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        first, second = self.filter(self.widen(self.norm(x))).chunk(2, dim=1)
        y: Tensor = x + self.narrow(first * second)
        return y


class Distil(nn.Module):
    """Feature distillation in three steps, fused by a 1x1 convolution (BSRN's ESDB without gates).

    Each step keeps half the channels by a 1x1 convolution and refines all of them by a `BSRB
    <BlueprintResidual>`; what is left at the end is halved by a blueprint-separable convolution.
    """

    steps = 3

    def __init__(self, channels: int, name: BlockConfig) -> None:
        super().__init__()
        kept = max(1, channels // 2)
        self.keep = nn.ModuleList(conv1(channels, kept) for _ in range(self.steps))
        self.refine = nn.ModuleList(
            BlueprintResidual(channels, 3, activation(name.activation)) for _ in range(self.steps)
        )
        self.last = blueprint(channels, kept)
        self.act = activation(name.activation)
        self.fuse = conv1(kept * (self.steps + 1), channels)
        weaken(self.fuse, RESIDUAL)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        left, kept = x, []
        for keep, refine in zip(self.keep, self.refine, strict=True):
            kept.append(self.act(keep(left)))
            left = refine(left)
        kept.append(self.act(self.last(left)))
        y: Tensor = x + self.fuse(torch.cat(kept, dim=1))
        return y


def rep3(config: BlockConfig, channels: int) -> nn.Module:
    """Return an activation after one 3x3 convolution, the block of ECBSR once it is folded."""
    return nn.Sequential(conv3(channels, channels), activation(config.activation))


def res3(config: BlockConfig, channels: int) -> nn.Module:
    """Return a residual block of two 3x3 convolutions (EDSR, Lim et al., arXiv:1707.02921)."""
    return Residual(
        conv3(channels, channels), activation(config.activation), conv3(channels, channels)
    )


def bsres(config: BlockConfig, channels: int, *, kernel_size: int) -> nn.Module:
    """Return a blueprint-separable residual block."""
    return BlueprintResidual(channels, kernel_size, activation(config.activation))


def next_block(config: ExpandingConfig, channels: int, *, kernel_size: int) -> nn.Module:
    """Return depthwise, up, activation, down, residual (ConvNeXt, Liu et al., arXiv:2201.03545).

    Without its normalisation, as networks for super-resolution have none here.
    """
    inner = channels * (config.expansion or EXPANSION)
    return Residual(
        DepthwiseConv2d(channels, kernel_size),
        conv1(channels, inner),
        activation(config.activation),
        conv1(inner, channels),
    )


def gate(config: ExpandingConfig, channels: int, *, kernel_size: int) -> nn.Module:
    """Return a gated block; its options' activation is not used, as a gate has none."""
    return Gate(channels, config.expansion or EXPANSION, kernel_size)


def distil3(config: BlockConfig, channels: int) -> nn.Module:
    """Return a block of feature distillation."""
    return Distil(channels, config)


bsres3, bsres5 = (partial(bsres, kernel_size=k) for k in (3, 5))
next5, next7, next9 = (partial(next_block, kernel_size=k) for k in (5, 7, 9))
gate3, gate5, gate7 = (partial(gate, kernel_size=k) for k in (3, 5, 7))
