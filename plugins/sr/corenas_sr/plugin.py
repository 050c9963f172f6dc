"""The hooks of the super-resolution plugin: its commands, and the recipe ``train``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corenas.hookspecs import Recipe, hookimpl
from corenas_sr.config import TrainConfig

if TYPE_CHECKING:
    import typer


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
    from corenas_sr.commands import add_commands

    add_commands(app)
