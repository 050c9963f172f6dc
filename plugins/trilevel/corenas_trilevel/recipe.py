"""The recipe ``trilevel``: search, train the network found, hand over."""

from __future__ import annotations

from typing import Any

from corenas import Budget, NothingYet, Result, Run, Trial, search_stage
from corenas_sr.results.report import hand_over
from corenas_trilevel.checks import check
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.final_training import train
from corenas_trilevel.report import draw_search, report_costs, report_published
from corenas_trilevel.supernet.config import TrilevelStrategyConfig
from corenas_trilevel.teacher.config import GROUND_TRUTH

INHERITED = "inherited"
"""What a search calls the file of the network found, with the weights that it has there."""


def trilevel(run: Run, config: TrilevelConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    check(config)
    run.say(f"teacher: {config.teacher.description}")
    searched = _search(run, config)
    ranking = [Trial.from_json(value) for value in searched.values["best"]]
    if not ranking:
        raise NothingYet("stopped before the search had anything to hand over")
    architecture = ranking[0].architecture
    space = config.search.space.build()
    costs = report_costs(run, space, architecture)
    pareto = draw_search(run, space, architecture)
    file = searched.files.get(INHERITED)
    models = train(run, config, architecture, None if file is None else run.models / file)
    summary: dict[str, Any] = {
        "architecture": {"id": architecture.id, **space.format(architecture)},
        "search": {
            **{name: searched.values[name] for name in ("finished", "rejected", "failed")},
            "best": ranking[0].to_json(),
            "pareto": [trial.number for trial in pareto],
        },
        "teacher": {"source": config.teacher.source, "description": config.teacher.description},
        "costs": costs,
    }
    if not models:
        run.say("there is no model yet: only candidates were trained")
        return summary
    summary |= hand_over(run, models, data=config.data, metrics=config.metrics)
    return summary | report_published(run, config.published, summary)


def _search(run: Run, config: TrilevelConfig) -> Result:
    search = config.search
    one_shot = isinstance(search.strategy.config, TrilevelStrategyConfig)
    if not one_shot and config.teacher.source != GROUND_TRUTH:
        run.say("candidates learn from the ground truth; only the network found has the teacher")
    space = search.space.build()
    return search_stage(
        run,
        "search",
        config.strategy.build(),
        space=space,
        evaluator=search.evaluator.build(space, config.data),
        objective=search.objective.build(),
        executor=search.executor,
        budget=Budget(search.steps, search.rejections, search.failures),
        seed=run.seed,
        data=config.data,
    )
