"""Options of the recipe ``tpsr``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, components, option, section
from corenas.search.config import SearchConfig
from corenas_sr.config import DataConfig, PixelTrainingConfig, absolute_file
from corenas_tpsr.perceptual.config import CompareConfig, PerceptualConfig


@frozen
class FreshConfig:
    """Options of the best candidates' training from scratch."""

    count: int = option(3, "best candidates trained again from scratch", ge=0)
    pick: Literal["warm", "fresh"] = option(
        "fresh", "the score that picks the winner: the search's own, or that from scratch",
        paper="warm",
    )  # fmt: skip


@frozen
class TpsrConfig:
    """Options of the recipe ``tpsr``."""

    stages: Literal["both", "generator", "discriminator"] = option(
        "both",
        "stages to run: the search for a generator, the search for a discriminator that improves "
        "it, or both",
    )
    generator: Path | None = option(
        None,
        "model file of a trained generator, for stages = discriminator",
        converter=absolute_file,
    )
    data: DataConfig = section(DataConfig, "images")
    metrics: tuple[Chosen, ...] = components(
        "metrics", ("psnr", "ssim"), "metrics of finished models"
    )
    search: SearchConfig = section(
        SearchConfig,
        "the search, at scale 2; in the paper, T = 2500 candidates",
        steps=2500,
        space="tpsr-generator",
        strategy="reinforce",
        evaluator="tpsr-proxy",
    )
    fresh: FreshConfig = section(FreshConfig, "the best candidates again, from scratch")
    x2: PixelTrainingConfig = section(
        PixelTrainingConfig,
        "full training at scale 2, from the cached weights",
        steps=450_000,
        patch=96,
        schedule="multistep",
        milestones=(200_000,),
        validate_every=10_000,
    )
    x4: PixelTrainingConfig = section(
        PixelTrainingConfig,
        "full training at scale 4, from the model at scale 2",
        steps=450_000,
        patch=48,
        schedule="multistep",
        milestones=(200_000,),
        validate_every=10_000,
    )

    perceptual: PerceptualConfig = section(PerceptualConfig, "what looks good, in stage two")
    discriminator: SearchConfig = section(
        SearchConfig,
        "the search for a discriminator, from the model at scale 4; its executor is that of the "
        "first search, without its time limit, where it has none of its own",
        steps=500,
        space="tpsr-discriminator",
        strategy="reinforce",
        evaluator="tpsr-adversarial",
    )
    compare: CompareConfig = section(
        CompareConfig, "full training against the best discriminators and known ones"
    )

    def __attrs_post_init__(self) -> None:
        if (self.stages == "discriminator") != (self.generator is not None):
            raise ConfigError(
                "generator: goes with stages = discriminator, and that with a generator; got "
                f"stages = {self.stages} and {self.generator or 'no generator'}"
            )
        space = self.search.space
        scale = space.option("scale")
        if scale is None:
            raise ConfigError(
                f"search.space: {space.name!r} has no option 'scale'; allowed are only spaces of "
                "super-resolution networks"
            )
        if scale != 2:
            raise ConfigError(f"search.space.scale: must be 2, x4 is trained from x2; got {scale}")
