"""The hooks of the tiny networks."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, Recipe, hookimpl
from corenas_tiny._catalogue import OPERATIONS, SPACES
from corenas_tiny._presets import PRESETS
from corenas_tiny.config import TinyConfig


@hookimpl
def corenas_operations() -> Iterable[Component]:
    return OPERATIONS


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return SPACES


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    return (
        Recipe(
            "tiny",
            "corenas_tiny.recipe:tiny",
            TinyConfig,
            "search the best network within limits of parameters and mult-adds, and train it",
            PRESETS,
            "",
            "corenas_tiny.dry_run:check",
        ),
    )
