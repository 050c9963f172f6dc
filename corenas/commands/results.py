"""``status`` and ``best``: what a run has done so far, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corenas.commands._pareto import print_fronts
from corenas.commands.output import Json, print_columns, print_json
from corenas.commands.runs import Folder
from corenas.errors import CorenasError, InputError
from corenas.names import printable

if TYPE_CHECKING:
    from corenas.show.progress import StageProgress
    from corenas.values.trial import Trial


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(status)
    app.command()(best)


def status(folder: Folder, as_json: Json = False) -> None:
    """Tell how far a run is."""
    from corenas.runs.identity import read_info
    from corenas.runs.launch import failure_of, state_of
    from corenas.runs.recovery import read_progress

    info = read_info(folder)
    path = folder / "journal.jsonl"
    found = read_progress(folder)
    stages = found.standing.stages
    state, failure = state_of(folder), failure_of(folder)
    # The journal names the workers of the last start, which end with it.
    where = dict(found.where) if state == "running" else {}
    value = {
        "folder": str(folder),
        "state": state,
        "error": failure,
        **{key: info[key] for key in ("recipe", "preset", "seed", "created")},
        "updated": _modification_time(path),
        "damage": found.damage,
        "stage": stages[-1].name if stages else "",
        "finished": state == "finished",
        "trials": sum(stage.counts["finished"] for stage in stages),
        "best": _best(stages),
        "workers": where,
        "stages": [_stage_to_json(stage) for stage in stages],
    }
    if as_json:
        print_json(value)
        return
    typer.echo(f"{info['recipe']} {info['preset']}".strip() + f": {state}")
    if failure:
        typer.echo(f"error: {printable(failure)}")
    if value["updated"]:
        typer.echo(f"last event: {value['updated']}")
    if found.damage:
        typer.echo(f"journal: {found.damage}")
    print_columns((_stage_row(stage) for stage in stages), indent="  ")
    if where:
        places = ", ".join(f"{count} on {printable(host)}" for host, count in where.items())
        typer.echo(f"workers: {places}")
    for line in _list_agreements(path, stages):
        typer.echo(line)
    if state in ("stopped", "failed"):
        typer.echo(f"continue with 'corenas resume {printable(str(folder))}'")


def _best(stages: Iterable[StageProgress]) -> dict[str, Any] | None:
    """Return the best trial of all stages."""
    from corenas.values.ranking import ranked

    best: list[Trial] = []
    for stage in stages:
        for trial in stage.best:
            best = ranked(best, trial, most=1)
    return best[0].to_json() if best else None


def _modification_time(path: Path) -> str:
    if not path.exists():
        return ""
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(timespec="seconds")


def _list_agreements(path: Path, stages: Iterable[StageProgress]) -> Iterator[str]:
    """Iterate over lines on how rungs agree, for each stage that has several."""
    from corenas.runs.journal import trial_numbers
    from corenas.search.rungs.agreement import agreements

    climbed = [stage.name for stage in stages if len(stage.rungs) > 1]
    if not climbed:
        return
    trials = [(stage, trial) for stage, trial, _ in trial_numbers(path)]
    for name in climbed:
        found = agreements(trial for stage, trial in trials if stage == name)
        yield from (f"{name}: {each}" for each in found)


def _stage_to_json(stage: StageProgress) -> dict[str, Any]:
    return {
        "name": stage.name,
        "step": stage.step,
        "total": stage.total,
        "finished": stage.finished,
        "trials": dict(stage.counts),
        "rungs": [
            {"fidelity": fidelity, "finished": stage.rungs[fidelity]}
            for fidelity in sorted(stage.rungs)
        ],
        "repeated": stage.repeated,
        "scalars": stage.scalars,
        "best": stage.best[0].to_json() if stage.best else None,
        "failure": stage.failure,
        "quantities": [quantity.to_json() for quantity in stage.quantities.values()],
    }


def _stage_row(stage: StageProgress) -> tuple[str, ...]:
    from corenas.show.progress import format_number

    counts = [f"{count} {what}" for count, what in stage.tally()]
    numbers = [f"{name} {format_number(value)}" for name, value in stage.scalars.items()]
    if stage.best:
        numbers.insert(0, f"best {format_number(stage.best[0].score)}")
    if stage.climbed():
        counts.append(f"({stage.climbed()})")
    done = "finished" if stage.finished else "open"
    return stage.name, stage.position(), done, ", ".join(counts + numbers)


def best(
    folder: Folder,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="All best compromises between metrics and costs.")
    ] = False,
    metrics: Annotated[
        str,
        typer.Option(help="Those of --pareto, such as psnr,params:lower; default: all measured."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Print a run's best architectures and models so far."""
    from corenas.runs.identity import read_info
    from corenas.runs.recovery import read_progress

    read_info(folder)
    progress = read_progress(folder)
    stages = progress.standing.stages
    if progress.damage:
        typer.echo(f"warning: journal: {progress.damage}", err=True)
    if metrics and not pareto:
        raise InputError("--metrics: needs --pareto")
    if pareto:
        print_fronts(folder, stages, metrics, as_json=as_json)
        return
    found = _find_best_trials(stages) or _find_latest_architecture(stages)
    # A model file has a description beside it; a search's weights have none.
    files = (f.with_suffix(".safetensors") for f in folder.glob("models/*.json"))
    models = sorted(str(file) for file in files if file.exists())
    if not found and not models:
        raise CorenasError(f"{folder}: {_explain_no_result(stages)}")
    if as_json:
        print_json({"folder": str(folder), "architectures": found, "models": models})
        return
    for one in found:
        _print_found(one)
    for model in models:
        typer.echo(f"model: {model}")


def _find_best_trials(stages: Iterable[StageProgress]) -> list[dict[str, Any]]:
    return [{"stage": s.name, **s.best[0].to_json()} for s in stages if s.best]


def _find_latest_architecture(stages: Sequence[StageProgress]) -> list[dict[str, Any]]:
    """Return that of a one-shot search, whose latest epoch is its best.

    What a sampling search has only begun, rejected or failed to train, is no result.
    """
    latest = [stage.latest for stage in stages if stage.latest]
    return [event.to_json() for event in latest[-1:]]


def _print_found(found: dict[str, Any]) -> None:
    from corenas.show.progress import format_number
    from corenas.values.architecture import Architecture

    what = f"trial {found['number']}" if "number" in found else f"step {found['step']}"
    typer.echo(f"{found['stage']}, {what}: {Architecture.from_json(found['architecture']).id}")
    numbers = {"score": found.get("score"), **found.get("metrics", found.get("scalars", {}))}
    rows = [(name, format_number(value)) for name, value in numbers.items() if value is not None]
    print_columns(rows, indent="  ")
    typer.echo(f"  {json.dumps(found['architecture']['choices'])}")


def _explain_no_result(stages: Iterable[StageProgress]) -> str:
    """Return why there is no result, with what became of the trials."""
    counts = [f"{count} {what}" for stage in stages for count, what in stage.tally()]
    text = "there is neither an architecture nor a model yet"
    if counts:
        text += f"; no trial is measured: {', '.join(counts)}"
    failures = [stage.failure for stage in stages if stage.failure]
    return f"{text}; the last failure: {failures[-1]}" if failures else text
