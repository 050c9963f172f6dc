"""Options of the space; this module imports no torch."""

from __future__ import annotations

from attrs import frozen
from corenas import option


@frozen
class Options:
    """Options of the space. The bounds keep a stranger's model file from asking for too much."""

    scale: int = option(2, "up-scaling factor", ge=2, le=4)
    blocks: int = option(4, "residual blocks that a network has at most", ge=1, le=16)
