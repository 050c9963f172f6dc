"""A search space of curves: a constant, and for each of six functions whether it is added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from corenas import Architecture, Decision, InputError, NoOptions, check_choices, nearest
from torch import Tensor, nn

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "cos": torch.cos,
    "exp": torch.exp,
    "sin": torch.sin,
    "square": torch.square,
    "tanh": torch.tanh,
}


class Curve(nn.Module):
    """w0 + w1 f1(x) + w2 f2(x) + ..."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.weights = nn.Parameter(torch.zeros(1 + len(self.names)))

    def terms(self, x: Tensor) -> Tensor:
        """From shape (N,) to one column per weight, shape (N, 1 + functions)."""
        columns = [FUNCTIONS[name](x) for name in self.names]
        return torch.stack([torch.ones_like(x), *columns], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.terms(x) @ self.weights


class CurveSpace:
    name = "curves"
    decisions = tuple(Decision(name, ("without", "with")) for name in FUNCTIONS)

    @property
    def known(self) -> Mapping[str, Architecture]:
        return {"curves/parabola": self.parse("1 + square")}

    def build(self, architecture: Architecture) -> Curve:
        return Curve(self.names(architecture))

    def names(self, architecture: Architecture) -> tuple[str, ...]:
        return tuple(name for name in FUNCTIONS if architecture[name] == "with")

    def check(self, architecture: Architecture) -> str:
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        return self.decisions

    def canonical(self, architecture: Architecture) -> Architecture:
        return self._with(self.names(architecture))

    def parse(self, value: Any) -> Architecture:
        first, *names = str(value).split(" + ")
        if first != "1":
            raise InputError(f"expected a sum such as '1 + sin + square', got {value!r}")
        for name in names:
            if name not in FUNCTIONS:
                raise InputError(f"unknown function {name!r}{nearest(name, FUNCTIONS)}")
        return self._with(names)

    def format(self, architecture: Architecture) -> str:
        return " + ".join(["1", *self.names(architecture)])

    def _with(self, names: Sequence[str]) -> Architecture:
        choices = {name: "with" if name in names else "without" for name in FUNCTIONS}
        return Architecture(self.name, choices)


def curves(config: NoOptions) -> CurveSpace:
    return CurveSpace()
