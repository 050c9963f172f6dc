"""Options of the executors; light, because the command line imports them.

Workers and devices are no options: they may differ from one start of a run to the next.
"""

from __future__ import annotations

from attrs import frozen

from corenas.options.structuring import option
from corenas.values.evaluation import Order


@frozen
class SerialConfig:
    """Options of the executor that evaluates in this process."""

    time_limit: float | None = option(
        None,
        "longest time a trial may take once its data are loaded, where its job asks",
        unit="seconds",
        gt=0,
    )


@frozen
class ProcessesConfig:
    """Options of the executor that evaluates in worker processes on this machine."""

    order: Order = option(
        "completion",
        "in which order results are told; 'submission' is slower and repeats a run exactly",
        choices=("completion", "submission"),
    )
    time_limit: float | None = option(
        None,
        "time after which a trial's worker is killed, once its data are loaded",
        unit="seconds",
        gt=0,
    )
