"""The dry run of stage two: time a few adversarial steps, train nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen
from torch import nn

from corenas import StagePlan, plan_search
from corenas.cost import human
from corenas_sr.config import PatchTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.named import at_scale, typical
from corenas_sr.training.final import time_validations
from corenas_sr.training.losses import ADVERSARIAL
from corenas_sr.training.timing import time_step
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.config import PerceptualConfig
from corenas_tpsr.perceptual.full_task import (
    Contender,
    at_patch,
    contenders,
    final_metrics,
    full_layers,
    member,
)
from corenas_tpsr.perceptual.proxy import adversarial_step, typical_discriminator
from corenas_tpsr.perceptual.stage import start_from


@frozen
class _Setting:
    """Options of an adversarial training, and the features that its losses compare."""

    training: PatchTrainingConfig
    perceptual: PerceptualConfig
    layers: tuple[str, ...]


def perceptual_plans(config: TpsrConfig, device: str, workers: int) -> list[StagePlan]:
    """Estimate the search for a discriminator and the comparison."""
    with TemporaryDirectory() as folder:
        generator = config.generator or _write_typical_generator(config, Path(folder))
        config = start_from(config, generator)
        search = plan_search(
            "discriminator",
            config.discriminator,
            data=config.data,
            devices=[device],
            workers=workers,
        )
        return [search, *_plan_comparison(config, generator, device)]


def _write_typical_generator(config: TpsrConfig, folder: Path) -> Path:
    """Write a model file of a typical generator, in place of the one still to be found."""
    chosen, path = at_scale(config.search.space, 4), folder / "typical.safetensors"
    space = chosen.build()
    architecture = typical(space)
    network = space.build(architecture)
    save_model(path, network, space=chosen, architecture=architecture, scale=4)
    return path


def _typical_contender(config: TpsrConfig, patch: int) -> Contender:
    """Return a typical discriminator of the space, in place of those still to be found."""
    space = at_patch(config.discriminator.space, patch).build()
    loss = ADVERSARIAL[config.perceptual.adversarial]()
    return member("searched", space, typical_discriminator(space), loss=loss)


def _plan_contender(
    task: _Setting,
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
        adversarial=contender.loss,
    )
    seconds, memory = time_step(step, pairs, task.training, scale=scale, device=device)
    note = f"timed with a discriminator of {human(contender.cost.mult_adds)} mult-adds"
    return StagePlan("discriminator", task.training.steps, seconds, memory=memory, note=note)


def _plan_comparison(config: TpsrConfig, file: Path, device: str) -> list[StagePlan]:
    """Time a training against each discriminator; a typical one replaces those not found yet."""
    start = load_model(file)
    generator, scale = start.module, start.scale
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    compare = config.compare
    task = _Setting(compare.training, config.perceptual, full_layers(config))
    found = [_typical_contender(config, scale * compare.training.patch)] * min(1, compare.count)
    known = contenders(config, [], scale=scale, seed=0)
    timed = {
        c.name: _plan_contender(task, generator, c, pairs, scale, device) for c in (*found, *known)
    }
    times = dict.fromkeys(timed, compare.trainings)
    if found:
        times[found[0].name] *= compare.count
    total = sum(plan.steps * times[name] for name, plan in timed.items())
    seconds = sum(p.seconds_per_step * p.steps * times[name] for name, p in timed.items())
    validating = time_validations(
        generator,
        compare.training,
        data=config.data,
        metrics=final_metrics(config),
        scale=scale,
        device=device,
    )
    return [
        StagePlan(
            "compare",
            total,
            seconds / total,
            extra_seconds=sum(times.values()) * validating,
            memory=max(plan.memory for plan in timed.values()),
            note=f"{sum(times.values())} trainings against {', '.join(timed)}",
        )
    ]
