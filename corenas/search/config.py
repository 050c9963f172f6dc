"""Options of a search; every recipe that searches has a section of them."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.options.structuring import Chosen, component, option


@frozen
class SearchConfig:
    """What is searched, how, and how long.

    A recipe names its space and evaluator in `corenas.section`, and whatever else it wants other
    defaults for: ``search: SearchConfig = section(SearchConfig, "the search", space="cells",
    evaluator="accuracy", steps=100)``.
    """

    steps: int = option(100, "new candidates that a sampling strategy trains", ge=1)
    space: Chosen = component("search_spaces", "", "what is searched")
    strategy: Chosen = component("strategies", "random", "how candidates are chosen")
    evaluator: Chosen = component("evaluators", "", "how a candidate is measured")
    objective: Chosen = component("objectives", "metric", "what makes one better than another")
    executor: Chosen = component("executors", "processes", "where candidates are trained")
    duplicates: Literal["evaluate", "remember"] = option(
        "evaluate",
        "whether a candidate that was measured before, with as much training, is measured again or "
        "has the same numbers at once",
    )
    rejections: int = option(1000, "give up after so many rejections in a row", ge=1)
    failures: int = option(10, "give up after so many failures in a row", ge=1)
