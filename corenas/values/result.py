"""Resumable work: the one idea that searches, trainings and comparisons share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

State = dict[str, Any]
"""Tensors, numbers, strings, dicts and lists: what ``torch.load(weights_only=True)`` accepts."""


@frozen
class Result:
    """What a task hands over: JSON values, and the names of files in the folder it was given."""

    values: Mapping[str, Any]
    files: Mapping[str, str] = field(factory=dict)


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return values for JSON, which has no infinity: equal images have a PSNR of null there."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
