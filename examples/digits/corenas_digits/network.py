"""What networks are made of: a stem, blocks, and a head."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

OPERATIONS: Mapping[str, tuple[str, int]] = {
    "conv3": ("conv", 3),
    "conv5": ("conv", 5),
    "sep3": ("separable", 3),
    "sep5": ("separable", 5),
}
"""Kind and kernel size of each operation; separable is depthwise, then 1x1."""

WIDTHS = (8, 12, 16, 24)
CLASSES = 10


class Block(nn.Module):
    """An operation with batch norm and ReLU, a shortcut around it, and a pooling behind it."""

    def __init__(self, operation: str, width: int, *, shortcut: bool, pool: bool) -> None:
        super().__init__()
        kind, kernel = OPERATIONS[operation]
        groups = width if kind == "separable" else 1
        layers = [nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=groups, bias=False)]
        if kind == "separable":
            layers.append(nn.Conv2d(width, width, 1, bias=False))
        self.operation = nn.Sequential(*layers, nn.BatchNorm2d(width))
        self.shortcut = shortcut
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.operation(x)
        result: Tensor = self.pool(nn.functional.relu(x + y if self.shortcut else y))
        return result


def stem(width: int) -> nn.Sequential:
    """Return what makes channels of an image."""
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())


def head(width: int) -> list[nn.Module]:
    """Return what makes ten logits of channels: their mean over positions, and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES)]
