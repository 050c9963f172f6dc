"""The hooks of trilevel search: its spaces, strategy, evaluator and recipe."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, Recipe, hookimpl
from corenas_trilevel._presets import PRESETS
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.search.config import TrilevelStrategyConfig
from corenas_trilevel.space.config import TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.teacher.config import TaughtSupernetConfig

PAPER = (
    "Wu et al., Trilevel Neural Architecture Search for Efficient Single Image Super-Resolution, "
    "arXiv:2101.06658"
)


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return (
        Component(
            "trilevel-a",
            "corenas_trilevel.space.space:TrilevelSpace",
            TrilevelAConfig,
            "cells and upsampling convolutions along a path, each at its own resolution",
        ),
        Component(
            "trilevel-b",
            "corenas_trilevel.space.space:TrilevelSpace",
            TrilevelBConfig,
            "cells and convolutions along a path, all at low resolution",
        ),
    )


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    return (
        Component(
            "trilevel",
            "corenas_trilevel.search.strategy:TrilevelStrategy",
            TrilevelStrategyConfig,
            "sparsestmax over path, operations and widths (Wu et al.)",
        ),
    )


@hookimpl
def corenas_evaluators() -> Iterable[Component]:
    return (
        Component(
            "taught-supernet",
            "corenas_trilevel.teacher.evaluator:TaughtSupernet",
            TaughtSupernetConfig,
            "sr-training, and a teacher for what one-shot strategies train",
        ),
    )


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    return (
        Recipe(
            "trilevel",
            "corenas_trilevel.recipe:trilevel",
            TrilevelConfig,
            "search path, operations and widths of a small network in one supernet, and train it",
            PRESETS,
            PAPER,
            "corenas_trilevel.dry_run:check",
        ),
    )
