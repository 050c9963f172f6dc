"""What is checked before a run begins: metrics, objectives, and sizes of patches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from corenas import Chosen, ConfigError, InputError, UnknownName, default_registry, nearest
from corenas_sr.config import DataConfig
from corenas_sr.models.files import load_model
from corenas_sr.results.evaluation import build_metrics
from corenas_tpsr.config import ProxyConfig, SearchConfig, TpsrConfig
from corenas_tpsr.discriminator.srgan import SrganDiscriminator
from corenas_tpsr.perceptual.config import AdversarialProxyConfig, DiscriminatorConfig
from corenas_tpsr.perceptual.full_task import at_patch
from corenas_tpsr.perceptual.proxy import measured


def check_metrics(config: TpsrConfig) -> None:
    """Build every metric once: weights that are missing are said now, not after the search.

    Raises:
        CorenasError: A metric cannot be built.
    """
    build_metrics(config.metrics)
    searches: list[SearchConfig | DiscriminatorConfig] = []
    if config.stages != "discriminator":
        searches.append(config.search)
    if config.stages != "generator":
        searches.append(config.discriminator)
    for search in searches:
        evaluator = search.evaluator.config
        if isinstance(evaluator, ProxyConfig | AdversarialProxyConfig):
            build_metrics(evaluator.metrics)


def patches(config: TpsrConfig) -> Mapping[int, int]:
    """Return by scale the side that training images must have at least, in their own pixels."""
    sides: dict[int, int] = {}
    for scale, side in _patches(config):
        sides[scale] = max(side, sides.get(scale, 0))
    return sides


def _patches(config: TpsrConfig) -> Iterator[tuple[int, int]]:
    """Iterate over the trainings' scales and patches."""
    if config.stages != "discriminator":
        evaluator = config.search.evaluator.config
        if isinstance(evaluator, ProxyConfig):
            yield 2, evaluator.training.patch
        yield 2, config.x2.patch
        yield 4, config.x4.patch
    if config.stages != "generator":
        proxy = config.discriminator.evaluator.config
        if isinstance(proxy, AdversarialProxyConfig):
            yield _scale(proxy.generator or config.generator), proxy.training.patch
        yield _scale(config.generator), config.compare.training.patch


def _scale(generator: Path | None) -> int:
    """Return the scale of a generator, which without a file is the one that is to be found."""
    return 4 if generator is None else load_model(generator).scale


def check_searches(config: TpsrConfig) -> None:
    """Refuse objectives that read what their search does not measure, and patches that do not fit.

    Raises:
        ConfigError: The message names what is missing and how to have it measured.
        DataError: The file of a generator cannot be used.
    """
    if config.stages != "discriminator":
        search = config.search
        check_objective("search", search, search.objective, config.data)
        if isinstance(search.evaluator.config, ProxyConfig):
            _check_options(search.objective, search.evaluator.config.metrics, where=_FIRST)
    if config.stages != "generator":
        _check_second(config)


def _check_second(config: TpsrConfig) -> None:
    """Check the search for a discriminator, and the comparison."""
    search = config.discriminator
    if search.objective is None:
        raise ConfigError("discriminator.objective: unset")
    check_objective("discriminator", search, search.objective, config.data)
    proxy = search.evaluator.config
    if isinstance(proxy, AdversarialProxyConfig):
        if proxy.perceptual is not None:
            _check_options(search.objective, measured(proxy, proxy.perceptual), where=_SECOND)
        scale = _scale(proxy.generator or config.generator)
        _check_patch(config, "discriminator.evaluator", proxy.training.patch, scale)
    _check_patch(config, "compare", config.compare.training.patch, _scale(config.generator))


def _check_patch(config: TpsrConfig, where: str, patch: int, scale: int) -> None:
    """Refuse patches that the discriminators of a task cannot halve as often as they do."""
    try:
        at_patch(config.discriminator.space, scale * patch)
        if where == "compare" and not {"srgan", "esrgan"}.isdisjoint(config.compare.baselines):
            with torch.device("meta"):
                SrganDiscriminator(scale * patch)
    except InputError as error:
        raise ConfigError(
            f"{where}.training.patch: {patch} low-resolution pixels are {scale * patch} at scale "
            f"{scale}, which its discriminators cannot take: {error}"
        ) from error


def check_objective(
    where: str, search: SearchConfig | DiscriminatorConfig, objective: Chosen, data: DataConfig
) -> None:
    """Refuse an objective that reads what the evaluator does not measure.

    Raises:
        ConfigError: The message begins with ``where`` and names what is missing.
    """
    evaluator = search.evaluator
    measures = evaluator.build(search.space.build(), data).measures
    for name in objective.build().needs:
        if name not in measures:
            hints = f"{nearest(name, measures)}{_hint(name, evaluator)}"
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


_FIRST = ("search", "search.evaluator.metrics")
_SECOND = ("discriminator", "perceptual.metric or discriminator.evaluator.metrics")
"""A search, and the options that say what is measured there."""


def _check_options(objective: Chosen, metrics: Sequence[Chosen], *, where: tuple[str, str]) -> None:
    """Refuse options of the objective's metrics that the evaluator would not follow."""
    options = {metric.name: metric.config for metric in metrics}
    for metric in _metrics(objective.config):
        asked = metric.config
        if asked not in (type(asked)(), options[metric.name]):
            raise ConfigError(
                f"{where[0]}.objective: {metric.name} has other options than in {where[1]}, where "
                "it is measured; set them there"
            )


def _metrics(config: Any) -> Iterator[Chosen]:
    """Iterate over the metrics that an objective's options name."""
    for value in attrs.asdict(config, recurse=False).values():
        chosen = value if isinstance(value, tuple) else (value,)
        yield from (each for each in chosen if isinstance(each, Chosen) and each.kind == "metrics")
