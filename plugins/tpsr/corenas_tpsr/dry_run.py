"""The dry run of the recipe ``tpsr``: check everything, time a few steps, train nothing."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from corenas import Chosen, StagePlan, plan_search
from corenas.supernets.one_shot import is_one_shot
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.preflight import check_data
from corenas_sr.models.named import at_scale, typical_network
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.training.final import plan_training
from corenas_sr.training.pixel import PixelStep
from corenas_tpsr._checks import check_searches, full_patches
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.dry_run import perceptual_plans
from corenas_tpsr.perceptual.resolving import describe_missing, resolve


def check(config: TpsrConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check data and components; estimate each stage from a few steps of a large network."""
    build_metrics(config.metrics)
    warning = ""
    if config.stages != "generator":
        resolved, missing = resolve(config)
        warning, config = describe_missing(missing, config), resolved
    check_searches(config)
    check_data(config.data, patches=full_patches(config))
    plans = [] if config.stages == "discriminator" else _plan_generator(config, devices, workers)
    if config.stages != "generator":
        plans += [
            evolve(p, note=" ".join([p.note, *warning.splitlines()[-1:]]))
            for p in perceptual_plans(config, devices[0], workers)
        ]
    return [plan for plan in plans if plan.steps or plan.note]


def _plan_generator(config: TpsrConfig, devices: Sequence[str], workers: int) -> list[StagePlan]:
    search, device = config.search, devices[0]
    count = config.fresh.count
    plan = plan_search("search", search, data=config.data, devices=devices, workers=workers)
    plans = [plan]
    if count and not is_one_shot(search.strategy):
        # These candidates are trained as in the search, but for the cache.
        share = count / search.steps
        fresh = evolve(
            plan,
            stage="fresh",
            steps=plan.steps * count // search.steps,
            extra_seconds=plan.extra_seconds * share,
        )
        plans.append(fresh)
    return [
        *plans,
        _plan_training("train-x2", config, search.space, config.x2, device),
        _plan_training("train-x4", config, at_scale(search.space, 4), config.x4, device),
    ]


def _plan_training(
    stage: str, config: TpsrConfig, space: Chosen, training: PixelTrainingConfig, device: str
) -> StagePlan:
    """Estimate a full training by that of a typical network."""
    scale = space.config.scale
    network, note = typical_network(space.build(), scale)
    return plan_training(
        stage,
        PixelStep.of(network, training, device=device),
        training,
        data=config.data,
        metrics=config.metrics,
        scale=scale,
        device=device,
        note=note,
    )
