"""``status`` and ``best``: what a run has done so far, read from its folder."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from corenas.commands.output import Json, print_columns, print_json
from corenas.commands.runs import Folder
from corenas.errors import CorenasError

if TYPE_CHECKING:
    from corenas.progress import StageProgress
    from corenas.trial import Event


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(status)
    app.command()(best)


def status(folder: Folder, as_json: Json = False) -> None:
    """Tell how far a run is."""
    from corenas import journal
    from corenas.launch import read_info

    info = read_info(folder)
    path = folder / "journal.jsonl"
    contents = journal.read(path)
    stages = _replayed(contents.events)
    state = _state(folder)
    value = {
        "folder": str(folder),
        "state": state,
        **{key: info[key] for key in ("recipe", "preset", "seed", "created")},
        "updated": _modified(path),
        "damage": contents.damage,
        "stages": [_stage(stage) for stage in stages.values()],
    }
    if as_json:
        print_json(value)
        return
    typer.echo(f"{info['recipe']} {info['preset']}".strip() + f": {state}")
    if value["updated"]:
        typer.echo(f"last event: {value['updated']}")
    if contents.damage:
        typer.echo(f"journal: {contents.damage}")
    print_columns((_stage_row(stage) for stage in stages.values()), indent="  ")
    if state == "stopped":
        typer.echo(f"continue with 'corenas resume {folder}'")


def _replayed(events: Iterable[Event]) -> dict[str, StageProgress]:
    from corenas.progress import StageProgress

    stages: dict[str, StageProgress] = {}
    for event in events:
        stages.setdefault(event.stage, StageProgress(event.stage)).take(event, 0.0)
    return stages


def _state(folder: Path) -> str:
    """Return ``running``, ``finished`` or ``stopped``."""
    if _is_locked(folder / ".lock"):
        return "running"
    summary = _summary(folder)
    return "finished" if summary.get("finished") else "stopped"


def _is_locked(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _summary(folder: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return summary


def _modified(path: Path) -> str:
    if not path.exists():
        return ""
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(timespec="seconds")


def _stage(stage: StageProgress) -> dict[str, Any]:
    return {
        "name": stage.name,
        "step": stage.step,
        "total": stage.total,
        "finished": stage.finished,
        "trials": dict(stage.counts),
        "scalars": stage.scalars,
        "best": stage.best[0].to_json() if stage.best else None,
        "failure": stage.failure,
    }


def _stage_row(stage: StageProgress) -> tuple[str, ...]:
    from corenas.progress import format_number

    counts = [f"{count} {what}" for count, what in stage.tally()]
    numbers = [f"{name} {format_number(value)}" for name, value in stage.scalars.items()]
    if stage.best:
        numbers.insert(0, f"best {format_number(stage.best[0].score)}")
    done = "finished" if stage.finished else "open"
    return stage.name, stage.position(), done, ", ".join(counts + numbers)


def best(folder: Folder, as_json: Json = False) -> None:
    """Print a run's best architectures and models so far."""
    from corenas import journal
    from corenas.launch import read_info

    read_info(folder)
    events = journal.read(folder / "journal.jsonl").events
    found = _best_trials(events) or _latest_architecture(events)
    models = sorted(str(file) for file in folder.glob("models/*.safetensors"))
    if not found and not models:
        raise CorenasError(f"{folder}: there is neither an architecture nor a model yet")
    if as_json:
        print_json({"folder": str(folder), "architectures": found, "models": models})
        return
    for one in found:
        _print_found(one)
    for model in models:
        typer.echo(f"model: {model}")


def _best_trials(events: Iterable[Event]) -> list[dict[str, Any]]:
    stages = _replayed(events).values()
    return [{"stage": s.name, **s.best[0].to_json()} for s in stages if s.best]


def _latest_architecture(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return that of a one-shot search, whose latest epoch is its best."""
    latest = None
    for event in events:
        if event.architecture is not None:
            latest = event
    return [] if latest is None else [latest.to_json()]


def _print_found(found: dict[str, Any]) -> None:
    from corenas.progress import format_number
    from corenas.space import Architecture

    what = f"trial {found['number']}" if "number" in found else f"step {found['step']}"
    typer.echo(f"{found['stage']}, {what}: {Architecture.from_json(found['architecture']).id}")
    numbers = {"score": found.get("score"), **found.get("metrics", found.get("scalars", {}))}
    rows = [(name, format_number(value)) for name, value in numbers.items() if value is not None]
    print_columns(rows, indent="  ")
    typer.echo(f"  {json.dumps(found['architecture']['choices'])}")
