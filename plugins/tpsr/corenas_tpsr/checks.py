"""What is checked before a run begins: metrics, objectives, and sizes of patches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from corenas import Chosen, ConfigError, UnknownName, default_registry, nearest
from corenas_sr.config import DataConfig
from corenas_sr.evaluation import build_metrics
from corenas_sr.modelfile import load_model
from corenas_tpsr.config import ProxyConfig, SearchConfig, TpsrConfig
from corenas_tpsr.full_task import at_patch
from corenas_tpsr.perceptual_config import AdversarialProxyConfig, DiscriminatorConfig


def check_metrics(config: TpsrConfig) -> None:
    """Build every metric once: weights that are missing are said now, not after the search.

    Raises:
        CorenasError: A metric cannot be built.
    """
    evaluator = config.search.evaluator.config
    searched = evaluator.metrics if isinstance(evaluator, ProxyConfig) else ()
    for metrics in (config.metrics, searched):
        build_metrics(metrics)


def patches(config: TpsrConfig) -> Mapping[int, int]:
    """Return by scale the side that training images must have at least, in their own pixels."""
    second = max(_adversarial_patches(config), default=0)
    if config.generator is not None:
        return {load_model(config.generator).scale: second}
    evaluator = config.search.evaluator.config
    searched = evaluator.training.patch if isinstance(evaluator, ProxyConfig) else 0
    return {2: max(config.x2.patch, searched), 4: max(config.x4.patch, second)}


def _adversarial_patches(config: TpsrConfig) -> list[int]:
    if config.stages == "generator":
        return []
    proxy = config.discriminator.evaluator.config
    searched = [proxy.training.patch] if isinstance(proxy, AdversarialProxyConfig) else []
    return [*searched, config.compare.training.patch]


def check_searches(config: TpsrConfig) -> None:
    """Refuse objectives that read what their search does not measure, and patches that do not fit.

    Raises:
        ConfigError: The message names what is missing and how to have it measured.
    """
    if config.stages != "discriminator":
        search = config.search
        check_objective("search", search, search.objective, config.data)
        if isinstance(search.evaluator.config, ProxyConfig):
            _check_options(search.objective, search.evaluator.config.metrics)
    if config.stages != "generator":
        second = config.discriminator
        if second.objective is None:
            raise ConfigError("discriminator.objective: unset")
        check_objective("discriminator", second, second.objective, config.data)
        scale = 4 if config.generator is None else load_model(config.generator).scale
        for patch in _adversarial_patches(config):
            at_patch(second.space, scale * patch)


def check_objective(
    where: str, search: SearchConfig | DiscriminatorConfig, objective: Chosen, data: DataConfig
) -> None:
    """Refuse an objective that reads what the evaluator does not measure.

    Raises:
        ConfigError: The message begins with ``where`` and names what is missing.
    """
    evaluator = search.evaluator
    measured = evaluator.build(search.space.build(), data).measures
    for name in objective.build().needs:
        if name not in measured:
            hints = f"{nearest(name, measured)}{_hint(name, evaluator)}"
            raise ConfigError(
                f"{where}.objective: {objective.name!r} needs {name!r}, which "
                f"{where}.evaluator does not measure{hints}"
            )


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
