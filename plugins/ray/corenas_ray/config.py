"""Options of the executor ``ray``; light, because the command line imports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from corenas.options.structuring import option


@frozen
class RayConfig:
    """Options of ``ray``."""

    address: str = option(
        "",
        "the cluster's address: 'auto' for the one that this machine is in, or HOST:PORT; left "
        "empty, a Ray of this machine alone is started and ended with the search",
    )
    cpus: float = option(1.0, "CPUs that a worker takes", ge=0)
    gpus: float = option(
        0.0, "GPUs that a worker takes; 0.33 puts three workers on each", paper="0.33", ge=0
    )
    order: Literal["completion", "submission"] = option(
        "completion",
        "in which order results are told; 'submission' is slower and repeats a search exactly",
        choices=("completion", "submission"),
    )
    time_limit: float | None = option(
        None,
        "time after which a trial's worker is killed, once its data are loaded",
        unit="seconds",
        gt=0,
    )
    retries: int = option(
        3, "how often a trial begins again after the machine that it ran on was lost", ge=0
    )
    patience: float = option(
        60.0,
        "how long the search waits for room in the cluster for its first worker",
        unit="seconds",
        gt=0,
    )
    variables: Mapping[str, str] = option(
        {}, "environment variables that workers have, by name; none are passed on by themselves"
    )
