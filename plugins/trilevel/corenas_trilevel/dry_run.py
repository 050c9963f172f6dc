"""The dry run of the recipe ``trilevel``: check everything, time a few steps, train nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from corenas import Architecture, StagePlan, plan_search
from corenas.cost import human
from corenas.training.timing import seconds_of
from corenas_sr.config import OUTPUT
from corenas_sr.data.datasets import load_pairs
from corenas_sr.training.final import plan_training
from corenas_sr.training.losses import feature_loss
from corenas_sr.training.pixel import PixelStep
from corenas_trilevel._checks import check_options
from corenas_trilevel._final_training import STAGES
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.space.counting import count
from corenas_trilevel.space.decisions import PATH
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.teacher.config import GROUND_TRUTH
from corenas_trilevel.teacher.images import taught_pairs
from corenas_trilevel.teacher.loss import TeacherLoss


def check(config: TrilevelConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check everything; estimate the search and what follows from a few steps of each."""
    check_options(config)
    device = devices[0]
    both = config.start == "both" and config.is_one_shot
    plans = [*_plan_teacher(config, device)]
    plans.append(
        plan_search(
            "search", config.taught_search, data=config.data, devices=devices, workers=workers
        )
    )
    endings = ["", "-scratch"] if both else [""]
    return [*plans, *(plan for end in endings for plan in _plan_trainings(config, end, device))]


def _plan_teacher(config: TrilevelConfig, device: str) -> Iterator[StagePlan]:
    """Time the teacher's first image; the ground truth makes none."""
    if config.teacher.source == GROUND_TRUTH:
        return
    scale = config.search.space.config.scale
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    first = seconds_of(lambda: taught_pairs(pairs[:1], config.teacher, scale=scale, device=device))
    yield StagePlan("teach", len(pairs), first, note="the teacher's images, made once")


def _plan_trainings(config: TrilevelConfig, ending: str, device: str) -> Iterator[StagePlan]:
    """Estimate each training of the network found by that of a typical one."""
    for option, training in config.trainings.items():
        network, note = _typical_network(config)
        features = feature_loss(config.features) if training.perceptual else None
        loss = TeacherLoss(training, features).to(device)
        yield plan_training(
            f"{STAGES[option]}{ending}",
            PixelStep.of(network, training, loss=loss, device=device),
            training,
            data=config.data,
            metrics=config.metrics,
            scale=config.search.space.config.scale,
            device=device,
            note=note,
        )


def _typical_network(config: TrilevelConfig) -> tuple[nn.Module, str]:
    """Return a network of a longest path and middle options, and the note of its estimate."""
    space: TrilevelSpace = config.search.space.build()
    choices = {d.name: d.options[len(d.options) // 2] for d in space.decisions}
    choices[PATH] = max(space.candidates, key=len)
    network = space.build(Architecture(space.name, choices))
    width, height = (side // space.config.scale for side in OUTPUT)
    mult_adds = count(network, size=(height, width)).mult_adds
    return network, f"timed with a network of {human(mult_adds)} mult-adds"
