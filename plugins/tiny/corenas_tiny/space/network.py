"""The network of the space: one width throughout, skips around everything, one pixel shuffle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas_tiny.space.config import Skip
from corenas_tiny.space.parts import conv1, conv3, weaken

RGB_MEAN = (255 * 0.4488, 255 * 0.4371, 255 * 0.4040)
"""Mean colour of DIV2K's training images, in 0..255 (EDSR, Lim et al., arXiv:1707.02921)."""

TAIL = 0.1
"""By what the last convolution is scaled at first: the output then is the skipped input."""


class TinyNetwork(nn.Module):
    """Blocks of one width between a 3x3 convolution and a pixel shuffle to RGB.

    With z the input in about [-0.5, 0.5], h_0 the head's output and h_1 to h_B those of the blocks:
    the tail gets h_0 plus h_B, or plus a 1x1 convolution of all of h_1 to h_B; its pixel shuffle is
    added to the input, enlarged by what ``skip`` names. The colour mean is a constant outside the
    state dict.

    Args:
        blocks: Each keeps shape (N, channels, H, W).
        channels: Channels of every block.
        scale: Up-scaling factor.
        fusion: Fuse the outputs of all blocks.
        tail: Kernel size of the last convolution.
        skip: How the input is enlarged that is added to the output.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        *,
        channels: int,
        scale: int,
        fusion: bool,
        tail: int,
        skip: Skip,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.skip = skip
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)
        self.head = conv3(3, channels)
        self.blocks = nn.ModuleList(blocks)
        self.fuse = conv1(channels * len(blocks), channels) if fusion else None
        self.tail = last_convolution(channels, scale, tail)
        weaken(self.tail, TAIL)

    def forward(self, x: Tensor) -> Tensor:
        """Up-scale images.

        Args:
            x: RGB in [0, 255], floating point, shape (N, 3, H, W).

        Returns:
            RGB in the same range, but not clamped, shape (N, 3, scale * H, scale * W).

        Raises:
            ValueError: The shape or the type is another.
        """
        if x.dim() != 4 or x.shape[1] != 3 or not x.is_floating_point():
            raise ValueError(
                f"expected floating point of shape (N, 3, H, W), got {x.dtype} {tuple(x.shape)}"
            )
        z = (x - self.mean) / 255
        first = self.head(z)
        outputs = [first]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        last = outputs[-1] if self.fuse is None else self.fuse(torch.cat(outputs[1:], dim=1))
        # Without blocks, the head's output is the last one, too.
        y = self.tail(last + first if len(outputs) > 1 else first)
        if self.skip == "nearest":
            # Before the shuffle, all numbers of one pixel get the same; it is cheaper than after.
            y = (y.unflatten(1, (3, -1)) + z.unsqueeze(2)).flatten(1, 2)
        y = F.pixel_shuffle(y, self.scale)
        if self.skip == "bicubic":
            # Keys' cubic with a = -0.75, as torch has it, and not MATLAB's of -0.5.
            y = y + F.interpolate(
                z, scale_factor=float(self.scale), mode="bicubic", align_corners=False
            )
        return torch.add(self.mean, y, alpha=255)


class Fusion(nn.Module):
    """What fuses the outputs of so many blocks, for costs and times of parts."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.convolution = conv1(channels * blocks, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse the input with itself, as if it were each block's output."""
        y: Tensor = self.convolution(torch.cat([x] * self.blocks, dim=1))
        return y


def last_convolution(channels: int, scale: int, kernel_size: int) -> nn.Conv2d:
    """Return the convolution whose channels a pixel shuffle turns into RGB."""
    return nn.Conv2d(channels, 3 * scale**2, kernel_size, padding=kernel_size // 2)
