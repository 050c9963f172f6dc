"""Options that super-resolution recipes share: data, trainings on patches, candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.options.declaring import option
from corenas.options.structuring import Chosen, component, components, section
from corenas.training.config import TrainingConfig

EMBEDDED = "embedded"
"""Names the photographs that come with scikit-image, instead of a folder."""


def absolute(source: str) -> str:
    """Return a folder's absolute path: a run may be resumed from elsewhere."""
    return source if source == EMBEDDED else str(Path(source).expanduser().absolute())


def _all_absolute(sources: Iterable[str]) -> tuple[str, ...]:
    return tuple(absolute(source) for source in sources)


def absolute_file(path: Path | None) -> Path | None:
    """Return a file's absolute path: a run may be resumed from elsewhere."""
    return None if path is None else path.expanduser().absolute()


@frozen
class DataConfig:
    """Options of the images: folders (`corenas_sr.data.folders`) or the bundled photographs."""

    train: str = option(
        EMBEDDED,
        "images to train on: a folder, or 'embedded' for a few bundled photographs",
        paper="DIV2K 0001-0800",
        converter=absolute,
        place=True,
    )
    validation: str = option(
        EMBEDDED,
        "images to measure on while training and searching, none of them in train",
        paper="DIV2K 0801-0900",
        converter=absolute,
        place=True,
    )
    benchmarks: tuple[str, ...] = option(
        (),
        "folders of test images for the final numbers",
        paper="Set5, Set14, B100, Urban100",
        converter=_all_absolute,
        place=True,
    )

    @classmethod
    def required(cls, data: Any, by: str) -> DataConfig:
        """Return the data of a search, which the core does not look at, as images.

        Args:
            data: What the recipe gave the search.
            by: Who trains on images, for the message.

        Raises:
            ConfigError: There are no images.
        """
        if not isinstance(data, cls):
            raise ConfigError(f"data: {by} trains on images; it was given none")
        return data


@frozen
class PatchTrainingConfig(TrainingConfig):
    """Options of a training on patches of images (L1 against the ground truth, Adam)."""

    steps: int = option(100_000, "optimiser steps; an epoch of the papers is 1000", ge=1)
    batch: int = option(16, "patches in a step", ge=1)
    patch: int = option(48, "side of a patch", unit="low-resolution pixels", ge=4)
    learning_rate: float = option(1e-4, "step size of Adam", paper="1e-4", gt=0)
    gamma: float = option(0.5, "factor at a milestone", paper="0.5", gt=0, le=1)


PixelLoss = Literal["l1", "charbonnier", "l2", "l1-fft"]


@frozen
class PhaseConfig:
    """A later phase of a training; what is unset is as in the training itself."""

    share: float = option(0.1, "share of the training's steps", gt=0, lt=1)
    batch: int | None = option(None, "patches in a step", ge=1)
    patch: int | None = option(None, "side of a patch", unit="low-resolution pixels", ge=4)
    learning_rate: float | None = option(None, "step size of Adam", gt=0)
    schedule: Literal["constant", "multistep", "cosine"] | None = option(
        None, "how the step size falls"
    )
    loss: PixelLoss | None = option(None, "what is minimised")


@frozen
class PixelTrainingConfig(PatchTrainingConfig):
    """Options of a training against the ground truth, in one phase or more.

    ``steps`` is the sum over the phases. Optimiser, schedule, warm-up and moving average begin anew
    with each phase, which goes on with the network that the one before delivered.

    Raises:
        ConfigError: The phases leave no step to the first one.
    """

    loss: PixelLoss = option("l1", "what is minimised between image and ground truth", paper="l1")
    fft_weight: float = option(0.05, "weight of the frequencies in the loss l1-fft", gt=0)
    ema: float | None = option(
        None, "decay of a moving average of the weights, which then is what counts", ge=0, lt=1
    )
    clip: float | None = option(None, "largest norm of all gradients together", gt=0)
    reparameterise: bool = option(
        False, "let dense 3x3 convolutions train as branches that are merged into one kernel"
    )
    phases: tuple[PhaseConfig, ...] = option((), "what follows the first phase")

    def __attrs_post_init__(self) -> None:
        # Every phase needs a step of its own, the first one what the others leave.
        if min(steps for steps, _ in self._shares()) < 1:
            raise ConfigError(
                f"phases: of {self.steps} steps, each phase needs one at least; the shares are "
                f"{[phase.share for phase in self.phases]}"
            )

    def in_phases(self) -> Iterator[PixelTrainingConfig]:
        """Yield a configuration without phases for each phase, its steps as many as it has."""
        for steps, phase in self._shares():
            names = ("batch", "patch", "learning_rate", "schedule", "loss")
            own = {name: getattr(phase, name) for name in names if phase is not None}
            changes = {name: value for name, value in own.items() if value is not None}
            yield evolve(self, phases=(), steps=steps, **changes)

    @property
    def largest_patch(self) -> int:
        """The largest side of a patch in any phase, in low-resolution pixels."""
        return max(config.patch for config in self.in_phases())

    def _shares(self) -> Iterator[tuple[int, PhaseConfig | None]]:
        later = [round(self.steps * phase.share) for phase in self.phases]
        yield self.steps - sum(later), None
        yield from zip(later, self.phases, strict=True)


@frozen
class CandidateConfig:
    """Options of the evaluator ``sr-training``: how one candidate is trained and measured.

    Raises:
        ConfigError: Latencies are to be timed and to be taken from a table.
    """

    training: PixelTrainingConfig = section(
        PixelTrainingConfig,
        "the training of a candidate, from fresh weights",
        steps=2000,
        patch=24,
        learning_rate=1e-3,
        schedule="cosine",
    )
    metrics: tuple[Chosen, ...] = components("metrics", ("psnr",), "metrics of a candidate")
    crops: int = option(32, "fixed validation crops that a candidate is measured on", ge=1)
    crop_size: int = option(48, "side of those crops", unit="low-resolution pixels", ge=16)
    mult_adds_limit: float | None = option(
        None, "larger candidates are rejected; unset: none is", unit="mult-adds", gt=0
    )
    params_limit: int | None = option(
        None, "candidates with more parameters are rejected; unset: none is", gt=0
    )
    latency: tuple[int, int] | None = option(
        None,
        "width and height of the input whose forward pass is timed where a candidate is trained, "
        "as the metric latency in seconds; unset: none is",
        unit="low-resolution pixels",
        ge=1,
    )
    latency_engine: Chosen = component("latency_engines", "torch", "what runs that forward pass")
    latency_table: Path | None = option(
        None,
        "file of 'corenas latency table', whose parts are added up instead of timing candidates",
        converter=absolute_file,
    )
    latency_limit: float | None = option(
        None,
        "candidates that are slower by latency_table are rejected; unset: none is",
        unit="seconds",
        gt=0,
    )
    output: tuple[int, int] = option(
        (1280, 720), "output size that mult-adds are counted for", unit="pixels", ge=1
    )

    def __attrs_post_init__(self) -> None:
        if self.latency is not None and self.latency_table is not None:
            raise ConfigError(
                "latency: candidates are timed, or latency_table says how long they take; leave "
                "one of both unset"
            )


@frozen
class TrainConfig:
    """Options of the recipe ``train``."""

    architecture: str = option(
        "tpsr/paper", "a published architecture, a model file, or a space with 'cell'"
    )
    cell: Path | None = option(
        None, "JSON file with an architecture of the space", converter=absolute_file
    )
    scale: int | None = option(None, "up-scaling factor; unset: the architecture's own", ge=2, le=4)
    start: Path | None = option(
        None,
        "model file whose fitting tensors training starts from, such as x2 before x4",
        converter=absolute_file,
    )
    data: DataConfig = section(DataConfig, "images")
    metrics: tuple[Chosen, ...] = components(
        "metrics", ("psnr", "ssim"), "metrics of the trained model"
    )
    training: PixelTrainingConfig = section(
        PixelTrainingConfig,
        "the training",
        steps=20_000,
        learning_rate=1e-3,
        schedule="cosine",
        validate_every=2000,
    )


OUTPUT = (1280, 720)
"""Width and height of the output for which the literature counts mult-adds."""
