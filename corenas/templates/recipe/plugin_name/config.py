"""Options of the recipe; this module imports no torch."""

from __future__ import annotations

from attrs import frozen
from corenas import SearchConfig, section
from corenas_sr.config import DataConfig


@frozen
class Options:
    """Options of the recipe."""

    data: DataConfig = section(DataConfig, "images")
    search: SearchConfig = section(
        SearchConfig,
        "the search",
        steps=40,
        space="tiny",
        strategy={"use": "evolution", "population": 16, "tournament": 4},
        evaluator={"use": "sr-training", "training": {"steps": 500}},
    )
