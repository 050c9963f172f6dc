"""A network before its training: seeded weights, and weights carried over from another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed, leaving torch's global random state as it was."""
    # Without devices: initial weights are drawn on the CPU, and so are the same on every machine.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def carry_over(source: nn.Module, target: nn.Module) -> Mapping[str, Tensor]:
    """Copy every tensor of ``source`` that has its name and shape in ``target``.

    This is how a x4 network starts from the x2 one: its second upsampler stays fresh.

    Returns:
        What was copied, by name.
    """
    ours = target.state_dict()
    theirs = source.state_dict().items()
    fitting = {name: t for name, t in theirs if name in ours and ours[name].shape == t.shape}
    target.load_state_dict(fitting, strict=False)
    return fitting
