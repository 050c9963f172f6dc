"""The core's own kinds and components, found like everybody else's."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, Kind, hookimpl
from corenas.search.executors.config import ProcessesConfig, SerialConfig
from corenas.search.objectives import (
    ConstraintConfig,
    MetricObjectiveConfig,
    ProductConfig,
    SumConfig,
)
from corenas.search.rungs.config import HalvingConfig, RungsConfig
from corenas.search.strategies.config import EvolutionConfig
from corenas.tracking.config import TablesConfig


@hookimpl
def corenas_kinds() -> Iterable[Kind]:
    return (
        Kind("search_spaces", "search space"),
        Kind("operations", "operation", "(config, channels)"),
        Kind("strategies", "strategy"),
        Kind("evaluators", "evaluator", "(config, space, data)"),
        Kind("objectives", "objective", "(config, quantities)"),
        Kind("rewards", "reward"),
        Kind("trackers", "tracker"),
        Kind("executors", "executor", "(config, stop, *, workers, devices)"),
    )


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    return (
        Component(
            "random",
            "corenas.search.strategies.random:random",
            summary="every option equally likely; the baseline for everything",
        ),
        Component(
            "evolution",
            "corenas.search.strategies.evolution:evolution",
            EvolutionConfig,
            "regularised evolution (Real et al., arXiv:1802.01548)",
        ),
        Component(
            "asha",
            "corenas.search.rungs.strategies:asha",
            RungsConfig,
            "trains all candidates a little, and the best further (Li et al., arXiv:1810.05934)",
        ),
        Component(
            "halving",
            "corenas.search.rungs.strategies:halving",
            HalvingConfig,
            "successive halving: brackets of which the best are trained on (arXiv:1810.05934)",
        ),
        Component(
            "hyperband",
            "corenas.search.rungs.strategies:hyperband",
            RungsConfig,
            "brackets that begin with more and more training (Li et al., arXiv:1603.06560)",
        ),
    )


@hookimpl
def corenas_executors() -> Iterable[Component]:
    return (
        Component(
            "serial",
            "corenas.search.executors.serial:serial",
            SerialConfig,
            "one candidate after the other, in this process",
        ),
        Component(
            "processes",
            "corenas.search.executors.processes:processes",
            ProcessesConfig,
            "worker processes on this machine, with a time limit for each candidate",
        ),
    )


@hookimpl
def corenas_trackers() -> Iterable[Component]:
    return (
        Component(
            "csv",
            "corenas.tracking.tables:Tables",
            TablesConfig,
            "tables of options, events and results in the run's folder",
        ),
    )


@hookimpl
def corenas_objectives() -> Iterable[Component]:
    return (
        Component(
            "metric",
            "corenas.search.objectives:metric",
            MetricObjectiveConfig,
            "one metric in its good direction",
        ),
        Component(
            "product",
            "corenas.search.objectives:product",
            ProductConfig,
            "metrics to the power of weights, with a soft target for the cost (arXiv:1807.11626)",
        ),
        Component(
            "sum",
            "corenas.search.objectives:weighted_sum",
            SumConfig,
            "weighted metrics, with a soft target for the cost",
        ),
        Component(
            "constraint",
            "corenas.search.objectives:constraint",
            ConstraintConfig,
            "one metric among the candidates within a limit of cost",
        ),
    )
