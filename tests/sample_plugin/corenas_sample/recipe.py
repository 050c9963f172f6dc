"""A recipe: plain Python over a run."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from corenas import Budget, NothingYet, Problem, Run, Trial

from corenas_sample.config import FitCurveConfig


def fit_curve(run: Run, config: FitCurveConfig) -> dict[str, Any]:
    space = config.space.build()
    evaluator = config.evaluator.build(space, config.data)
    objective = config.objective.build()
    with closing(
        config.executor.build(run.stop, workers=run.workers, devices=run.devices)
    ) as executor:
        problem = Problem(space, evaluator, objective, executor, Budget(config.steps), run.seed)
        result = run.stage("search", config.strategy.build().search(problem))
    if not result.values["best"]:
        raise NothingYet("stopped before the first curve was fitted")
    best = Trial.from_json(result.values["best"][0])
    return {"curve": space.format(best.architecture), "score": best.score}
