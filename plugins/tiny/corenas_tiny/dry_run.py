"""The dry run of the recipe ``tiny``: check everything, time a few steps, train nothing."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from corenas import StagePlan, choose, plan_search
from corenas.supernets.one_shot import is_one_shot
from corenas_sr.models.named import typical_network
from corenas_sr.training.final import plan_training
from corenas_sr.training.pixel import PixelStep
from corenas_tiny._checks import check_options, find_baselines
from corenas_tiny.config import TinyConfig


def check(config: TinyConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check everything; estimate each stage from a few steps of a typical network."""
    check_options(config)
    search, device = config.limited_search, devices[0]
    plan = plan_search("search", search, data=config.data, devices=devices, workers=workers)
    plans = [plan]
    if config.finalists.count and not is_one_shot(search.strategy):
        # Trained in full, whatever the search's strategy does.
        finalists = evolve(
            search, steps=config.finalists.count, strategy=choose("strategies", "random")
        )
        each = plan_search(
            "finalists", finalists, data=config.data, devices=devices, workers=workers
        )
        plans.append(evolve(each, steps=round(each.steps * config.finalists.longer)))
    network, note = typical_network(search.space.build(), config.scale)
    final = plan_training(
        "train",
        PixelStep.of(network, next(config.training.in_phases()), device=device),
        config.training,
        data=config.data,
        metrics=config.metrics,
        scale=config.scale,
        device=device,
        note=note,
    )
    # Each known network is trained for as long as the one found.
    known = [
        evolve(final, stage=f"train-{name.replace('/', '-')}", note="as long as the one found")
        for name in find_baselines(config)
    ]
    return [*plans, final, *known]
