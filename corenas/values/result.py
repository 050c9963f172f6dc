"""Resumable work: the one idea that searches, trainings and comparisons share."""

from __future__ import annotations

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
