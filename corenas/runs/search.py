"""A search as a stage of a run, with an executor's workers for as long as it takes."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from corenas.options.structuring import Chosen
from corenas.protocols import Budget, Evaluator, Objective, Problem, SearchSpace, Strategy
from corenas.runs.run import Run
from corenas.values.result import Result


def search_stage(
    run: Run,
    name: str,
    strategy: Strategy,
    *,
    space: SearchSpace,
    evaluator: Evaluator,
    objective: Objective,
    executor: Chosen,
    budget: Budget,
    seed: int,
    data: Any = None,
    folder: str = "",
) -> Result:
    """Search as the stage ``name``; return what `Run.stage` does.

    Args:
        run: Gives the workers and devices, and stops the search.
        name: The stage's.
        strategy: How it is searched.
        space: What is searched.
        evaluator: How candidates are measured.
        objective: What makes one better than another.
        executor: Where candidates are trained; built here, and closed at the end.
        budget: How much a sampling search may spend.
        seed: What the search's random numbers derive from.
        data: Where images come from, for strategies that train something themselves.
        folder: The one below `Run.models` that its files go to; `Run.models` by default.
    """
    with closing(executor.build(run.stop, workers=run.workers, devices=run.devices)) as pool:
        problem = Problem(space, evaluator, objective, pool, budget, seed, data, run.device)
        return run.stage(name, strategy.search(problem), folder=folder)
