"""The command line's ``--track NAME`` and ``--set track.NAME.KEY=VALUE``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from corenas.errors import ConfigError, InputError
from corenas.options.structuring import Chosen, component, structure
from corenas.options.toml import parse_assignment
from corenas.plugins.hookspecs import TRACK
from corenas.plugins.registry import default_registry


@frozen
class _Choice:
    track: Chosen = component("trackers", "", "where the run is shown")


def split_assignments(assignments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the assignments that are for trackers, and those for the recipe."""
    every = list(assignments)
    ours = [text for text in every if text.partition("=")[0].split(".")[0].strip() == TRACK]
    return ours, [text for text in every if text not in ours]


def choose_trackers(names: Sequence[str], assignments: Iterable[str]) -> tuple[Chosen, ...]:
    """Return the trackers by name with their options; nothing is imported yet.

    Args:
        names: Those of ``--track``.
        assignments: Such as ``track.csv.separator=;``.

    Raises:
        ConfigError: An option is wrong, or is that of a tracker that was not asked for.
        InputError: A tracker is named twice.
        UnknownName: There is no such tracker.
    """
    layers: dict[str, list[Any]] = {name: [] for name in names}
    if len(layers) < len(names):
        raise InputError(f"--track: one of {', '.join(names)} is given twice")
    for text in assignments:
        table = parse_assignment(text).get(TRACK)
        named = list(table.items()) if isinstance(table, dict) else []
        if len(named) != 1 or not isinstance(named[0][1], dict):
            raise ConfigError(f"--set {text}: expected {TRACK}.NAME.KEY=VALUE")
        ((name, values),) = named
        if "use" in values:
            raise ConfigError(f"--set {text}: another tracker is another --track")
        if name not in layers:
            raise ConfigError(f"--set {text}: --track {name} is not given")
        layers[name].append(values)
    return tuple(_choose(name, values) for name, values in layers.items())


def _choose(name: str, layers: Sequence[Any]) -> Chosen:
    default_registry().component("trackers", name)  # an unknown one is named as it was given
    try:
        values = ({TRACK: layer} for layer in layers)
        return structure(_Choice, {TRACK: {"use": name}}, *values).track
    except ConfigError as error:
        lines = re.sub(rf"^{TRACK}\b", f"{TRACK}.{name}", str(error), flags=re.MULTILINE)
        raise ConfigError(lines) from error
