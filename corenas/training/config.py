"""Options of a training, whatever is trained (no torch here)."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.options.declaring import option


@frozen
class TrainingConfig:
    """Options of a training by Adam; a task adds its own in a subclass."""

    steps: int = option(100_000, "optimiser steps", ge=1)
    batch: int = option(16, "examples in a step", ge=1)
    learning_rate: float = option(1e-4, "step size of Adam", gt=0)
    schedule: Literal["constant", "multistep", "cosine"] = option(
        "constant", "how the step size falls: never, at the milestones, or along half a cosine"
    )
    warmup: int = option(0, "steps over which the step size rises to its full value", ge=0)
    milestones: tuple[int, ...] = option((), "steps at which a multistep schedule falls", ge=1)
    gamma: float = option(0.5, "factor at a milestone", gt=0, le=1)
    report_every: int = option(100, "steps from one event to the next", ge=1)
    validate_every: int = option(
        0, "steps from one validation to the next; 0 validates at the end only", ge=0
    )
    threads: int = option(
        1, "CPU threads; more than one pays only where nothing else wants the cores", ge=1
    )
