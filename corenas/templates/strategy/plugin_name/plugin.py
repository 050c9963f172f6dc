"""What CoreNAS finds; this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, hookimpl

from plugin_name.config import Options


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    """Offer the strategy."""
    return [
        Component(
            "plugin-name",
            "plugin_name.sampler:build",
            Options,
            "changes the best candidate so far a little",
        )
    ]
