"""Options of the operation; this module imports no torch."""

from __future__ import annotations

from attrs import frozen
from corenas import option


@frozen
class Options:
    """Options of the operation."""

    kernel: int = option(3, "side of the depthwise kernel, an odd number", choices=(3, 5, 7))
