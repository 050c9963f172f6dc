"""Metrics as a person names them on the command line, with options such as niqe.protocol=pirm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from corenas.errors import ConfigError, InputError
from corenas.names import nearest
from corenas.options.structuring import Chosen, choose, components, structure
from corenas.options.toml import parse_assignment


@frozen
class _Measured:
    metrics: tuple[Chosen, ...] = components("metrics", (), "what is measured")


def choose_metrics(names: Sequence[str], assignments: Sequence[str]) -> tuple[Chosen, ...]:
    """Return metrics with their options.

    Args:
        names: Of metrics, each once.
        assignments: ``metric.option=value``, for metrics that are named.

    Raises:
        UnknownName: There is no such metric.
        InputError: A metric stands twice.
        ConfigError: An option is unknown or has a wrong value; the message begins with its path.
    """
    for name in names:
        choose("metrics", name)
        if names.count(name) > 1:
            raise InputError(f"--metrics: {name!r} stands twice")
    options: dict[str, dict[str, Any]] = {name: {} for name in names}
    for text in assignments:
        ((name, value),) = parse_assignment(text).items()
        if name not in options:
            raise ConfigError(f"--set {text}: {name!r} is not measured{nearest(name, names)}")
        if not isinstance(value, Mapping):
            raise ConfigError(f"--set {text}: expected metric.option=value")
        options[name] |= value
    try:
        tables = [{"use": name, **options[name]} for name in names]
        return structure(_Measured, {"metrics": tables}).metrics
    except ConfigError as error:
        message = re.sub(r"\bmetrics\[(\d+)\]", lambda match: names[int(match[1])], str(error))
        raise ConfigError(message) from error
