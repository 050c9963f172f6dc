"""What this package adds to CoreNAS; it must not import torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corenas import Component, Event, Recipe, Run, hookimpl

from corenas_sample import config

if TYPE_CHECKING:
    import typer


@hookimpl
def corenas_operations() -> Iterable[Component]:
    return [
        Component(
            "dilated3",
            "corenas_sample.operation:dilated3",
            config.DilatedConfig,
            "3x3 convolution with holes",
        )
    ]


@hookimpl
def corenas_metrics() -> Iterable[Component]:
    return [
        Component(
            "mae",
            "corenas_sample.metric:mae",
            summary="mean absolute error",
            metadata=config.MAE,
        )
    ]


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return [Component("curves", "corenas_sample.space:curves", summary="sums of functions")]


@hookimpl
def corenas_evaluators() -> Iterable[Component]:
    return [
        Component(
            "curve-fit",
            "corenas_sample.evaluator:CurveFit",
            config.CurveFitConfig,
            "least squares on noisy samples",
        )
    ]


@hookimpl
def corenas_objectives() -> Iterable[Component]:
    return [
        Component("accuracy", "corenas_sample.objective:accuracy", summary="the smallest error")
    ]


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    return [
        Component(
            "climb",
            "corenas_sample.strategy:climb",
            config.ClimbConfig,
            "change the best architecture so far a little",
        )
    ]


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            "fit-curve",
            "corenas_sample.recipe:fit_curve",
            config.FitCurveConfig,
            "find out which functions a curve is the sum of",
        )
    ]


@hookimpl
def corenas_commands(app: typer.Typer) -> None:
    from corenas_sample.command import curve

    app.command()(curve)


@hookimpl
def corenas_event(run: Run, event: Event) -> None:
    if event.kind == "trial" and event.trial is not None:
        line = f"{event.step}/{event.total} {event.trial.score}\n"
        (run.folder / "latest.txt").write_text(line, encoding="utf-8")
