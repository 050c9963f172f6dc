"""The discriminator of SRGAN (Ledig et al., arXiv:1609.04802), a baseline that is not searched."""

from __future__ import annotations

from torch import nn

from corenas.errors import InputError
from corenas_tpsr.discriminator.space import Discriminator, batch_norm

WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512)
"""Channels of the eight convolutions; every second one halves height and width."""

HIDDEN = 1024
"""Units of the layer before the logit."""

SLOPE = 0.2
"""Negative slope of the leaky ReLUs."""


class SrganDiscriminator(Discriminator):
    """Eight 3x3 convolutions and two linear layers; ESRGAN's differs by the loss alone.

    Args:
        patch: Side of the high-resolution patches that it judges.

    Raises:
        InputError: Four convolutions of stride 2 cannot halve the patch.

    Note:
        The first convolution is normalised as well, as in the code base that TPSR was trained with;
        Ledig et al. leave that out.
    """

    def __init__(self, patch: int = 96) -> None:
        if patch < 16 or patch % 16:
            raise InputError(f"patch: must be a multiple of 16, got {patch}")
        judge = nn.Sequential(
            nn.Linear(WIDTHS[-1] * (patch // 16) ** 2, HIDDEN),
            nn.LeakyReLU(SLOPE),
            nn.Linear(HIDDEN, 1),
        )
        super().__init__(_features(), judge, patch=patch)


def _features() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for number, width in enumerate(WIDTHS):
        # No bias: batch normalisation follows and subtracts it.
        convolution = nn.Conv2d(channels, width, 3, 1 + number % 2, padding=1, bias=False)
        layers += [convolution, batch_norm(width), nn.LeakyReLU(SLOPE)]
        channels = width
    return nn.Sequential(*layers)
