"""The dry run of the recipe ``tpsr``: everything checked, a few steps timed, nothing trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve
from torch import nn

from corenas import Architecture, Chosen, InputError, StagePlan
from corenas.cost import count, human
from corenas_sr.config import TrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.preflight import check_data
from corenas_sr.models.costs import OUTPUT
from corenas_sr.models.named import at_scale
from corenas_sr.results.evaluation import Crops, build_metrics, validator
from corenas_sr.training.timing import seconds_of, time_training
from corenas_tpsr import checks
from corenas_tpsr.config import ProxyConfig, TpsrConfig
from corenas_tpsr.perceptual.dry_run import perceptual_plans
from corenas_tpsr.perceptual.stage import note, resolved


def check(config: TpsrConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check data and components; estimate each stage from a few steps of a large network."""
    checks.check_metrics(config)
    missing: Mapping[str, str] = {}
    if config.stages != "generator":
        config, missing = resolved(config)
    checks.check_searches(config)
    check_data(config.data, patches=checks.patches(config))
    device = devices[0]
    plans = [] if config.stages == "discriminator" else _generator(config, device, workers)
    if config.stages != "generator":
        plans += [
            evolve(p, note=" ".join([p.note, *note(missing).splitlines()[-1:]]))
            for p in perceptual_plans(config, device, workers)
        ]
    return [plan for plan in plans if plan.steps]


def _generator(config: TpsrConfig, device: str, workers: int) -> list[StagePlan]:
    search = config.search
    search.strategy.build()
    proxy = search.evaluator.config
    if not isinstance(proxy, ProxyConfig):
        raise InputError(
            f"search.evaluator: a dry run knows tpsr-proxy alone, not {search.evaluator.name!r}"
        )
    one = _candidate(config, proxy, device)
    return [
        _repeated(one, "search", search.steps, workers),
        _repeated(one, "fresh", config.fresh.count, workers),
        _training("train-x2", config, search.space, config.x2, device),
        _training("train-x4", config, at_scale(search.space, 4), config.x4, device),
    ]


def _repeated(one: StagePlan, stage: str, times: int, workers: int) -> StagePlan:
    """Return the plan of training so many candidates."""
    return evolve(
        one,
        stage=stage,
        steps=one.steps * times,
        workers=workers,
        extra_seconds=one.extra_seconds * times / workers,
    )


def _candidate(config: TpsrConfig, proxy: ProxyConfig, device: str) -> StagePlan:
    """Time what one candidate takes: its training, and its measurement on crops."""
    space = config.search.space
    plan, model = _steps("candidate", config, space, proxy.training, device)
    scale = space.config.scale
    pairs = load_pairs(config.data.validation, scale=scale, split="validation")
    crops = Crops.spread(pairs, size=proxy.crop_size, count=proxy.crops, scale=scale)
    metrics = build_metrics(proxy.metrics)
    seconds = seconds_of(lambda: crops.measure(model, metrics, scale=scale, device=device))
    return evolve(plan, extra_seconds=seconds)


def _training(
    stage: str, config: TpsrConfig, space: Chosen, training: TrainingConfig, device: str
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
    stage: str, config: TpsrConfig, space: Chosen, training: TrainingConfig, device: str
) -> tuple[StagePlan, nn.Module]:
    built = space.build()
    first = Architecture(built.name, {d.name: d.options[0] for d in built.decisions})
    model = built.build(next(iter(built.known.values()), first))
    scale = space.config.scale
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    width, height = (side // scale for side in OUTPUT)
    mult_adds = count(model, (1, 3, height, width)).mult_adds
    seconds, memory = time_training(model, pairs, training, scale=scale, device=device)
    note = f"timed with a network of {human(mult_adds)} mult-adds"
    return StagePlan(stage, training.steps, seconds, memory=memory, note=note), model
