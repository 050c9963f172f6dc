"""PReLU and depthwise convolution with backward passes that are fast on CPUs.

torch's own backward of these two takes a large part of a tiny network's training step there; see
``docs/performance.md``. Parameters, state-dict keys and results are those of ``nn.PReLU`` and
``nn.Conv2d``. Wherever the fast path does not apply (another device, several slopes, half
precision, autocast, ``torch.func``, ``torch.compile``, tracing) the modules are torch's own.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight


class PReLU(nn.PReLU):
    """``nn.PReLU`` whose single slope trains several times faster on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` where it is positive and ``slope * x`` elsewhere; same shape."""
        if self.num_parameters == 1 and _fast_path_applies(x, self.weight):
            y: Tensor = _SingleSlopePReLU.apply(x, self.weight)
            return y
        return super().forward(x)


class DepthwiseConv2d(nn.Conv2d):
    """One filter of odd size per channel, at stride 1, with zero padding that keeps the size.

    Raises:
        ValueError: The kernel size is even or not positive.
    """

    def __init__(self, channels: int, kernel_size: int, *, bias: bool = True) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
        super().__init__(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered channels of ``x``, shape (N, C, H, W) as given."""
        weight = self.weight  # read once: a parametrisation computes it each time it is read
        if x.dim() == 4 and x.numel() and _fast_path_applies(x, weight):
            y: Tensor = _Depthwise.apply(x, weight, self.bias)
        else:
            y = self._conv_forward(x, weight, self.bias)
        return y


def plain_copy(module: nn.Module) -> nn.Module:
    """Return a copy in which `PReLU` and `DepthwiseConv2d` are torch's own modules.

    It holds the same numbers under the same keys: for comparisons, and for tools that know only
    torch's modules.
    """
    copy = deepcopy(module)
    if isinstance(copy, PReLU | DepthwiseConv2d):
        return _plain(copy)
    for path, child in list(copy.named_modules(remove_duplicate=False)):
        if isinstance(child, PReLU | DepthwiseConv2d):
            parent, _, name = path.rpartition(".")
            setattr(copy.get_submodule(parent), name, _plain(child))
    return copy


def _plain(module: PReLU | DepthwiseConv2d) -> nn.Module:
    plain: nn.PReLU | nn.Conv2d
    with torch.device("meta"):
        if isinstance(module, PReLU):
            plain = nn.PReLU(module.num_parameters)
        else:
            channels, size = module.in_channels, module.kernel_size[0]
            plain = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels)
            plain.bias = module.bias
    plain.weight = module.weight
    return plain.train(module.training)


def _fast_path_applies(x: Tensor, weight: Tensor) -> bool:
    # On a GPU, reading the slope as a Python number would wait for the device in every layer.
    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and type(x) in (Tensor, nn.Parameter)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch._C._is_tracing()  # it would freeze the slope's value into the trace
        and not torch._C._are_functorch_transforms_active()
    )


class _SingleSlopePReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.leaky_relu(x, slope.item())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, slope = ctx.saved_tensors
        needs_x, needs_slope = ctx.needs_input_grad
        grad_x = grad_slope = None
        # Gradients are enabled here only for a second derivative, which needs torch's operators.
        if torch.is_grad_enabled():
            grad_x = torch.where(x > 0, grad, slope * grad)
            return grad_x, (grad * x.clamp(max=0)).sum().view_as(slope)
        if needs_x:
            grad_x = torch.ops.aten.leaky_relu_backward(grad, x, slope.item(), False)
        if needs_slope:
            grad_slope = x.clamp(max=0).mul_(grad).sum().view_as(slope)
        return grad_x, grad_slope


class _Depthwise(torch.autograd.Function):
    """Its backward consists of forward convolutions, so it can be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _depthwise(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            _depthwise(grad, weight.flip(2, 3)) if needs_x else None,
            _depthwise_weight_gradient(x, grad, weight) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
        )


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=weight.shape[0])


def _depthwise_weight_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    (batch, channels, height, width), size = x.shape, weight.shape[-1]
    if size <= 3:  # torch's own is faster up to here
        gradient: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]  # torch lacks the types
            x, weight.shape, grad, padding=size // 2, groups=channels
        )
        return gradient
    # One convolution with a group per channel of each image, whose filter is the output's gradient:
    # torch's own backward of large depthwise kernels takes several times as long.
    images = x.contiguous().view(1, batch * channels, height, width)
    filters = grad.contiguous().view(batch * channels, 1, height, width)
    products = F.conv2d(images, filters, padding=size // 2, groups=batch * channels)
    return products.view(batch, channels, 1, size, size).sum(0)
