"""What CoreNAS finds; this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, Recipe, hookimpl

from plugin_name.config import EvaluatorConfig, Options, SpaceConfig


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    """Offer the space."""
    return [
        Component(
            "plugin-name",
            "plugin_name.space:Space",
            SpaceConfig,
            "small dense networks",
        )
    ]


@hookimpl
def corenas_evaluators() -> Iterable[Component]:
    """Offer the evaluator."""
    return [
        Component(
            "plugin-name",
            "plugin_name.evaluator:Evaluator",
            EvaluatorConfig,
            "accuracy on validation points after a short training",
        )
    ]


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    """Offer the recipe."""
    return [
        Recipe(
            "plugin-name",
            "plugin_name.recipe:run",
            Options,
            "search a small network that tells two spirals apart",
            presets={"standard": {}, "long": {"search": {"steps": 300}}},
            check="plugin_name.recipe:check",
        )
    ]
