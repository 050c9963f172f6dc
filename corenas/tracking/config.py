"""Options of the tracker ``csv``."""

from __future__ import annotations

from attrs import frozen

from corenas.options.structuring import option


@frozen
class TablesConfig:
    """Options of the tracker ``csv``."""

    separator: str = option(",", "what stands between columns", choices=(",", ";", "\t", "|"))
