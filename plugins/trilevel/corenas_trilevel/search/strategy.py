"""The strategy ``trilevel``: path, operations and widths searched together by gradients.

Wu et al., "Trilevel Neural Architecture Search for Efficient Single Image Super-Resolution"
(arXiv:2101.06658), Algorithm 1 of the supplement.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Literal

import torch
from attrs import evolve, frozen
from torch import nn

from corenas import (
    MULT_ADDS,
    PARAMS,
    ConfigError,
    DataError,
    Event,
    Measurement,
    Problem,
    Quantity,
    Result,
    Search,
    SearchResult,
    StagePlan,
    State,
    Task,
    choose,
    nearest,
)
from corenas.cost import count
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas.training.schedules import multistep
from corenas.training.timing import peak_memory
from corenas.values.seeds import derive_seed
from corenas_sr.config import OUTPUT, DataConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.patches import PatchSampler
from corenas_sr.data.preflight import check_data
from corenas_sr.models.files import save_model
from corenas_sr.training.losses import FeatureLoss, feature_loss
from corenas_trilevel.search._logits import Logits
from corenas_trilevel.search._step import PretrainStep, SearchStep, SupernetStep
from corenas_trilevel.search.config import PerceptualConfig, PhaseConfig, TrilevelStrategyConfig
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.space.supernet import TrilevelSupernet
from corenas_trilevel.teacher.checks import CheckedTraining, check_teacher_option, check_trainings
from corenas_trilevel.teacher.config import TeacherConfig
from corenas_trilevel.teacher.images import taught_pairs
from corenas_trilevel.teacher.loss import TeacherLoss

STRATEGY = "the strategy 'trilevel'"
"""Names the strategy in messages."""

PhaseName = Literal["pretrain", "search"]
PHASES: tuple[PhaseName, ...] = ("pretrain", "search")

Pairs = tuple[ImagePair, ...]


STEPS = 4
"""Steps of each phase in an estimate; the first one is slower and is not timed."""


@frozen
class TrilevelStrategy:
    """Searches a space of `TrilevelSpace` by training its supernet."""

    config: TrilevelStrategyConfig

    def check(self, problem: Problem) -> None:
        """Check features, patches, the teacher and all images.

        Raises:
            ConfigError: The space has no supernet of three levels, the recipe gives no images, the
                fixed path is not of the space, or a patch is too small for the features.
            DataError: Weights, the teacher or images cannot be used.
        """
        space, data = self._space(problem), DataConfig.required(problem.data, STRATEGY)
        scale, config = space.config.scale, self.config
        phases = {name: getattr(config, name) for name in PHASES}
        trainings = [
            CheckedTraining(f"search.strategy.{name}", phase.patch, config.features)
            if phase.perceptual
            else CheckedTraining(f"search.strategy.{name}", phase.patch)
            for name, phase in phases.items()
        ]
        # What takes longest comes last: reading all images, and then those of a teacher.
        check_trainings(trainings, scale)
        teacher = config.teacher or TeacherConfig()
        check_teacher_option("search.strategy.teacher", teacher, scale=scale)
        check_data(data, patches={scale: max(phase.patch for phase in phases.values())})
        check_teacher_option("search.strategy.teacher", teacher, scale=scale, source=data.train)

    def plan(self, problem: Problem) -> StagePlan:
        """Time a few steps of both phases; those of the search cover the radius from 0 to 1."""
        config = self.config
        timed = evolve(
            config,
            # The ground truth has images of the same size and takes no time to make.
            teacher=TeacherConfig(),
            pretrain=evolve(config.pretrain, steps=STEPS, report_every=1),
            search=evolve(config.search, steps=STEPS, report_every=1),
        )
        seconds = list(_time_events(TrilevelStrategy(timed).search(problem)))
        before, during = mean(seconds[1:STEPS]), mean(seconds[STEPS + 1 :])
        steps = config.pretrain.steps + config.search.steps
        return StagePlan(
            "search",
            steps,
            (before * config.pretrain.steps + during * config.search.steps) / steps,
            memory=peak_memory(problem.device),
            note=f"{before:.3g} s a step of pretraining, {during:.3g} s of the search",
        )

    def search(self, problem: Problem) -> Search:
        """Return the search as resumable work.

        Raises:
            ConfigError: The space has no supernet of three levels, the recipe gives no images, or
                the fixed path is not of the space.
            DataError: There are fewer than two images, or images or weights cannot be used.
        """
        space, source = self._space(problem), DataConfig.required(problem.data, STRATEGY).train
        pairs = load_pairs(source, scale=space.config.scale, split="train")
        if len(pairs) < 2:
            raise DataError(
                f"{source}: one image; the strategy 'trilevel' needs two at least, because weights "
                "and architecture learn from different ones"
            )
        return TrilevelSearch(space, self.config, pairs, seed=problem.seed, device=problem.device)

    def _space(self, problem: Problem) -> TrilevelSpace:
        space = problem.space
        if not isinstance(space, TrilevelSpace):
            raise ConfigError(
                "space: the strategy 'trilevel' needs a supernet of path, operations and widths, "
                f"as trilevel-a and trilevel-b have it; {space.name!r} has none"
            )
        _check_path(self.config.architecture.fixed_path, space)
        return space


def _time_events(task: Task) -> Iterator[float]:
    """Yield the seconds of each event of a task."""
    started = time.perf_counter()
    for _ in task.events():
        yield time.perf_counter() - started
        started = time.perf_counter()


def _check_path(path: str | None, space: TrilevelSpace) -> None:
    if path is not None and path not in space.candidates:
        raise ConfigError(
            f"architecture.fixed_path: {path!r} is no path of {space.name}"
            f"{nearest(path, space.candidates)}"
        )


def halves(pairs: Sequence[ImagePair], *, seed: int) -> tuple[Pairs, Pairs]:
    """Split images at random into those for the weights and those for the architecture.

    Of an odd number, the weights get one more: pretraining uses them, too.
    """
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed)).tolist()
    middle = (len(pairs) + 1) // 2
    first, second = order[:middle], order[middle:]
    return tuple(pairs[i] for i in sorted(first)), tuple(pairs[i] for i in sorted(second))


@frozen
class _Phase:
    """The phase under way; ``before`` is how many steps came before it."""

    name: PhaseName
    before: int
    step: SupernetStep
    training: Training


class TrilevelSearch:
    """Pretraining and search, one after the other, as one task.

    Pretraining uses the weights' half of the images. The architecture at any time is that of the
    largest logits; the result is its network, with the weights that it has in the supernet.
    """

    def __init__(
        self,
        space: TrilevelSpace,
        config: TrilevelStrategyConfig,
        pairs: Sequence[ImagePair],
        *,
        seed: int,
        device: str,
    ) -> None:
        self._space = space
        self._config = config
        self._pairs = pairs
        self._seed = seed
        self._device = device
        self._features = _build_features(config)
        self._phases = {"pretrain": config.pretrain, "search": config.search}
        self._total = sum(phase.steps for phase in self._phases.values())
        self._current: _Phase | None = None

    @cached_property
    def _halves(self) -> tuple[Pairs, Pairs]:
        taught = taught_pairs(
            self._pairs,
            self._config.teacher or TeacherConfig(),
            scale=self._space.config.scale,
            device=self._device,
        )
        return halves(taught, seed=derive_seed(self._seed, "halves"))

    @cached_property
    def _supernet(self) -> TrilevelSupernet:
        with seeded(derive_seed(self._seed, "weights")):
            return self._space.supernet()

    @cached_property
    def _logits(self) -> Logits:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "logits"))
        return Logits(self._space, self._config.architecture, generator=generator)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Describe the costs of the network of the largest logits, and the mixture's numbers."""
        width, height = OUTPUT
        return (
            evolve(MULT_ADDS, protocol=f"output of {width}x{height}"),
            PARAMS,
            Quantity("expected_cost", "lower", summary="mult-adds of the mixture"),
            Quantity("loss", "lower", summary="of the mixture, over the widths of a step"),
        )

    def events(self) -> Iterator[Event]:
        """Pretrain, then search; yield an ``epoch`` event every ``report_every`` steps.

        Raises:
            Diverged: A loss or the architecture left the finite numbers.
        """
        phase = self._start()
        for name in PHASES[PHASES.index(phase.name) :]:
            # A restored phase is under way already: making it anew would lose what it has learned.
            if name != phase.name:
                phase = self._current = self._make_phase(name)
            for event in phase.training.events():
                yield self._describe(phase, event)

    def _start(self) -> _Phase:
        """Return the phase under way; begin the first one where there is none."""
        if self._current is None:
            self._current = self._make_phase(PHASES[0])
        return self._current

    def _describe(self, phase: _Phase, event: Event) -> Event:
        """Return a training's event as one of the whole search, with the architecture so far."""
        return evolve(
            event,
            step=phase.before + event.step,
            total=self._total,
            scalars={**event.scalars, **phase.step.report()},
            architecture=self._logits.architecture(),
            message=event.message or phase.name,
        )

    def _make_phase(self, name: PhaseName) -> _Phase:
        config, search = self._phases[name], name == "search"
        step = (SearchStep if search else PretrainStep)(
            self._supernet,
            self._logits,
            TeacherLoss(config, self._features),
            self._config,
            learning_rate=config.learning_rate,
            seed=derive_seed(self._seed, name, "draws"),
            device=self._device,
        )
        # Alg. 1 pretrains on the weights' half alone: what the architecture learns from must be
        # new to the weights.
        learners = ("weights", "architecture") if search else ("weights",)
        streams = [
            PatchSampler(
                half,
                scale=self._space.config.scale,
                patch=config.patch,
                batch=config.batch,
                seed=derive_seed(self._seed, name, learner, "patches"),
                device=self._device,
            )
            for learner, half in zip(learners, self._halves, strict=False)
        ]
        before = self._config.pretrain.steps if search else 0
        return _Phase(name, before, step, self._training(step, streams, config))

    def _training(
        self, step: SupernetStep, streams: Sequence[PatchSampler], config: PhaseConfig
    ) -> Training:
        return Training(
            step,
            streams,
            steps=config.steps,
            schedule=multistep([round(part * config.steps) for part in config.milestones]),
            report_every=config.report_every,
            save=self._save,
            threads=config.threads,
        )

    def state(self) -> State:
        """Return the phase under way and the state of its training; tensors are not copied."""
        phase = self._start()
        return {"phase": phase.name, "training": phase.training.state()}

    def restore(self, state: State) -> None:
        """Continue inside the phase that the state is of."""
        self._current = self._make_phase(state["phase"])
        self._current.training.restore(state["training"])

    def result(self, folder: Path) -> Result:
        """Return the architecture of the largest logits, and its network.

        There are no trials. The loss is the last one reported. It is that of the supernet's
        mixture, summed over the widths of a step, and not of this network alone.
        """
        phase = self._current
        if phase is None:
            return SearchResult(counts={"steps": 0}, quantities=self.quantities).to_result()
        trained = phase.training.result(folder)
        return SearchResult(
            chosen=self._logits.architecture(),
            measurement=self._measurement(phase, trained.values["scalars"].get("loss")),
            counts={"steps": phase.before + trained.values["steps"]},
            quantities=self.quantities,
            files=trained.files,
        ).to_result()

    def _measurement(self, phase: _Phase, loss: float | None) -> Measurement:
        architecture, scale = self._logits.architecture(), self._space.config.scale
        width, height = (side // scale for side in OUTPUT)
        with torch.device("meta"):
            network = self._space.build(architecture)
        cost = count(network, (1, 3, height, width))
        metrics = {
            "mult_adds": cost.mult_adds,
            "params": cost.params,
            "expected_cost": phase.step.report()["expected_cost"],
            "loss": math.nan if loss is None else loss,
        }
        return Measurement(metrics)

    def _save(self, module: nn.Module, folder: Path) -> Mapping[str, str]:
        # The strategy was given the built space; a model file needs its name and options.
        space = choose("search_spaces", self._space.name)
        name = f"{space.name}-inherited.safetensors"
        save_model(
            folder / name,
            module,
            space=evolve(space, config=self._space.config),
            architecture=self._logits.architecture(),
            scale=self._space.config.scale,
        )
        return {"inherited": name}


def _build_features(config: TrilevelStrategyConfig) -> FeatureLoss | None:
    """Return the feature loss, if a phase gives it a weight."""
    needed = config.pretrain.perceptual or config.search.perceptual
    return feature_loss(config.features or PerceptualConfig()) if needed else None
