"""The dry run of the recipe ``trilevel``: all is checked, a few steps timed, nothing trained."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import mean

from attrs import evolve
from torch import nn

from corenas import Architecture, InputError, StagePlan
from corenas.cost import human
from corenas_sr.config import ShortTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.folders import Split
from corenas_sr.models.costs import OUTPUT
from corenas_sr.results.evaluation import build_metrics, validator
from corenas_sr.training.candidates import measure_on_crops
from corenas_sr.training.losses import feature_loss
from corenas_sr.training.pixel import PixelStep
from corenas_sr.training.timing import peak_memory, seconds_of, time_step, time_training
from corenas_trilevel import checks
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.final_training import STAGES
from corenas_trilevel.space.counting import count
from corenas_trilevel.space.decisions import PATH
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.supernet.config import TrilevelStrategyConfig
from corenas_trilevel.supernet.strategy import TrilevelSearch
from corenas_trilevel.teacher.config import TeacherConfig
from corenas_trilevel.teacher.images import taught_pairs
from corenas_trilevel.teacher.loss import TeacherLoss

STEPS = 4
"""Steps that the supernet does in each phase; the first one is not timed."""


def check(config: TrilevelConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check everything; estimate the search and what follows from a few steps of each."""
    checks.check(config)
    device = devices[0]
    strategy, endings = config.strategy.config, [""]
    if isinstance(strategy, TrilevelStrategyConfig):
        search = _supernet(config, strategy, device)
        endings += ["-scratch"] if config.start == "both" else []
    else:
        search = _candidates(config, device, workers)
    search = evolve(search, extra_seconds=search.extra_seconds + _teacher(config, device))
    return [search, *(plan for end in endings for plan in _trainings(config, end, device))]


def _pairs(config: TrilevelConfig, split: Split) -> tuple[ImagePair, ...]:
    source = getattr(config.data, split)
    return load_pairs(source, scale=config.search.space.config.scale, split=split)


def _teacher(config: TrilevelConfig, device: str) -> float:
    """Return how many seconds the teacher takes for all images, from its first one."""
    pairs, scale = _pairs(config, "train"), config.search.space.config.scale
    first = seconds_of(lambda: taught_pairs(pairs[:1], config.teacher, scale=scale, device=device))
    return first * len(pairs)


def _supernet(config: TrilevelConfig, strategy: TrilevelStrategyConfig, device: str) -> StagePlan:
    """Time both phases; the radius of the search's few steps is spread over its range."""
    timed = evolve(
        strategy,
        teacher=TeacherConfig(),  # which has no work, and images of the same sizes
        pretrain=evolve(strategy.pretrain, steps=STEPS, report_every=1),
        search=evolve(strategy.search, steps=STEPS, report_every=1),
    )
    space = config.search.space.build()
    task = TrilevelSearch(space, timed, _pairs(config, "train"), seed=0, device=device)
    seconds = list(_seconds(task))
    before, during = mean(seconds[1:STEPS]), mean(seconds[STEPS + 1 :])
    steps = strategy.pretrain.steps + strategy.search.steps
    return StagePlan(
        "search",
        steps,
        (before * strategy.pretrain.steps + during * strategy.search.steps) / steps,
        memory=peak_memory(device),
        note=f"{before:.3g} s a step of pretraining, {during:.3g} s of the search",
    )


def _seconds(task: TrilevelSearch) -> Iterator[float]:
    """Yield what each event of a task takes."""
    started = time.perf_counter()
    for _ in task.events():
        yield time.perf_counter() - started
        started = time.perf_counter()


def _candidates(config: TrilevelConfig, device: str, workers: int) -> StagePlan:
    """Time the training of one candidate, and its measurement."""
    search = config.search
    search.strategy.build()
    short, scale = search.evaluator.config, search.space.config.scale
    if not isinstance(short, ShortTrainingConfig):
        raise InputError(
            f"search.evaluator: a dry run knows sr-training alone, not {search.evaluator.name!r}"
        )
    model, note = _typical(config)
    pairs = _pairs(config, "train")
    seconds, memory = time_training(model, pairs, short.training, scale=scale, device=device)
    measured = seconds_of(
        lambda: measure_on_crops(
            model,
            config.data.validation,
            short.metrics,
            size=short.crop_size,
            count=short.crops,
            scale=scale,
            device=device,
        )
    )
    return StagePlan(
        "search",
        short.training.steps * search.steps,
        seconds,
        workers,
        measured * search.steps / workers,
        memory,
        note,
    )


def _trainings(config: TrilevelConfig, ending: str, device: str) -> Iterator[StagePlan]:
    """Time each training of a typical network: its steps, and its validations."""
    scale = config.search.space.config.scale
    metrics = build_metrics(config.metrics)
    validate = validator(_pairs(config, "validation"), metrics, scale=scale, device=device)
    for option, training in config.trainings.items():
        model, note = _typical(config)
        features = feature_loss(config.features) if training.perceptual else None
        loss = TeacherLoss(training, features).to(device)
        step = PixelStep(model, learning_rate=training.learning_rate, loss=loss, device=device)
        pairs = _pairs(config, "train")
        seconds, memory = time_step(step, pairs, training, scale=scale, device=device)
        times = -(-training.steps // (training.validate_every or training.steps))
        validating = times * seconds_of(partial(validate, step.model))
        stage = f"{STAGES[option]}{ending}"
        yield StagePlan(stage, training.steps, seconds, 1, validating, memory, note)


def _typical(config: TrilevelConfig) -> tuple[nn.Module, str]:
    """Return a network of a complete path and middle options, and what it is."""
    space: TrilevelSpace = config.search.space.build()
    choices = {d.name: d.options[len(d.options) // 2] for d in space.decisions}
    choices[PATH] = max(space.candidates, key=len)
    network = space.build(Architecture(space.name, choices))
    width, height = (side // space.config.scale for side in OUTPUT)
    mult_adds = count(network, size=(height, width)).mult_adds
    return network, f"timed with a network of {human(mult_adds)} mult-adds"
