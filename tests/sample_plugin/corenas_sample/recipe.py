"""A recipe: plain Python over a run."""

from __future__ import annotations

from typing import Any

from corenas import NothingYet, Run

from corenas_sample.config import FitCurveConfig


def fit_curve(run: Run, config: FitCurveConfig) -> dict[str, Any]:
    found = run.search("search", config.search, data=config.data)
    if found.chosen is None:
        raise NothingYet("stopped before the first curve was fitted")
    space = config.search.space.build()
    return {"curve": space.format(found.chosen), "score": found.trials[0].score}
