"""3x3 convolutions that train as several branches and are one convolution everywhere else.

The branches are added up as kernels, not as feature maps: a step then computes one merged kernel
and one convolution (structural re-parameterisation: Ding et al., arXiv:2101.03697, and the branches
of 1x1 and 3x3 kernels in a row of Zhang et al., ECBSR, ACM Multimedia 2021).
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from corenas_sr.models.kernels import plain_copy

_WEIGHT = "weight"


class Branches(nn.Module):
    """A kernel W = K + pad(P) + C.M.A, of which K is the parametrised tensor itself.

    P is a 1x1 kernel, and C.M.A the product of a 1x1, a 3x3 and a 1x1 kernel. All have the shape of
    a fresh convolution's weights. Their biases are left out: a bias before the 3x3 kernel would
    have to be padded with, and the last one's is the convolution's own.

    Args:
        weight: The kernel as it is, shape (O, I, 3, 3).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        outputs, inputs = weight.shape[:2]
        self.point = _fresh(weight, outputs, inputs, 1)
        self.before = _fresh(weight, inputs, inputs, 1)
        self.middle = _fresh(weight, inputs, inputs, 3)
        self.after = _fresh(weight, outputs, inputs, 1)

    def forward(self, kernel: Tensor) -> Tensor:
        """Return the merged kernel, shape (O, I, 3, 3)."""
        return kernel + self._others()

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the K with which the branches merge to ``weight``.

        So a network computes the same before and after it was re-parameterised.
        """
        with torch.no_grad():
            return weight - self._others()

    def _others(self) -> Tensor:
        """Return pad(P) + C.M.A: sum over m, n of C[o, m] M[m, n, h, w] A[n, i]."""
        after, before = self.after[:, :, 0, 0], self.before[:, :, 0, 0]
        # As two products of matrices, in the order (o, h, w, i) that channels-last memory has: a
        # third of the time of einsum.
        middle = self.middle.permute(0, 2, 3, 1).flatten(1)
        outputs, inputs = after.shape[0], before.shape[1]
        product = (after @ middle).view(outputs, 9, -1) @ before
        product = product + F.pad(self.point[:, :, 0, 0].unsqueeze(1), (0, 0, 4, 4))
        return product.view(outputs, 3, 3, inputs).permute(0, 3, 1, 2)


def _fresh(like: Tensor, outputs: int, inputs: int, side: int) -> nn.Parameter:
    convolution = nn.Conv2d(inputs, outputs, side, bias=False, device=like.device, dtype=like.dtype)
    return nn.Parameter(convolution.weight.detach())


def reparameterise(network: nn.Module) -> int:
    """Let every dense 3x3 convolution of a network train as branches, in place.

    What the network computes does not change. The branches are drawn from torch's global random
    state.

    Returns:
        How many convolutions there are.
    """
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d) and _is_dense_3x3(m)]
    for convolution in convolutions:
        branches = Branches(convolution.weight)
        parametrize.register_parametrization(convolution, _WEIGHT, branches)
    return len(convolutions)


def is_reparameterised(network: nn.Module) -> bool:
    """Return whether any convolution of a network consists of branches."""
    return any(map(_has_branches, network.modules()))


def folded(network: nn.Module) -> nn.Module:
    """Return a copy in which every re-parameterised convolution is a plain one."""
    if isinstance(network, nn.Conv2d) and _has_branches(network):
        return _merged(network)
    copy = deepcopy(network)
    for path, child in list(copy.named_modules()):
        if isinstance(child, nn.Conv2d) and _has_branches(child):
            parent, _, name = path.rpartition(".")
            setattr(copy.get_submodule(parent), name, _merged(child))
    return copy


def as_shipped(network: nn.Module) -> nn.Module:
    """Return a copy as a network ships: plain convolutions, torch's own modules, for evaluation."""
    return plain_copy(folded(network)).eval().requires_grad_(False)


def _merged(convolution: nn.Conv2d) -> nn.Conv2d:
    # Not remove_parametrizations: a copy shares its class with the original, which it would break.
    with torch.device("meta"):
        plain = nn.Conv2d(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,  # type: ignore[arg-type]  # torch says tuple[int, ...]
            convolution.stride,  # type: ignore[arg-type]
            convolution.padding,  # type: ignore[arg-type]
            convolution.dilation,  # type: ignore[arg-type]
            padding_mode=convolution.padding_mode,
        )
    bias = convolution.bias
    plain.weight = nn.Parameter(convolution.weight.detach().clone())
    plain.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return plain.train(convolution.training)


def _is_dense_3x3(convolution: nn.Conv2d) -> bool:
    dense = convolution.kernel_size == (3, 3) and convolution.groups == 1
    return dense and not parametrize.is_parametrized(convolution, _WEIGHT)


def _has_branches(module: nn.Module) -> bool:
    if not parametrize.is_parametrized(module, _WEIGHT):
        return False
    return isinstance(module.parametrizations[_WEIGHT][0], Branches)  # type: ignore[index]
