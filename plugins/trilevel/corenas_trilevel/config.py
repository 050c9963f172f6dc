"""Options of the recipe ``trilevel`` (no torch here)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, component, components, option, section
from corenas_sr.config import DataConfig, TrainingConfig
from corenas_trilevel.published import RESULTS
from corenas_trilevel.space.config import CellsConfig
from corenas_trilevel.supernet.config import PerceptualConfig, TrilevelStrategyConfig
from corenas_trilevel.teacher.config import TeacherConfig

IMAGES = 3450
"""What the paper trains on: DIV2K's 800 photographs and Flickr2K's 2650."""


def steps_of(epochs: int, *, batch: int = 16) -> int:
    """Return the steps, rounded up, in which the paper sees each of its images so many times."""
    return -(-epochs * IMAGES // batch)


@frozen
class SearchConfig:
    """Options of the search. The strategy ``trilevel`` asks for no more than the space."""

    steps: int = option(
        20, "candidates that a sampling strategy trains; trilevel has steps of its own", ge=1
    )
    space: Chosen = component("search_spaces", "trilevel-b", "what is searched")
    strategy: Chosen = component("strategies", "trilevel", "how it is searched")
    evaluator: Chosen = component(
        "evaluators", "sr-training", "how a sampling strategy measures a candidate"
    )
    objective: Chosen = component(
        "objectives", "metric", "what makes one candidate better than another"
    )
    executor: Chosen = component("executors", "processes", "where candidates are trained")
    rejections: int = option(1000, "give up after so many rejections in a row", ge=1)
    failures: int = option(10, "give up after so many failures in a row", ge=1)


@frozen
class TaughtTrainingConfig(TrainingConfig):
    """Options of a training against the teacher's images (Adam)."""

    pixel: float = option(
        1.0, "weight of L1 between images in [0, 1]", paper="1; visual fine-tuning 0.01", ge=0
    )
    perceptual: float = option(
        0.0, "weight of the distance between features", paper="0; visual fine-tuning 1", ge=0
    )

    def __attrs_post_init__(self) -> None:
        if not self.pixel and not self.perceptual:
            raise ConfigError("perceptual: must be greater than 0 where pixel is 0, got 0")


@frozen
class TrilevelConfig:
    """Options of the recipe ``trilevel``."""

    data: DataConfig = section(DataConfig, "images")
    metrics: tuple[Chosen, ...] = components(
        "metrics", ("psnr", "ssim"), "what finished models are measured by"
    )
    teacher: TeacherConfig = section(
        TeacherConfig, "whose images search and training learn to make"
    )
    features: PerceptualConfig = section(
        PerceptualConfig, "what perceptual losses compare; needed where they weigh something"
    )
    search: SearchConfig = section(SearchConfig, "the search")
    start: Literal["search", "scratch", "both"] = option(
        "search",
        "what the network found is trained from: the weights that it has in the supernet, fresh "
        "ones, or in two trainings from either",
    )
    training: TaughtTrainingConfig = section(
        TaughtTrainingConfig,
        "the training of the network found; the paper's 900 epochs of 3450 images, 16 in a step",
        steps=steps_of(900),
        patch=32,
        schedule="multistep",
        milestones=tuple(map(steps_of, (225, 450, 675))),
        validate_every=10_000,
    )
    finetune: TaughtTrainingConfig | None = option(
        None, "a second training after that, as for visual quality; unset: none"
    )
    published: str | None = option(
        None, "row of the paper that is printed beside ours; unset: none", choices=RESULTS
    )

    def __attrs_post_init__(self) -> None:
        space = self.search.space
        if not isinstance(space.config, CellsConfig):
            raise ConfigError(
                f"search.space: {space.name!r} is no space of paths, cells and widths; "
                "allowed are trilevel-a and trilevel-b"
            )

    @property
    def strategy(self) -> Chosen:
        """The strategy; it has the recipe's teacher and features where it has none of its own."""
        chosen = self.search.strategy
        if not isinstance(chosen.config, TrilevelStrategyConfig):
            return chosen
        teacher = chosen.config.teacher or self.teacher
        features = chosen.config.features or self.features
        return evolve(chosen, config=evolve(chosen.config, teacher=teacher, features=features))

    @property
    def trainings(self) -> Mapping[str, TaughtTrainingConfig]:
        """What the network found goes through, in this order, by the option's name."""
        second = {} if self.finetune is None else {"finetune": self.finetune}
        return {"training": self.training, **second}
