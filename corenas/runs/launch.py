"""From a recipe and its configuration to a finished run folder."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.devices import cpu_threads, default_workers, pick_devices
from corenas.errors import InputError, ResumeError, Stopped
from corenas.files import atomic_write, write_json
from corenas.options.structuring import differences, structure
from corenas.options.toml import read_toml, to_toml
from corenas.plugins.hookspecs import Recipe
from corenas.plugins.registry import Registry, load_attribute
from corenas.runs.run import Run, writing
from corenas.show.reporter import Reporter
from corenas.stopping import Stop
from corenas.values.plan import StagePlan

RUN_SCHEMA = 1


@frozen
class RunOptions:
    """What may differ from one start of a run to the next, and where and how it began.

    ``max_time`` is in seconds and counts from this start.
    """

    out: Path | None = None
    preset: str = ""
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    max_time: float | None = None
    command: Sequence[str] = ()


@frozen
class Launched:
    """What became of a run: its folder, what ``summary.json`` holds, and why it was stopped.

    ``stopped`` is empty where the run is finished.
    """

    folder: Path
    summary: Mapping[str, Any]
    stopped: str = ""


def launch(
    recipe: Recipe, config: Any, *, registry: Registry, options: RunOptions, reporter: Reporter
) -> Launched:
    """Begin or continue a run and carry it to its end.

    Raises:
        Stopped: It was stopped by a signal; it is saved and the best so far handed over.
        ResumeError: The folder holds another run, or one that is being worked on.
    """
    folder = options.out or _new_folder(recipe.name)
    _make(folder)
    with _locked(folder):
        with writing(folder):
            _identify(folder, recipe, config, registry, options)
        before = read_summary(folder)
        if before.get("finished"):
            reporter.say(f"{folder}: this run is finished; there is nothing left to do")
            return Launched(folder, before)
        try:
            with Stop(options.max_time).installed() as stop:
                launched = _carry_out(folder, recipe, config, registry, options, reporter, stop)
        except KeyboardInterrupt:
            raise Stopped(f"left at once; {_way_on(folder)}") from None
    if launched.stopped == "interrupted":
        raise Stopped(f"stopped; {_way_on(folder)}")
    return launched


def _way_on(folder: Path) -> str:
    return f"continue with 'corenas resume {folder}'"


def _carry_out(
    folder: Path,
    recipe: Recipe,
    config: Any,
    registry: Registry,
    options: RunOptions,
    reporter: Reporter,
    stop: Stop,
) -> Launched:
    """Do the recipe and write the summary."""
    devices = pick_devices(options.device)
    work = load_attribute(recipe.run, f"the recipe {recipe.name!r}")
    reporter.start(f"{recipe.name} {options.preset}".strip(), folder)
    try:
        run = Run(
            folder,
            seed=options.seed,
            stop=stop,
            reporter=reporter,
            observe=registry.observe,
            workers=options.workers or default_workers(devices),
            devices=devices,
        )
        try:
            # What a run gives must not depend on how many cores there are, nor on whether something
            # was trained in this process before it was measured. Trainings have their own option.
            with cpu_threads(1):
                summary = work(run, config)
        except Stopped as nothing_yet:
            if not run.stopped:
                raise
            run.say(str(nothing_yet))
            summary = {}
        finally:
            run.close()
    finally:
        reporter.close()
    stopped = (stop.reason or "") if run.stopped else ""
    with writing(folder):
        summary = _summary(recipe, options, run.seconds, summary, stopped)
        write_json(folder / "summary.json", summary)
    return Launched(folder, summary, stopped)


def check(recipe: Recipe, config: Any, options: RunOptions) -> Sequence[StagePlan]:
    """Check data, weights and costs, and estimate each stage, without making a run."""
    if not recipe.check:
        return []
    devices = pick_devices(options.device)
    plans: Sequence[StagePlan] = load_attribute(recipe.check, f"the recipe {recipe.name!r}")(
        config, devices=devices, workers=options.workers or default_workers(devices)
    )
    return plans


def saved_config(folder: Path, registry: Registry) -> tuple[Recipe, Any, RunOptions]:
    """Read what a run folder was begun with.

    Raises:
        ResumeError: It is not a run folder.
    """
    info = read_info(folder)
    recipe = registry.recipe(info["recipe"])
    config = structure(recipe.config, read_toml(folder / "config.toml"), registry=registry)
    return recipe, config, _options(folder, info)


def _options(folder: Path, info: Mapping[str, Any]) -> RunOptions:
    hardware = info["hardware"]
    return RunOptions(folder, info["preset"], info["seed"], hardware["device"], hardware["workers"])


def read_info(folder: Path) -> dict[str, Any]:
    """Read ``run.json``; a `ResumeError` says what is wrong with it."""
    try:
        info: dict[str, Any] = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise ResumeError(f"{folder}: not a run folder, its run.json cannot be read") from error
    if info.get("schema") != RUN_SCHEMA:
        raise ResumeError(f"{folder}: run.json has schema {info.get('schema')}, not {RUN_SCHEMA}")
    return info


def read_summary(folder: Path) -> dict[str, Any]:
    """Read ``summary.json``; empty where there is none that can be read."""
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return summary


def _new_folder(recipe: str) -> Path:
    base = Path("runs") / f"{recipe}-{datetime.now():%Y-%m-%d-%H%M}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: may not be written to")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time work in a run folder."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResumeError(f"{folder}: another process is working on this run") from error
        yield


def _identify(
    folder: Path, recipe: Recipe, config: Any, registry: Registry, options: RunOptions
) -> None:
    """Write what the run is, or check that the folder holds this very run."""
    if not _begun(folder):
        write_json(folder / "run.json", _info(recipe, registry, options))
        with atomic_write(folder / "config.toml") as file:
            file.write(to_toml(config, registry=registry).encode())
        return
    saved, saved_values, saved_options = saved_config(folder, registry)
    changes = [] if saved.name != recipe.name else differences(saved_values, config)
    if saved.name != recipe.name:
        changes = [f"recipe: {saved.name} -> {recipe.name}"]
    if saved_options.seed != options.seed:
        changes.append(f"seed: {saved_options.seed} -> {options.seed}")
    if changes:
        listed = "\n  ".join(changes)
        raise ResumeError(f"{folder}: holds a run with another configuration:\n  {listed}")


def _begun(folder: Path) -> bool:
    """Return whether there is work to protect: one that failed before its first event has none.

    Raises:
        ResumeError: The folder holds something other than a run.
    """
    if (folder / "run.json").exists():
        journal = folder / "journal.jsonl"
        return journal.exists() and journal.stat().st_size > 0
    if any(p.name != ".lock" and not p.name.endswith("~") for p in folder.iterdir()):
        raise ResumeError(f"{folder}: is neither empty nor a run folder")
    return False


def _info(recipe: Recipe, registry: Registry, options: RunOptions) -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("corenas", "torch")}
    plugins = {p.name: p.version for p in registry.plugins if not p.error}
    return {
        "schema": RUN_SCHEMA,
        "recipe": recipe.name,
        "preset": options.preset,
        "seed": options.seed,
        "command": list(options.command),
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **versions, "plugins": plugins},
        "hardware": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "device": options.device,
            "workers": options.workers,
        },
    }


def _summary(
    recipe: Recipe,
    options: RunOptions,
    seconds: Mapping[str, float],
    values: Mapping[str, Any],
    stopped: str,
) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "preset": options.preset,
        "finished": not stopped,
        "stopped": stopped,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        **values,
    }
