"""What was asked, how to repeat it, and what the journal says last."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from corenas.errors import CorenasError
from corenas.options.structuring import differences, structure
from corenas.plugins.registry import Registry
from corenas.report.record import RunRecord, mapping
from corenas.show.progress import format_duration, format_number
from corenas.values.quantity import is_number

_MOST_CONFIGURATION = 60_000  # characters


def describe_asked(record: RunRecord) -> list[tuple[str, str]]:
    """Return what a run was asked, and on what it ran, as names and values."""
    info = record.info
    hardware, versions = mapping(info.get("hardware")), mapping(info.get("versions"))
    data = mapping(record.summary.get("data")) or mapping(record.config.get("data"))
    plugins = mapping(versions.get("plugins"))
    return [
        ("recipe", str(info["recipe"])),
        ("preset", str(info["preset"]) or "none"),
        ("seed", str(info["seed"])),
        *((f"data: {name}", _format_value(value)) for name, value in data.items()),
        *((name, str(value)) for name, value in versions.items() if name != "plugins"),
        ("plugins", ", ".join(f"{name} {version}".strip() for name, version in plugins.items())),
        *((name, _format_value(value)) for name, value in hardware.items() if value is not None),
    ]


def _format_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "unset" if value is None else str(value)


def find_changes(record: RunRecord, registry: Registry) -> list[str] | None:
    """Return what differs from the preset; None where its recipe is not installed."""
    try:
        recipe = registry.recipe(record.info["recipe"])
        preset = structure(
            recipe.config, recipe.presets.get(record.info["preset"], {}), registry=registry
        )
        asked = structure(recipe.config, record.config, registry=registry)
    except CorenasError:
        return None
    return differences(preset, asked)


def list_commands(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield commands, each after what it is for."""
    info, folder = record.info, record.folder
    if record.state in ("stopped", "failed"):
        yield "Go on", shlex.join(["corenas", "resume", str(folder)])
    command = info.get("command")
    if isinstance(command, list) and command:
        yield "As it was begun", shlex.join(map(str, command))
    again = ["corenas", "run", info["recipe"], "--config", str(folder / "config.toml")]
    again += ["--preset", info["preset"]] if info["preset"] else []
    yield "The same options elsewhere", shlex.join([*again, "--seed", str(info["seed"])])
    yield "This page again", shlex.join(["corenas", "report", str(folder)])


def read_configuration(folder: Path) -> str:
    """Return the configuration as the run wrote it down; empty where the file is gone."""
    try:
        text = (folder / "config.toml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text if len(text) <= _MOST_CONFIGURATION else f"{text[:_MOST_CONFIGURATION]}\n…"


def list_seconds(record: RunRecord) -> list[tuple[str, str]]:
    """Return what each stage took; a running one is not in it."""
    seconds = mapping(record.summary.get("seconds"))
    known = {str(n): float(s) for n, s in seconds.items() if is_number(s)}
    rows = [(name, format_duration(value)) for name, value in known.items()]
    return [*rows, ("together", format_duration(sum(known.values())))] if len(rows) > 1 else rows


def describe_line(line: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return time, stage, step and what happened of a line of the journal."""
    step, total = line.get("step", 0), line.get("total")
    trial = mapping(line.get("trial"))
    words = [str(line.get("kind", ""))]
    if trial:
        words.append(f"trial {trial.get('number')}")
        words += [str(trial[name]) for name in ("reason",) if trial.get(name)]
    numbers = {"score": trial.get("score"), **mapping(trial.get("metrics"))}
    numbers |= mapping(line.get("scalars"))
    words += [
        f"{name} {format_number(value)}"
        for name, value in list(numbers.items())[:6]
        if is_number(value)
    ]
    words += [str(line["message"])] if line.get("message") else []
    clock = str(line.get("time", ""))[11:19]
    return (
        clock,
        str(line.get("stage", "")),
        f"{step}/{total}" if total else str(step),
        ", ".join(words),
    )


def format_time(text: str) -> str:
    """Return a time of ISO 8601 for people; empty for any other text."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return ""
    zone = time.strftime("%Z") or "local time"
    return f"{time.day} {time:%b %Y, %H:%M} {zone}"
