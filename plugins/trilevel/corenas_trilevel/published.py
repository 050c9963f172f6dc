"""The architectures that the paper prints, in the form that a person writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _cell(text: str) -> list[list[Any]]:
    """Read pairs such as ``conv1 64``, separated by commas."""
    pairs = (pair.split() for pair in text.split(","))
    return [[name, int(width)] for name, width in pairs]


PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "trilevel-a/table-1": {
        "path": "000101",
        "cells": [
            _cell("conv1 64, conv3 24, conv1 24, conv1 24, conv3 64"),
            _cell("dws 32, dws 32, dws 64, conv3 24, res 64"),
            _cell("conv1 64, conv1 64, conv3 40, conv1 32, dws 64"),
            _cell("conv3 24, conv3 64, conv1 32, conv3 32, conv3 64"),
        ],
    },
    "trilevel-b/table-3": {
        "path": "000001",
        "cells": [
            _cell("conv1 32, conv1 24, dws 64, dws 24, conv1 64"),
            _cell("dws 32, res 40, dws 56, conv3 40, conv3 64"),
            _cell("conv3 64, conv1 64, conv3 24, conv1 32, dws 64"),
            _cell("dws 64, dws 56, conv3 24, conv3 24, dws 64"),
            _cell("dws 32, conv3 64, conv3 64, conv3 24, conv3 64"),
        ],
    },
}
"""By the name of the space and of the table."""
