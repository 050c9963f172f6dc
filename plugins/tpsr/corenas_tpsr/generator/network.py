"""The network of TPSR's generators (Lee et al., arXiv:2007.04356, Fig. 1 and 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RGB_MEAN = (255 * 0.4488, 255 * 0.4371, 255 * 0.4040)
"""Mean colour of DIV2K, in 0..255."""


class Generator(nn.Module):
    """A cell of nodes between a convolution and a sub-pixel up-sampler that ends in RGB.

    Node i (from 1) computes ``PReLU(operation(output of its source))``; source 0 is the head's
    output. Leaves are the outputs that no node uses; their sum goes through ``merge``. There is no
    global skip, and no activation in the up-sampler. The state dict holds what is trained; the
    colour mean is a constant outside it.

    Args:
        nodes: Operation and PReLU of each node; they keep shape (N, channels, H, W).
        sources: The source of each node, in 0..i-1 for node i.
        merge: What follows the sum of the leaves.
        channels: Channels of the cell.
        scale: 2 or 4; a second up-sampler takes the RGB image of the first from 2 to 4.
    """

    def __init__(
        self,
        nodes: Sequence[nn.Module],
        sources: Sequence[int],
        merge: nn.Module,
        *,
        channels: int = 16,
        scale: int = 2,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.sources = tuple(sources)
        self.leaves = leaves(sources)
        self.mean: Tensor
        # A constant outside the state dict. The authors' files hold it as frozen convolutions, 24
        # parameters that nobody trains.
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)
        self.head = head(channels)
        self.nodes = nn.ModuleList(nodes)
        self.merge = merge
        self.up1 = upsampler(channels)
        self.up2 = upsampler(3) if scale == 4 else None

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
        outputs = [self.head(x - self.mean)]
        for node, source in zip(self.nodes, self.sources, strict=True):
            outputs.append(node(outputs[source]))
        first, *others = (outputs[leaf] for leaf in self.leaves)
        # sum() would begin at the number 0, which costs one more addition of whole feature maps.
        y = F.pixel_shuffle(self.up1(self.merge(sum(others, first))), 2)
        if self.up2 is not None:
            y = F.pixel_shuffle(self.up2(y), 2)
        return y + self.mean


def leaves(sources: Sequence[int]) -> tuple[int, ...]:
    """Return the nodes (from 1) whose outputs no node uses; the last node is always one."""
    return tuple(sorted(set(range(1, len(sources) + 1)) - set(sources)))


def head(channels: int) -> nn.Conv2d:
    """Return the convolution from RGB to the cell's channels."""
    return nn.Conv2d(3, channels, 3, padding=1)


def upsampler(channels: int) -> nn.Conv2d:
    """Return the convolution whose twelve channels a pixel shuffle turns into RGB at ×2."""
    return nn.Conv2d(channels, 12, 3, padding=1)
