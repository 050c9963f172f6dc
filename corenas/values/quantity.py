"""What is known of a measured number: its good direction, its unit, how exactly it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

from attrs import frozen

Better = Literal["higher", "lower", "neither"]
"""The good direction; ``neither`` is for a number that is worth watching and no aim."""

LARGEST = 1e100
"""Up to here, squares, sums and differences of numbers stay finite."""


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value out of a file is a number to compute with.

    It is finite, and in size at most `LARGEST`; JSON of Python has others, as whole numbers of any
    length. True and false are none.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


@frozen
class Quantity:
    """The description of a number that evaluators measure, be it a metric or a cost.

    ``unit`` is empty for a pure number; ``protocol`` says how exactly it is measured, such as on
    which images; ``summary`` is its meaning as a phrase.
    """

    name: str
    better: Better
    unit: str = ""
    protocol: str = ""
    summary: str = ""

    @property
    def sign(self) -> int:
        """1 when higher is better, -1 when lower is, 0 when neither is."""
        return {"higher": 1, "lower": -1, "neither": 0}[self.better]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that are empty."""
        fields = {name: getattr(self, name) for name in ("unit", "protocol", "summary")}
        return {"name": self.name, "better": self.better, **{k: v for k, v in fields.items() if v}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Quantity:
        """Read what `to_json` wrote."""
        return cls(**value)


MULT_ADDS = Quantity("mult_adds", "lower", summary="multiply-adds of one forward pass")
"""A network's mult-adds, counted as `corenas.cost` does."""

PARAMS = Quantity("params", "lower", summary="trainable parameters")
"""How many trainable numbers a network has."""

LATENCY = Quantity("latency", "lower", "s", summary="time of one forward pass")
"""How long a network takes, in seconds, on the device where it is measured."""
