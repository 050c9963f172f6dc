"""Networks' weights apart from training: seeded, carried over from another, between two others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy

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


def interpolated(first: nn.Module, second: nn.Module, share: float) -> nn.Module:
    """Return a network between two of the same kind (Wang et al., arXiv:1809.00219, Eq. 4).

    Its tensors are ``(1 - share) * first + share * second``; those without fractions, such as
    counters, are those of ``second``. Both networks are left as they are.

    Args:
        first: What a share of 0 is.
        second: What a share of 1 is.
        share: In [0, 1].

    Raises:
        ValueError: The names or shapes of their tensors differ, or the share is another number.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share is {share}, expected a number from 0 to 1")
    ours, theirs = first.state_dict(), second.state_dict()
    if {n: t.shape for n, t in ours.items()} != {n: t.shape for n, t in theirs.items()}:
        raise ValueError("the networks have tensors of other names or shapes")
    between = deepcopy(second)
    between.load_state_dict(
        {
            name: torch.lerp(ours[name].to(tensor), tensor, share)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in theirs.items()
        }
    )
    return between
