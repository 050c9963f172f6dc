"""The recipe ``trilevel``: search, train the network found, hand over."""

from __future__ import annotations

from functools import partial
from typing import Any

from corenas import NothingYet, Run
from corenas.supernets.one_shot import check_found
from corenas_sr.data.preflight import check_run_data
from corenas_sr.results.report import hand_over
from corenas_trilevel._checks import check_options
from corenas_trilevel._final_training import train
from corenas_trilevel._report import draw_search, report_costs, report_published
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.teacher.config import GROUND_TRUTH
from corenas_trilevel.teacher.images import Teaching

INHERITED = "inherited"
"""Purpose under which a one-shot search returns the network found with its supernet's weights."""


def trilevel(run: Run, config: TrilevelConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    check_options(config, check_images=partial(check_run_data, run))
    run.say(f"teacher: {config.teacher.description}")
    _teach(run, config)
    found = run.search("search", config.taught_search, data=config.data)
    if found.chosen is None:
        raise NothingYet("stopped before the search had anything to hand over")
    if not run.stopping():
        check_found(found, config.taught_search, data=config.data, where="search")
    architecture = found.chosen
    space = config.search.space.build()
    costs = report_costs(run, space, architecture)
    pareto = draw_search(run, found, space)
    # A sampler has no supernet, so its candidate has no weights to inherit.
    inherited = run.file(found, INHERITED) if INHERITED in found.files else None
    models = train(run, config, architecture, inherited)
    summary: dict[str, Any] = {
        "architecture": {"id": architecture.id, **space.format(architecture)},
        "search": {
            "counts": dict(found.counts),
            "chosen": {
                "architecture": architecture.to_json(),
                **(found.measurement.to_json() if found.measurement else {}),
            },
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


def _teach(run: Run, config: TrilevelConfig) -> None:
    """Let a teacher that is a model make its images now: as a stage, it can be stopped anywhere."""
    if config.teacher.source == GROUND_TRUTH:
        return
    if not config.teaches_supernet:
        learners = "the supernet learns" if config.is_one_shot else "candidates learn"
        run.say(f"{learners} from the ground truth; only the network found has the teacher")
    scale = config.search.space.config.scale
    task = Teaching(config.data.train, config.teacher, scale=scale, device=run.device)
    run.stage("teach", task)
