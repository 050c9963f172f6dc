"""Options of the recipe ``trilevel`` (no torch here)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, components, option, section
from corenas.search.config import SearchConfig
from corenas.supernets.one_shot import is_one_shot
from corenas_sr.config import DataConfig, PixelTrainingConfig
from corenas_trilevel.search.config import PerceptualConfig
from corenas_trilevel.space.published import RESULTS
from corenas_trilevel.teacher.config import TeacherConfig

IMAGES = 3450
"""Training images of the paper: DIV2K's 800 photographs and Flickr2K's 2650."""


def steps_of(epochs: int, *, batch: int = 16) -> int:
    """Return how many steps the paper's epochs are, rounded up."""
    return -(-epochs * IMAGES // batch)


@frozen
class TaughtTrainingConfig(PixelTrainingConfig):
    """Options of a training against the teacher's images (Adam)."""

    pixel: float = option(
        1.0, "weight of L1 between images in [0, 1]", paper="1; visual fine-tuning 0.01", ge=0
    )
    perceptual: float = option(
        0.0, "weight of the distance between features", paper="0; visual fine-tuning 1", ge=0
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        losses = {self.loss, *(phase.loss for phase in self.phases)}
        if losses - {"l1", None}:
            raise ConfigError(
                "loss: what is minimised here is named by 'pixel' and 'perceptual'; got "
                f"{', '.join(sorted(filter(None, losses)))}"
            )
        if not self.pixel and not self.perceptual:
            raise ConfigError("perceptual: must be greater than 0 where pixel is 0, got 0")


@frozen
class TrilevelConfig:
    """Options of the recipe ``trilevel``."""

    data: DataConfig = section(DataConfig, "images")
    metrics: tuple[Chosen, ...] = components(
        "metrics", ("psnr", "ssim"), "metrics of finished models"
    )
    teacher: TeacherConfig = section(
        TeacherConfig, "whose images search and training learn to make"
    )
    features: PerceptualConfig = section(
        PerceptualConfig, "what perceptual losses compare; needed where they weigh something"
    )
    search: SearchConfig = section(
        SearchConfig,
        "the search; steps, evaluator and executor are for sampling strategies, which train "
        "candidates one by one",
        steps=20,
        space="trilevel-b",
        strategy="trilevel",
        evaluator="sr-training",
    )
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

    @property
    def taught_search(self) -> SearchConfig:
        """The search, which gets the recipe's teacher and features where it has none."""
        strategy = self.search.strategy.filled(teacher=self.teacher, features=self.features)
        evaluator = self.search.evaluator.filled(teacher=self.teacher)
        return evolve(self.search, strategy=strategy, evaluator=evaluator)

    @property
    def is_one_shot(self) -> bool:
        """Whether the search trains a supernet, whose weights the network found inherits."""
        return is_one_shot(self.search.strategy)

    @property
    def teaches_supernet(self) -> bool:
        """Whether the search trains a supernet, and this learns from the teacher."""
        search = self.taught_search
        parts = (search.strategy, search.evaluator)
        return self.is_one_shot and any(part.option("teacher") for part in parts)

    @property
    def trainings(self) -> Mapping[str, TaughtTrainingConfig]:
        """The trainings of the network found, in their order, by the option's name."""
        second = {} if self.finetune is None else {"finetune": self.finetune}
        return {"training": self.training, **second}
