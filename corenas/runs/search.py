"""The one way to search: from the options to a stage of a run, checked and estimated before."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.names import nearest
from corenas.options.structuring import Chosen
from corenas.protocols import Budget, Evaluator, Objective, Problem, SearchSpace, Strategy
from corenas.search.config import SearchConfig
from corenas.search.objectives import NotMeasured
from corenas.search.rungs.agreement import agreements
from corenas.stopping import Stop
from corenas.values.plan import StagePlan
from corenas.values.search_result import SearchResult
from corenas.values.trial import Trial

if TYPE_CHECKING:
    from corenas.runs.run import Run


@frozen
class Parts:
    """The components of a search, built; a recipe may have others than the options name."""

    space: SearchSpace
    strategy: Strategy
    evaluator: Evaluator
    objective: Objective


def parts_of(config: SearchConfig, data: Any, *, where: str = "search") -> Parts:
    """Build what a search is made of.

    Args:
        config: Names the components.
        data: Where examples come from, which the evaluator is given.
        where: The section of the options, for messages.

    Raises:
        ConfigError: The objective needs what the evaluator does not measure.
    """
    space = config.space.build()
    evaluator = _build_evaluator(config, space, data, where)
    objective = _build_objective(config, evaluator, where)
    return Parts(space, config.strategy.build(), evaluator, objective)


def _build_evaluator(config: SearchConfig, space: SearchSpace, data: Any, where: str) -> Evaluator:
    try:
        evaluator: Evaluator = config.evaluator.build(space, data)
    except ConfigError as error:
        raise _locate(f"{where}.evaluator", config.evaluator, error) from error
    return evaluator


def _locate(where: str, chosen: Chosen, error: ConfigError) -> ConfigError:
    """Return an error with its dotted path, where its message begins with an option's name."""
    option = str(error).partition(":")[0].partition(".")[0]
    # So ``search.objective.limit: ...`` is a path that ``--set`` takes.
    join = ": " if chosen.option(option) is None else "."
    return ConfigError(f"{where}{join}{error}")


def _build_objective(config: SearchConfig, evaluator: Evaluator, where: str) -> Objective:
    measures, chosen = evaluator.measures, config.objective
    allowed: Iterable[str] = measures
    try:
        objective: Objective = chosen.build(measures)
        missing = [name for name in objective.needs if name not in measures]
    except NotMeasured as error:
        missing, allowed = [error.name], error.allowed
    except ConfigError as error:
        raise _locate(f"{where}.objective", chosen, error) from error
    if not missing:
        return objective
    name = missing[0]
    advice = evaluator.advice(name)
    # A shell would take the double quotes away.
    quote = "'" if '"' in advice else ""
    how = f"; with --set {quote}{where}.{advice}{quote} it does" if advice else ""
    raise ConfigError(
        f"{where}.objective: {chosen.name!r} needs {name!r}, which {where}.evaluator does not "
        f"measure{nearest(name, allowed)}{how}"
    )


@contextmanager
def _make_problem(
    config: SearchConfig,
    parts: Parts,
    *,
    stop: Stop,
    workers: int,
    devices: Sequence[str],
    seed: int,
    data: Any,
    where: str,
    asked: int | None = 1,
    folder: Path | None = None,
    past: Callable[[], Iterable[Trial]] = tuple,
) -> Iterator[Problem]:
    remember = config.duplicates == "remember"
    if remember and parts.evaluator.from_scratch() is not parts.evaluator:
        raise ConfigError(
            f"{where}.duplicates: 'remember' is for evaluators whose jobs learn nothing from each "
            "other; here a candidate that comes again would start from better weights"
        )
    with closing(config.executor.build(stop, workers=asked, devices=devices)) as executor:
        yield Problem(
            parts.space,
            parts.evaluator,
            parts.objective,
            executor,
            Budget(config.steps, config.rejections, config.failures),
            seed,
            data,
            devices[0],
            workers,
            folder,
            remember,
            past,
        )


def search(
    run: Run,
    name: str,
    config: SearchConfig,
    *,
    data: Any = None,
    seed: int | None = None,
    change: Callable[[Parts], Parts] = lambda parts: parts,
    seconds: float | None = None,
) -> SearchResult:
    """Search as the stage ``name``; see `corenas.Run.search`."""
    parts = change(parts_of(config, data, where=name))
    states = run.folder / "checkpoints" / f"{name}.states"
    run.decisions[name] = parts.space.decisions
    with _make_problem(
        config,
        parts,
        stop=run.stop,
        workers=run.workers,
        asked=run.asked_workers,
        devices=run.devices,
        seed=run.seed_for(name) if seed is None else seed,
        data=data,
        where=name,
        folder=states,
        past=lambda: run.trials(name),
    ) as problem:
        if name not in run.seconds:  # a finished one needs no worker
            problem.executor.check(run.files)
        run.where = problem.executor.where
        task = parts.strategy.search(problem)
        # Each search has a folder of its own: what one writes, the next one must not replace.
        result = run.stage(name, task, quantities=task.quantities, folder=name, seconds=seconds)
    found = SearchResult.from_result(result)
    if not run.stopped:
        # Only now: until the stage's record is written, it may have to go on.
        shutil.rmtree(states, ignore_errors=True)
        if found.counts.get("promoted"):
            for agreement in agreements(run.trials(name)):
                run.say(f"{name}: {agreement}")
    return found


def check_search(where: str, config: SearchConfig, *, data: Any = None) -> None:
    """Refuse now what would fail only after hours.

    Args:
        where: The section of the options, with which messages begin.
        config: The options.
        data: Where examples come from.

    Raises:
        CorenasError: Objective, evaluator, strategy or data cannot be used.
    """
    parts = parts_of(config, data, where=where)
    with _make_problem(
        config, parts, stop=Stop(), workers=1, devices=("cpu",), seed=0, data=data, where=where
    ) as problem:
        parts.strategy.check(problem)


def plan_search(
    stage: str, config: SearchConfig, *, data: Any, devices: Sequence[str], workers: int
) -> StagePlan:
    """Estimate a search from a few steps, for a dry run.

    Args:
        stage: The name that the stage will have.
        config: The options.
        data: Where examples come from.
        devices: torch devices.
        workers: How many candidates will be trained at once.
    """
    parts = parts_of(config, data, where=stage)
    with _make_problem(
        config,
        parts,
        stop=Stop(),
        workers=workers,
        devices=devices,
        seed=0,
        data=data,
        where=stage,
    ) as problem:
        plan = parts.strategy.plan(problem)
    if plan is None:
        return StagePlan(stage, 0, 0.0, note="its evaluator knows no estimate")
    return evolve(plan, stage=stage)
