"""Weights that networks of different widths share: a narrower one uses the first channels."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def copy_slices(source: nn.Module, target: nn.Module) -> None:
    """Fill the target's tensors with the leading slices of the source's of the same name.

    Args:
        source: Has every parameter and buffer of the target, none of them smaller.
        target: Filled in place.
    """
    tensors = source.state_dict()
    for name, tensor in target.state_dict().items():
        tensor.copy_(tensors[name][tuple(slice(size) for size in tensor.shape)])
