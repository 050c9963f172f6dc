"""The dry run of the recipe ``tpsr``: everything checked, a few steps timed, nothing trained."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from corenas import Architecture, Chosen, InputError, StagePlan
from corenas_sr.architectures import at_scale
from corenas_sr.config import TrainingConfig
from corenas_sr.datasets import load_pairs
from corenas_sr.preflight import check_data
from corenas_sr.timing import time_training
from corenas_tpsr.checks import check_metrics, check_objective
from corenas_tpsr.config import ProxyConfig, TpsrConfig
from corenas_tpsr.recipe import patches


def check(config: TpsrConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check data and components, and estimate each stage from a few steps of the paper's cell."""
    search = config.search
    check_metrics(config)
    check_objective(search, config.data)
    check_data(config.data, patches=patches(config))
    search.strategy.build()
    space = search.space
    proxy = search.evaluator.config
    if not isinstance(proxy, ProxyConfig):
        raise InputError(
            f"search.evaluator: a dry run knows tpsr-proxy alone, not {search.evaluator.name!r}"
        )
    first = _plan("search", config, space, proxy.training, devices[0])
    plans = [
        evolve(first, steps=search.steps * proxy.training.steps, workers=workers),
        _plan("train-x2", config, space, config.x2, devices[0]),
        _plan("train-x4", config, at_scale(space, 4), config.x4, devices[0]),
    ]
    if config.fresh.count:
        again = config.fresh.count * proxy.training.steps
        plans.insert(1, evolve(first, stage="fresh", steps=again, workers=workers))
    return plans


def _plan(
    stage: str, config: TpsrConfig, space: Chosen, training: TrainingConfig, device: str
) -> StagePlan:
    built = space.build()
    first = Architecture(built.name, {d.name: d.options[0] for d in built.decisions})
    architecture = next(iter(built.known.values()), first)
    scale = space.config.scale
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    model = built.build(architecture)
    seconds, memory = time_training(model, pairs, training, scale=scale, device=device)
    note = "timed with the published cell, a large one" if built.known else ""
    return StagePlan(stage, training.steps, seconds, memory=memory, note=note)
