"""The dry run of stage two: a few adversarial steps timed, nothing trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen
from torch import nn

from corenas import Architecture, InputError, StagePlan
from corenas.cost import human
from corenas_sr.config import TrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import load_model
from corenas_sr.models.named import at_scale
from corenas_sr.results.evaluation import Crops, build_metrics, validator
from corenas_sr.training.timing import seconds_of, time_step
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.config import AdversarialProxyConfig, PerceptualConfig
from corenas_tpsr.perceptual.full_task import (
    Contender,
    at_patch,
    contenders,
    final_metrics,
    full_layers,
    member,
)
from corenas_tpsr.perceptual.proxy import adversarial_step, measured, proxy_layers

TYPICAL = ("conv3", "reduce-conv3")
"""The operations of the discriminator that is timed, where the space has them."""


@frozen
class _Task:
    """One kind of adversarial training: its options, and what its losses compare."""

    training: TrainingConfig
    perceptual: PerceptualConfig
    layers: tuple[str, ...]


def perceptual_plans(config: TpsrConfig, device: str, workers: int) -> list[StagePlan]:
    """Estimate the search for a discriminator and the comparison."""
    evaluator = config.discriminator.evaluator
    proxy = evaluator.config
    if not isinstance(proxy, AdversarialProxyConfig) or proxy.perceptual is None:
        raise InputError(
            f"discriminator.evaluator: a dry run knows tpsr-adversarial alone, "
            f"not {evaluator.name!r}"
        )
    generator, scale = _generator(config, proxy.generator or config.generator)
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    task = _Task(proxy.training, proxy.perceptual, proxy_layers(proxy, proxy.perceptual))
    typical = _typical(config, scale * proxy.training.patch)
    one = _plan(task, generator, typical, pairs, scale, device)
    crops = _crops(config, proxy, scale)
    metrics = build_metrics(measured(proxy, proxy.perceptual))
    measuring = proxy.evaluations * seconds_of(
        lambda: crops.measure(generator, metrics, scale=scale, device=device)
    )
    search = evolve(
        one,
        steps=one.steps * config.discriminator.steps,
        workers=workers,
        extra_seconds=measuring * config.discriminator.steps / workers,
    )
    return [search, *_comparison(config, device)]


def _generator(config: TpsrConfig, given: Path | None) -> tuple[nn.Module, int]:
    """Return the generator that is given, or one like what the search will find."""
    if given is not None:
        start = load_model(given)
        return start.module, start.scale
    space = at_scale(config.search.space, 4).build()
    first = Architecture(space.name, {d.name: d.options[0] for d in space.decisions})
    module: nn.Module = space.build(next(iter(space.known.values()), first))
    return module, 4


def _typical(config: TpsrConfig, patch: int) -> Contender:
    """Return a member of the space that stands for those which the search will find."""
    space = at_patch(config.discriminator.space, patch).build()
    choices = {
        d.name: next((name for name in TYPICAL if name in d.options), d.options[0])
        for d in space.decisions
    }
    return member("searched", space, Architecture(space.name, choices))


def _plan(
    task: _Task,
    generator: nn.Module,
    contender: Contender,
    pairs: Sequence[ImagePair],
    scale: int,
    device: str,
) -> StagePlan:
    step = adversarial_step(
        generator,
        contender.build(),
        task.training,
        perceptual=task.perceptual,
        layers=task.layers,
        device=device,
    )
    seconds, memory = time_step(step, pairs, task.training, scale=scale, device=device)
    note = f"timed with a discriminator of {human(contender.cost.mult_adds)} mult-adds"
    return StagePlan("discriminator", task.training.steps, seconds, memory=memory, note=note)


def _crops(config: TpsrConfig, proxy: AdversarialProxyConfig, scale: int) -> Crops:
    pairs = load_pairs(config.data.validation, scale=scale, split="validation")
    return Crops.spread(pairs, size=proxy.crop_size, count=proxy.crops, scale=scale)


def _comparison(config: TpsrConfig, device: str) -> list[StagePlan]:
    """Time the comparison with each of its discriminators; a typical one stands for those found."""
    generator, scale = _generator(config, config.generator)
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    compare = config.compare
    task = _Task(compare.training, config.perceptual, full_layers(config))
    found = [_typical(config, scale * compare.training.patch)] * min(1, compare.count)
    known = contenders(config, [], scale=scale, seed=0)
    timed = {c.name: _plan(task, generator, c, pairs, scale, device) for c in (*found, *known)}
    times = dict.fromkeys(timed, compare.trainings)
    if found:
        times[found[0].name] *= compare.count
    total = sum(plan.steps * times[name] for name, plan in timed.items())
    seconds = sum(p.seconds_per_step * p.steps * times[name] for name, p in timed.items())
    images = load_pairs(config.data.validation, scale=scale, split="validation")
    validate = validator(images, build_metrics(final_metrics(config)), scale=scale, device=device)
    every = compare.training.validate_every or compare.training.steps
    validations = -(-compare.training.steps // every) * sum(times.values())
    return [
        StagePlan(
            "compare",
            total,
            seconds / total,
            extra_seconds=validations * seconds_of(lambda: validate(generator)),
            memory=max(plan.memory for plan in timed.values()),
            note=f"{sum(times.values())} trainings against {', '.join(timed)}",
        )
    ]
