"""The hooks of super-resolution: three kinds, an evaluator, ``train``, commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corenas.plugins.hookspecs import Component, Kind, Recipe, hookimpl
from corenas_sr.config import CandidateConfig, TrainConfig
from corenas_sr.metric import MetricInfo
from corenas_sr.network_file import NetworkFileInfo

if TYPE_CHECKING:
    import typer

    from corenas.plugins.checks import Check
    from corenas.report.record import RunRecord
    from corenas.report.sections import Section


@hookimpl
def corenas_kinds() -> Iterable[Kind]:
    return (
        Kind("metrics", "image metric", metadata=MetricInfo),
        Kind("network_files", "network file", "(config, path)", metadata=NetworkFileInfo),
        Kind("latency_engines", "latency engine"),
    )


@hookimpl
def corenas_evaluators() -> Iterable[Component]:
    return (
        Component(
            "sr-training",
            "corenas_sr.training.short_training:ShortTraining",
            CandidateConfig,
            "a short training from scratch, for any space of super-resolution networks",
        ),
    )


@hookimpl
def corenas_latency_engines() -> Iterable[Component]:
    return (
        Component(
            "torch",
            "corenas_sr.latency.torch_engine:TorchEngine",
            summary="torch, eager, on the device where a network is",
        ),
    )


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    return (
        Recipe(
            "train",
            "corenas_sr.train_recipe:train",
            TrainConfig,
            "train one known or found architecture",
            {
                "standard": {},
                "quick": {
                    "training": {
                        "steps": 1500,
                        "patch": 24,
                        "learning_rate": 2e-3,
                        "validate_every": 500,
                    }
                },
            },
            check="corenas_sr.train_recipe:check",
        ),
    )


@hookimpl
def corenas_commands(app: typer.Typer) -> None:
    from corenas_sr.commands.images import add_commands

    add_commands(app)


@hookimpl
def corenas_report_sections(record: RunRecord) -> Iterable[Section]:
    from corenas_sr.results.comparing import compare_pictures

    return compare_pictures(record.folder)


@hookimpl
def corenas_checks() -> Iterable[Check]:
    from corenas_sr.checks import find_weights, measure_store

    return (find_weights(), measure_store())
