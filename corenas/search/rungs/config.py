"""Options of the strategies that train candidates in shares."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.options.structuring import Chosen, component, option

Schedule = Literal["followed", "annealed"]
Telling = Literal["first", "every"]


@frozen
class RungsConfig:
    """Options of ``asha`` and ``hyperband``."""

    sampler: Chosen = component(
        "strategies", "random", "which strategy draws the candidates; one that asks and tells"
    )
    eta: int = option(
        3, "of so many candidates one is trained further, so many times as long", paper="4", ge=2
    )
    rungs: int = option(
        3, "how many shares of the full training there are, the full one among them", ge=2, le=12
    )
    schedule: Schedule = option(
        "followed",
        "whether the step size follows the schedule of the full training to each share, or falls "
        "to its end at each",
    )
    tell: Telling = option(
        "first", "whether the sampler is told a candidate's first score, or that of every rung"
    )


@frozen
class HalvingConfig(RungsConfig):
    """Options of ``halving``."""

    candidates: int | None = option(
        None, "new candidates of a bracket; unset: eta ** (rungs - 1), of which one is left", ge=1
    )
