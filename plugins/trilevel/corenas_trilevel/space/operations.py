"""The four operations of a cell: as plain modules, and slimmable (one weight, sliced to widths).

A slimmable operation at widths (inputs, outputs) is the plain one with the leading slices of its
weights. The authors' supernet differs from their derived networks here; this one does not:
ResBlock's inner width is that of its output, DwsBlock's is four times that of its input, and a
skip is the identity where both widths are equal and a 1x1 convolution where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

EXPANSION = 4
"""Channels inside a DwsBlock, as a multiple of those of its input."""


def _convolution(inputs: int, outputs: int, size: int, *, groups: int = 1) -> nn.Conv2d:
    # Without bias: with one, the paper's printed GFLOPs would not come out.
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)


def _relu(x: Tensor) -> Tensor:
    return F.relu(x, inplace=True)


class Convolution(nn.Module):
    """``relu(C(x))``."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, size)

    def forward(self, x: Tensor) -> Tensor:
        return _relu(self.first(x))


class Conv1x1(Convolution):
    """``relu(C1(x))``; the authors' code calls it skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)


class Conv3x3(Convolution):
    """``relu(C3(x))``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)


class ResBlock(nn.Module):
    """``relu(C3(relu(C3(x))) + skip(x))``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3)
        self.second = _convolution(outputs, outputs, 3)
        self.skip = _skip(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return _relu(self.second(_relu(self.first(x))) + self.skip(x))


class DwsBlock(nn.Module):
    """``relu(C1(relu(DW3(relu(C1(x))))) + skip(x))``, four times as wide inside as its input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = EXPANSION * inputs
        self.expand = _convolution(inputs, inner, 1)
        self.depthwise = _convolution(inner, inner, 3, groups=inner)
        self.project = _convolution(inner, outputs, 1)
        self.skip = _skip(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = _relu(self.depthwise(_relu(self.expand(x))))
        return _relu(self.project(inner) + self.skip(x))


def _skip(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else _convolution(inputs, outputs, 1)


class SlimOperation(nn.Module):
    """An operation of any width up to ``features``: its weights are those of the widest one."""

    def forward(self, x: Tensor, width: int) -> Tensor:
        """Return ``width`` channels computed from those of ``x``, shape (N, width, H, W)."""
        raise NotImplementedError


class SlimConvolution(SlimOperation):
    """`Convolution` of any width."""

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.first = _convolution(features, features, size)

    def forward(self, x: Tensor, width: int) -> Tensor:
        return _relu(_convolve_sliced(self.first, x, width))


class SlimConv1x1(SlimConvolution):
    """`Conv1x1` of any width."""

    def __init__(self, features: int) -> None:
        super().__init__(features, 1)


class SlimConv3x3(SlimConvolution):
    """`Conv3x3` of any width."""

    def __init__(self, features: int) -> None:
        super().__init__(features, 3)


class SlimResBlock(SlimOperation):
    """`ResBlock` of any width."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = _convolution(features, features, 3)
        self.second = _convolution(features, features, 3)
        self.skip = _convolution(features, features, 1)

    def forward(self, x: Tensor, width: int) -> Tensor:
        inner = _relu(_convolve_sliced(self.first, x, width))
        return _relu(
            _convolve_sliced(self.second, inner, width) + _skip_sliced(self.skip, x, width)
        )


class SlimDwsBlock(SlimOperation):
    """`DwsBlock` of any width."""

    def __init__(self, features: int) -> None:
        super().__init__()
        inner = EXPANSION * features
        self.expand = _convolution(features, inner, 1)
        self.depthwise = _convolution(inner, inner, 3, groups=inner)
        self.project = _convolution(inner, features, 1)
        self.skip = _convolution(features, features, 1)

    def forward(self, x: Tensor, width: int) -> Tensor:
        inner = _relu(_convolve_sliced(self.expand, x, EXPANSION * x.shape[1]))
        # Depthwise filters have one input channel each: only the output side is sliced.
        filters = self.depthwise.weight[: inner.shape[1]]
        inner = _relu(F.conv2d(inner, filters, padding=1, groups=inner.shape[1]))
        return _relu(
            _convolve_sliced(self.project, inner, width) + _skip_sliced(self.skip, x, width)
        )


def _convolve_sliced(convolution: nn.Conv2d, x: Tensor, width: int) -> Tensor:
    weight = convolution.weight[:width, : x.shape[1]]
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


def _skip_sliced(convolution: nn.Conv2d, x: Tensor, width: int) -> Tensor:
    # As in the derived network, where equal widths need no convolution.
    return x if x.shape[1] == width else _convolve_sliced(convolution, x, width)


@frozen
class Operation:
    """Both forms of an operation; their weights have the same names."""

    plain: type[Conv1x1 | Conv3x3 | ResBlock | DwsBlock]
    slimmable: type[SlimConv1x1 | SlimConv3x3 | SlimResBlock | SlimDwsBlock]


OPERATIONS: Mapping[str, Operation] = {
    "conv1": Operation(Conv1x1, SlimConv1x1),
    "conv3": Operation(Conv3x3, SlimConv3x3),
    "res": Operation(ResBlock, SlimResBlock),
    "dws": Operation(DwsBlock, SlimDwsBlock),
}
"""By name, in the paper's order."""


@cache
def operation_cost(operation: str, inputs: int, outputs: int) -> int:
    """Return mult-adds per pixel: every weight is used once, and there is no bias."""
    with torch.device("meta"):
        module = OPERATIONS[operation].plain(inputs, outputs)
    return sum(weight.numel() for weight in module.parameters())
