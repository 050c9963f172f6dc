"""What is checked before a search begins: its metrics, and that its objective can be computed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from corenas import Chosen, ConfigError, UnknownName, default_registry, nearest
from corenas_sr.config import DataConfig
from corenas_sr.evaluation import build_metrics
from corenas_tpsr.config import ProxyConfig, SearchConfig, TpsrConfig


def check_metrics(config: TpsrConfig) -> None:
    """Build every metric once: weights that are missing are said now, not after the search.

    Raises:
        CorenasError: A metric cannot be built.
    """
    evaluator = config.search.evaluator.config
    searched = evaluator.metrics if isinstance(evaluator, ProxyConfig) else ()
    for metrics in (config.metrics, searched):
        build_metrics(metrics)


def check_objective(search: SearchConfig, data: DataConfig) -> None:
    """Refuse an objective that reads what the evaluator does not measure.

    Raises:
        ConfigError: The message names what is missing and how to have it measured.
    """
    evaluator = search.evaluator
    measured = evaluator.build(search.space.build(), data).measures
    for name in search.objective.build().needs:
        if name not in measured:
            hints = f"{nearest(name, measured)}{_hint(name, evaluator)}"
            raise ConfigError(
                f"search.objective: {search.objective.name!r} needs {name!r}, which "
                f"search.evaluator does not measure{hints}"
            )
    if isinstance(evaluator.config, ProxyConfig):
        _check_options(search.objective, evaluator.config.metrics)


def _hint(name: str, evaluator: Chosen) -> str:
    """Return how to have it measured, where that is known."""
    if not isinstance(evaluator.config, ProxyConfig):
        return ""
    if name == "latency":
        return "; with --set search.evaluator.latency=[320,180] it does"
    try:
        default_registry().component("metrics", name)
    except UnknownName:
        return ""
    names = [metric.name for metric in evaluator.config.metrics]
    return f"; with --set 'search.evaluator.metrics={json.dumps([*names, name])}' it does"


def _check_options(objective: Chosen, measured: Sequence[Chosen]) -> None:
    """Refuse options of the objective's metrics that the evaluator would not follow."""
    options = {metric.name: metric.config for metric in measured}
    for metric in _metrics(objective.config):
        asked = metric.config
        if asked not in (type(asked)(), options[metric.name]):
            raise ConfigError(
                f"search.objective: {metric.name} has other options than in "
                "search.evaluator.metrics, where it is measured; set them there"
            )


def _metrics(config: Any) -> Iterator[Chosen]:
    """Iterate over the metrics that an objective's options name."""
    for value in attrs.asdict(config, recurse=False).values():
        chosen = value if isinstance(value, tuple) else (value,)
        yield from (each for each in chosen if isinstance(each, Chosen) and each.kind == "metrics")
