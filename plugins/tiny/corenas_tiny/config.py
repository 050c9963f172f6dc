"""Options of the recipe ``tiny`` (no torch here)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, choose, components, option, section, structure
from corenas.search.config import SearchConfig
from corenas_sr.config import OUTPUT, DataConfig, PixelTrainingConfig, absolute_file

PARAMS_LIMIT = 61_097
"""Parameters of TPSR's x4 network (Lee et al., arXiv:2007.04356)."""

MULT_ADDS_PER_PIXEL = 61_856
"""Its mult-adds per low-resolution pixel: 3,562,905,600 for an output of 1280x720 at x4."""


@frozen
class FinalistsConfig:
    """Options of the longer trainings of the search's best candidates."""

    count: int = option(6, "best candidates of the search trained again, for longer", ge=0)
    longer: float = option(2.0, "how many times as many steps as in the search", gt=0)
    pick: Literal["search", "finalists"] = option(
        "finalists", "the score that picks the winner: the search's own, or that of the finalists"
    )


@frozen
class SharesConfig:
    """How ``--max-time`` is divided; what is left is that of the final trainings."""

    search: float = option(0.35, "share of the search", gt=0, lt=1)
    finalists: float = option(0.15, "share of the finalists", gt=0, lt=1)

    def __attrs_post_init__(self) -> None:
        if self.search + self.finalists >= 1:
            raise ConfigError(
                f"search: {self.search} and {self.finalists} for the finalists leave nothing"
            )


@frozen
class TinyConfig:
    """Options of the recipe ``tiny``.

    Raises:
        ConfigError: The space has no up-scaling factor, or a baseline is named twice.
    """

    scale: int = option(4, "up-scaling factor; it is also that of search.space", ge=2, le=4)
    params_limit: int = option(
        PARAMS_LIMIT, "candidates with more parameters are rejected", paper="TPSR: 61,097", gt=0
    )
    mult_adds_limit: float | None = option(
        None,
        f"candidates with more are rejected; unset: {MULT_ADDS_PER_PIXEL} for each pixel of the "
        "input, as TPSR's at x4",
        unit="mult-adds at 1280x720",
        gt=0,
    )
    latency_limit: float | None = option(
        None,
        "slower candidates score below all others, or are rejected by latency_table; unset: there "
        "is no limit",
        unit="s",
        gt=0,
    )
    latency_table: Path | None = option(
        None,
        "file of 'corenas latency table', whose parts are added up instead of timing candidates",
        converter=absolute_file,
    )
    data: DataConfig = section(DataConfig, "images")
    metrics: tuple[Chosen, ...] = components(
        "metrics", ("psnr", "ssim"), "metrics of finished models"
    )
    search: SearchConfig = section(
        SearchConfig,
        "the search; limits that its evaluator leaves unset are those above",
        steps=200,
        space="tiny",
        strategy={
            "use": "asha",
            "sampler": {"use": "evolution", "population": 24, "tournament": 6, "known": True},
        },
        evaluator={
            "use": "sr-training",
            "training": {
                "steps": 2400,
                "batch": 8,
                "patch": 24,
                "learning_rate": 4e-3,
                "warmup": 50,
                "clip": 5.0,
                "ema": 0.99,
                "report_every": 100,
            },
        },
    )
    finalists: FinalistsConfig = section(FinalistsConfig, "the best candidates again, for longer")
    training: PixelTrainingConfig = section(
        PixelTrainingConfig,
        "the training of the network found",
        steps=300_000,
        batch=8,
        patch=24,
        learning_rate=4e-3,
        schedule="cosine",
        warmup=500,
        # Twice the usual norm of the gradients: without it, now and then a training at this rate
        # leaves for good.
        clip=5.0,
        ema=0.999,
        validate_every=20_000,
        phases=[{"share": 0.1, "loss": "l2", "patch": 40, "learning_rate": 4e-4}],
    )
    baselines: tuple[str, ...] = option(
        ("tiny/res3-16x11",),
        "known networks that are trained for as long as the one found, to stand beside it",
    )
    shares: SharesConfig = section(SharesConfig, "how --max-time is divided among the stages")

    def __attrs_post_init__(self) -> None:
        space = self.search.space
        if space.option("scale") is None:
            raise ConfigError(
                f"search.space: {space.name!r} has no option 'scale'; allowed are only spaces of "
                "super-resolution networks"
            )
        if len(set(self.baselines)) < len(self.baselines):
            raise ConfigError(f"baselines: name each once, got {list(self.baselines)}")

    @property
    def limited_search(self) -> SearchConfig:
        """The search at the recipe's scale, within its limits."""
        search = self.search
        space = evolve(search.space, config=evolve(search.space.config, scale=self.scale))
        mult_adds = self.mult_adds_limit
        if mult_adds is None:
            width, height = (side // self.scale for side in OUTPUT)
            mult_adds = float(MULT_ADDS_PER_PIXEL * width * height)
        known: dict[str, Any] = {"params_limit": self.params_limit, "mult_adds_limit": mult_adds}
        table = search.evaluator.option("latency_table") or self.latency_table
        if table is not None:
            known |= {"latency_table": table, "latency_limit": self.latency_limit}
        if self.latency_limit is None or table is not None:
            return evolve(search, space=space, evaluator=search.evaluator.filled(**known))
        latency = tuple(side // self.scale for side in OUTPUT)
        return evolve(
            search,
            space=space,
            evaluator=search.evaluator.filled(**known, latency=latency),
            objective=_within(search.objective, self.latency_limit),
        )


def _within(objective: Chosen, limit: float) -> Chosen:
    """Return the objective ``constraint`` for the metric of another one.

    Raises:
        ConfigError: The other one is more than a metric.
    """
    if objective.name != "metric":
        raise ConfigError(
            f"latency_limit: takes the place of search.objective, which is {objective.name!r}; "
            "only 'metric' can be limited by it"
        )
    constraint = choose("objectives", "constraint")
    values: Mapping[str, Any] = {
        "metric": objective.option("metric"),
        "cost": "latency",
        "limit": limit,
    }
    return evolve(constraint, config=structure(type(constraint.config), values))
