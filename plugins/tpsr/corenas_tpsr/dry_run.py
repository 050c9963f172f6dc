"""The dry run of the recipe ``tpsr``: everything checked, a few steps timed, nothing trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve
from torch import nn

from corenas import Chosen, StagePlan, plan_search
from corenas.training.timing import seconds_of
from corenas_sr.config import PatchTrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.preflight import check_data
from corenas_sr.models.named import at_scale, typical_network
from corenas_sr.results.evaluation import build_metrics, validator
from corenas_sr.training.timing import time_training
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.dry_run import perceptual_plans
from corenas_tpsr.perceptual.stage import note, resolved


def check(config: TpsrConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check data and components; estimate each stage from a few steps of a large network."""
    build_metrics(config.metrics)
    missing: Mapping[str, str] = {}
    if config.stages != "generator":
        config, missing = resolved(config)
    checks.check_searches(config)
    check_data(config.data, patches=checks.patches(config))
    plans = [] if config.stages == "discriminator" else _generator(config, devices, workers)
    if config.stages != "generator":
        plans += [
            evolve(p, note=" ".join([p.note, *note(missing).splitlines()[-1:]]))
            for p in perceptual_plans(config, devices[0], workers)
        ]
    return [plan for plan in plans if plan.steps or plan.note]


def _generator(config: TpsrConfig, devices: Sequence[str], workers: int) -> list[StagePlan]:
    search, device = config.search, devices[0]
    count = config.fresh.count
    plan = plan_search("search", search, data=config.data, devices=devices, workers=workers)
    plans = [plan]
    if count:
        share = count / search.steps
        again = evolve(
            plan,
            stage="fresh",
            steps=plan.steps * count // search.steps,
            extra_seconds=plan.extra_seconds * share,
        )
        plans.append(again)
    return [
        *plans,
        _training("train-x2", config, search.space, config.x2, device),
        _training("train-x4", config, at_scale(search.space, 4), config.x4, device),
    ]


def _training(
    stage: str, config: TpsrConfig, space: Chosen, training: PatchTrainingConfig, device: str
) -> StagePlan:
    """Time a full training: its steps, and its validations."""
    plan, model = _steps(stage, config, space, training, device)
    scale = space.config.scale
    pairs = load_pairs(config.data.validation, scale=scale, split="validation")
    validate = validator(pairs, build_metrics(config.metrics), scale=scale, device=device)
    every = training.validate_every or training.steps
    validations = -(-training.steps // every)
    return evolve(plan, extra_seconds=validations * seconds_of(lambda: validate(model)))


def _steps(
    stage: str, config: TpsrConfig, space: Chosen, training: PatchTrainingConfig, device: str
) -> tuple[StagePlan, nn.Module]:
    scale = space.config.scale
    model, note = typical_network(space.build(), scale)
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    seconds, memory = time_training(model, pairs, training, scale=scale, device=device)
    return StagePlan(stage, training.steps, seconds, memory=memory, note=note), model
