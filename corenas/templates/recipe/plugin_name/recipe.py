"""The recipe: plain Python over a run. What is done already is not done again after a resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenas import NothingYet, Run, StagePlan, check_search, plan_search
from corenas.drawing.plots import pareto_plot, search_plot

from plugin_name.config import Options


def run(run: Run, config: Options) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    check_search("search", config.search, data=config.data)
    found = run.search("search", config.search, data=config.data)
    if found.chosen is None:
        raise NothingYet("stopped before the first candidate was measured: nothing to hand over")
    trials = run.trials("search")
    quantities = {each.name: each for each in found.quantities}
    search_plot(run.images / "search.png", trials, quantities)
    pareto_plot(run.images / "pareto.png", trials, quantities)
    space = config.search.space.build()
    measured = dict(found.measurement.metrics) if found.measurement else {}
    return {
        "architecture": {"id": found.chosen.id, "cell": space.format(found.chosen)},
        "measured": measured,
        "counts": dict(found.counts),
    }


def check(config: Options, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check everything and estimate each stage, for ``--dry-run``."""
    check_search("search", config.search, data=config.data)
    plan = plan_search("search", config.search, data=config.data, devices=devices, workers=workers)
    return [plan]
