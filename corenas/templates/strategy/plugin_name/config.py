"""Options of the strategy; this module imports no torch."""

from __future__ import annotations

from attrs import frozen
from corenas import option


@frozen
class Options:
    """Options of the strategy."""

    first: int = option(10, "candidates drawn at random before any is changed", ge=1)
    changes: int = option(1, "decisions of the best candidate that are drawn anew", ge=1)
