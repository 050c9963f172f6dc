"""What CoreNAS finds; this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, hookimpl

from plugin_name.config import Options


@hookimpl
def corenas_operations() -> Iterable[Component]:
    """Offer the operation."""
    return [
        Component(
            "plugin-name",
            "plugin_name.operation:Operation",
            Options,
            "a depthwise convolution that gates its input",
        )
    ]
