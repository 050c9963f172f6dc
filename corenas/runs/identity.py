"""What a run is: its recipe, configuration and seed, as ``run.json`` holds them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from corenas.devices import processor_name
from corenas.errors import ConfigError, ResumeError
from corenas.files import atomic_write, write_json
from corenas.options.structuring import differences, structure, unstructure
from corenas.options.toml import read_toml, to_toml
from corenas.plugins.hookspecs import Recipe
from corenas.plugins.registry import Registry

RUN_SCHEMA = 2
"""Of a run whose random numbers derive from names; that of corenas 0.1 is 1."""

# What commands show of a run; the rest is proven by its digests before it is used.
_NEEDED: Mapping[str, type] = {
    "recipe": str,
    "preset": str,
    "seed": int,
    "created": str,
}


@frozen
class RunOptions:
    """What may differ from one start of a run to the next, and where and how it began.

    ``max_time`` is in seconds and counts from this start; ``moved`` holds the options, by path,
    that this start gave another place to.
    """

    out: Path | None = None
    preset: str = ""
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    max_time: float | None = None
    command: Sequence[str] = ()
    moved: tuple[str, ...] = ()


def write_identity(
    folder: Path, recipe: Recipe, config: Any, registry: Registry, options: RunOptions
) -> None:
    """Write ``run.json`` and ``config.toml`` for a run that begins."""
    versions = {"python": platform.python_version(), **_installed_versions()}
    info: dict[str, Any] = {
        "schema": RUN_SCHEMA,
        "recipe": recipe.name,
        "preset": options.preset,
        "seed": options.seed,
        "command": list(options.command),
        "created": datetime.now().astimezone().isoformat(timespec="microseconds"),
        "versions": {
            **versions,
            "plugins": {p.name: p.version for p in registry.plugins if not p.error},
        },
        "hardware": {
            "machine": platform.machine(),
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "device": options.device,
            "workers": options.workers,
        },
        "config": unstructure(config),
    }
    _write(folder, info, config, registry)


def write_places(folder: Path, config: Any, registry: Registry) -> None:
    """Write down the places that a run found its data in, once they are known to be right."""
    _write(folder, read_info(folder) | {"config": unstructure(config)}, config, registry)


def _write(folder: Path, info: Mapping[str, Any], config: Any, registry: Registry) -> None:
    # One for each field, so that a message can name the field that was edited.
    digests = {name: _digest(value) for name, value in info.items() if name != "digests"}
    write_json(folder / "run.json", {**info, "digests": digests})
    _write_config(folder, config, registry)


def _write_config(folder: Path, config: Any, registry: Registry) -> None:
    with atomic_write(folder / "config.toml") as file:
        file.write(to_toml(config, registry=registry).encode())


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _installed_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("corenas", "torch")}


def read_info(folder: Path) -> dict[str, Any]:
    """Read ``run.json``, also that of a run of corenas 0.1.

    Raises:
        ResumeError: It cannot be read, or lacks what every run has.
    """
    info = _read_object(folder / "run.json")
    if info is None:
        raise ResumeError(f"{folder}: not a run folder, its run.json cannot be read")
    if info.get("schema") not in (1, RUN_SCHEMA):
        raise ResumeError(f"{folder}: run.json has schema {info.get('schema')}, not {RUN_SCHEMA}")
    for name, kind in _NEEDED.items():
        if not isinstance(info.get(name), kind):
            raise ResumeError(f"{folder}: run.json is damaged: it lacks {name!r}; {_ADVICE}")
    return info


_ADVICE = "bring the file back from a copy"


def read_summary(folder: Path) -> dict[str, Any]:
    """Read ``summary.json``; empty where there is none of this run that can be read."""
    summary = _read_object(folder / "summary.json") or {}
    info = _read_object(folder / "run.json") or {}
    known = summary.get("run", "") == ("" if info.get("schema") == 1 else what_runs(info))
    return summary if known else {}


def what_runs(info: Mapping[str, Any]) -> str:
    """Return what tells one computation from another: equal ones give equal results."""
    return _digest([info.get(name) for name in ("recipe", "preset", "seed", "config")])


def flat_options(info: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Return the recipe's options of a ``run.json`` by dotted name, lists and nothing as text.

    A component stands for its table: ``search.strategy`` is its name.
    """
    config = info.get("config")
    return dict(_flatten(config, "")) if isinstance(config, dict) else {}


def _flatten(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in table.items():
        name = path if key == "use" and path else f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from _flatten(value, name)
        elif isinstance(value, str | int | float):
            yield name, value
        else:
            yield name, "none" if value is None else json.dumps(value, ensure_ascii=False)


def _read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where there is no such thing."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def saved_run(folder: Path, registry: Registry) -> tuple[Recipe, Any, RunOptions]:
    """Read what an unfinished run was begun with.

    Raises:
        ResumeError: It is not a run folder, one of corenas 0.1, or one that was edited; the message
            lists the changes.
    """
    info = read_info(folder)
    if info["schema"] == 1 and read_summary(folder).get("finished"):
        raise ResumeError(f"{folder}: holds a run that corenas 0.1 finished; nothing is left to do")
    if info["schema"] == 1:
        raise ResumeError(
            f"{folder}: was begun with corenas 0.1, whose random numbers derive differently: "
            "finish it with that version, or begin anew in another folder"
        )
    changes = list(_find_edits(info))
    if changes:
        listed = "\n  ".join(changes)
        raise ResumeError(f"{folder}: run.json was edited or is damaged:\n  {listed}\n{_ADVICE}")
    recipe = registry.recipe(info["recipe"])
    config = structure(recipe.config, info["config"], registry=registry)
    _compare_toml(folder, recipe, config, registry)
    hardware = info["hardware"]
    options = RunOptions(
        folder, info["preset"], info["seed"], hardware["device"], hardware["workers"]
    )
    return recipe, config, options


def _find_edits(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each field that is not what it was when the run began."""
    digests = info.get("digests")
    known = digests if isinstance(digests, dict) else {}
    for name in dict.fromkeys([*known, *info]):
        if name != "digests" and known.get(name) != _digest(info.get(name)):
            yield name


def _compare_toml(folder: Path, recipe: Recipe, config: Any, registry: Registry) -> None:
    """Refuse a ``config.toml`` that says something else; write one that is gone again."""
    file = folder / "config.toml"
    if not file.exists():
        _write_config(folder, config, registry)
        return
    advice = f"a run keeps the configuration that it began with; delete {file} to have it back"
    try:
        written = structure(recipe.config, read_toml(file), registry=registry)
    except ConfigError as error:
        raise ResumeError(f"{error}\n{advice}") from error
    changes = differences(config, written)
    if changes:
        listed = "\n  ".join(changes)
        raise ResumeError(f"{folder}: config.toml was edited:\n  {listed}\n{advice}")


def check_same(
    folder: Path, recipe: Recipe, config: Any, registry: Registry, options: RunOptions
) -> None:
    """Check that a folder holds this very run.

    Raises:
        ResumeError: It holds another one; the message lists what differs.
    """
    if read_info(folder)["recipe"] != recipe.name:
        changes = [f"recipe: {read_info(folder)['recipe']} -> {recipe.name}"]
    else:
        _, saved, begun = saved_run(folder, registry)
        # What `resume --set` moved is no change: `Run.confirm` compares the data.
        changes = [c for c in differences(saved, config) if c.split(":")[0] not in options.moved]
        if begun.seed != options.seed:
            changes.append(f"seed: {begun.seed} -> {options.seed}")
    if changes:
        listed = "\n  ".join(changes)
        raise ResumeError(f"{folder}: holds a run with another configuration:\n  {listed}")


def move(options: RunOptions, before: Any, after: Any, places: Sequence[str]) -> RunOptions:
    """Return the options of a start that looks for data elsewhere.

    Args:
        options: Those of the start.
        before: The configuration that the run began with.
        after: The one that it shall go on with.
        places: Paths of the options that say where data lie and nothing else.

    Raises:
        ResumeError: Another option differs.
    """
    changes = differences(before, after)
    refused = [change for change in changes if change.split(":")[0] not in places]
    if refused:
        allowed = ", ".join(places) or "none"
        listed = "\n  ".join(refused)
        raise ResumeError(
            f"--set: a run keeps the configuration that it began with:\n  {listed}\n"
            f"only options that say where data lie may change (here: {allowed})"
        )
    return evolve(options, moved=tuple(change.split(":")[0] for change in changes))


def other_versions(folder: Path) -> list[str]:
    """Return a line such as ``torch: 2.6.0 -> 2.7.1`` for what is another version now."""
    began = read_info(folder)["versions"]
    return [
        f"{name}: {began[name]} -> {version}"
        for name, version in _installed_versions().items()
        if name in began and began[name] != version
    ]
