"""What CoreNAS finds; this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Recipe, hookimpl

from plugin_name.config import Options


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    """Offer the recipe."""
    return [
        Recipe(
            "plugin-name",
            "plugin_name.recipe:run",
            Options,
            "search a super-resolution network, and draw how that went",
            presets={"standard": {}, "long": {"search": {"steps": 400}}},
            check="plugin_name.recipe:check",
        )
    ]
