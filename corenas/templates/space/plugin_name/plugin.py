"""What CoreNAS finds; this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, hookimpl

from plugin_name.config import Options


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    """Offer the space."""
    return [
        Component(
            "plugin-name",
            "plugin_name.space:Space",
            Options,
            "residual blocks of several kernels between a convolution and a pixel shuffle",
        )
    ]
