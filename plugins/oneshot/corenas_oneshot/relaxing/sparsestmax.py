"""Sparsestmax and its relatives: from logits to weights on the simplex, sparse ones at the end.

Sparsestmax is from Shao et al., "SSN: Learning Sparse Switchable Normalization via SparsestMax"
(CVPR 2019). Where the sphere is reached the result is ``sparsemax(s * logits)`` for one s >= 1,
because a linear objective over ball and simplex is left; hence a closed form instead of recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

Center = Literal["simplex", "support"]

# At equal logits, with which every search begins, the direction would be 0 / 0.
TIE = 1e-6
"""Logits whose distance from their mean is below this are tied: they have no direction."""


def softmax(logits: Tensor) -> Tensor:
    """Return weights that are positive everywhere, along the last dimension."""
    return torch.softmax(logits, dim=-1)


def sparsemax(logits: Tensor) -> Tensor:
    """Return the Euclidean projection onto the simplex (Martins and Astudillo, 2016).

    Args:
        logits: Finite numbers, shape (..., K); each row on its own.

    Returns:
        Weights that sum to one, same shape.
    """
    return sparsestmax(logits, 0.0)


def sparsestmax(logits: Tensor, radius: float, *, center: Center = "simplex") -> Tensor:
    """Return the nearest point of the simplex that is at least ``radius`` from its center.

    A radius of 0 gives sparsemax; one of sqrt((K - 1) / K) or more gives the one-hot argmax.

    Args:
        logits: Finite numbers, shape (..., K); each row on its own.
        radius: The distance that every row keeps from the center.
        center: ``simplex`` keeps the distance from (1/K, ..., 1/K), which is the definition;
            ``support`` from the center of the face on which sparsemax lands, as the authors' code
            does: it becomes sparse earlier.

    Returns:
        Weights that sum to one, same shape.

    Raises:
        ValueError: The radius is negative or not a number, or the center is unknown.

    Note:
        Where the largest logits are tied there is no nearest point. They share the weight, though
        the result is then nearer to the center than ``radius``, and have sparsemax's gradient.
    """
    if not radius >= 0:
        raise ValueError(f"radius must be at least 0, got {radius}")
    if center not in ("simplex", "support"):
        raise ValueError(f"center must be 'simplex' or 'support', got {center!r}")
    weights: Tensor = _Sparsestmax.apply(logits, radius, center == "support")
    return weights


def radius_at(step: int, total: int) -> float:
    """Return the radius at ``step`` of a search of ``total`` steps: from 0, linearly, to 1."""
    return min(step / total, 1.0) if total > 0 else 1.0


NORMALIZERS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "sparsestmax": sparsestmax,
    "sparsestmax-support": partial(sparsestmax, center="support"),
    "sparsemax": lambda logits, radius: sparsemax(logits),
    "softmax": lambda logits, radius: softmax(logits),
}
"""Functions from logits and a radius to weights, by name; the last two ignore the radius."""


def _project(logits: Tensor, radius: float, in_support: bool) -> tuple[Tensor, Tensor]:
    """Return the weights, and the rows that lie on the sphere, shape (..., 1).

    With z sorted, the result on the m largest is ``1/m + r_m v_m / |v_m|`` where
    ``v_m = z - mean(z)`` and ``r_m^2 = r^2 - (1/m - 1/K)``; the largest m that makes it positive
    is the right one. A tie is the result as well, for any m, one logit alone being the last.
    """
    z, order = logits.sort(dim=-1, descending=True)
    # Shifted to a largest of 0: a common offset would cancel badly in the sums of squares below.
    z = z - z[..., :1]
    sizes = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
    sums = z.cumsum(-1)
    # Sparsemax, which is the result where it lies outside the sphere already.
    support = (1 + sizes * z > sums).sum(-1, keepdim=True).clamp(min=1)
    size = support.to(z.dtype)
    sparse = (z - (sums.gather(-1, support - 1) - 1) / size).clamp(min=0)

    # The sphere is in the space of all options, or in the face on which sparsemax lands.
    sphere = size if in_support else torch.full_like(size, z.shape[-1])
    center = torch.where(sizes <= sphere, 1 / sphere, 0)
    outside = torch.linalg.vector_norm(sparse - center, dim=-1, keepdim=True) >= radius

    # The closed form for every m at once; its smallest weight decides whether m fits.
    spread = (z.square().cumsum(-1) - sums.square() / sizes).clamp(min=0).sqrt()
    tied = spread < TIE
    reach = radius**2 - (1 / sizes - 1 / sphere)
    smallest = 1 / sizes + reach.clamp(min=0).sqrt() * (z - sums / sizes) / spread
    fits = (sizes <= size) & (tied | ((reach >= 0) & (smallest > 0)))
    chosen = (sizes * fits).argmax(-1, keepdim=True)

    # The weights of the chosen m.
    kept, count = sizes <= chosen + 1, sizes[chosen]
    shift = torch.where(kept, z - sums.gather(-1, chosen) / count, 0)
    norm = torch.linalg.vector_norm(shift, dim=-1, keepdim=True)
    tied, reach = tied.gather(-1, chosen), reach.gather(-1, chosen).clamp(min=0)
    length = torch.where(tied, 0, reach.sqrt() / norm)
    scaled = torch.where(kept, 1 / count + length * shift, 0).clamp(min=0)
    weights = torch.where(outside, sparse, scaled)
    return torch.zeros_like(logits).scatter(-1, order, weights), ~outside & ~tied


class _Sparsestmax(torch.autograd.Function):
    """Sparsestmax with its Jacobian: ``r_S / |Pz| (P - n n')`` on the sphere, P outside of it.

    S is the support, P the centring on it, ``n = Pz / |Pz|``, and ``r_S`` the distance of the
    weights from the center of S.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, radius: float, in_support: bool) -> Tensor:
        weights, on_sphere = _project(logits, radius, in_support)
        ctx.save_for_backward(logits, weights, on_sphere)
        return weights

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        logits, weights, on_sphere = ctx.saved_tensors
        support = weights > 0
        grad, z = _centre(grad, support), _centre(logits, support)
        norm = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
        direction = z / norm
        distance = torch.linalg.vector_norm(_centre(weights, support), dim=-1, keepdim=True)
        along = (grad * direction).sum(-1, keepdim=True) * direction
        return torch.where(on_sphere, distance / norm * (grad - along), grad), None, None


def _centre(values: Tensor, support: Tensor) -> Tensor:
    values = torch.where(support, values, 0)
    mean = values.sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
    return torch.where(support, values - mean, 0)
