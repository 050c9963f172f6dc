"""Options chosen at random, as one-hot rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gumbel_one_hot(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw one option per row, each with softmax's chance (Jang et al., arXiv:1611.01144).

    Args:
        logits: Shape (..., K).
        temperature: Of the softmax whose gradient the result has.
        generator: On the CPU, so that draws are the same on every device.

    Returns:
        Exactly one 1 per row, and zeros, same shape.
    """
    # Minus the logarithm of exponential noise is Gumbel noise.
    exponential = torch.empty(logits.shape).exponential_(generator=generator)
    noisy = (logits - exponential.log().to(logits.device)) / temperature
    soft = torch.softmax(noisy, dim=-1)
    hard = F.one_hot(soft.argmax(-1), logits.shape[-1])
    # Straight-through: the value is one-hot, the gradient is that of the softmax.
    return hard + (soft - soft.detach())


def uniform_one_hot(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one option per row, each with the same chance; same shape as ``like``, no gradient."""
    index = torch.randint(like.shape[-1], like.shape[:-1], generator=generator)
    return F.one_hot(index, like.shape[-1]).to(like)
