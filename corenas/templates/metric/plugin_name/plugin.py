"""What CoreNAS finds; this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from corenas import Component, hookimpl

from plugin_name.config import INFO


@hookimpl
def corenas_metrics() -> Iterable[Component]:
    """Offer the metric."""
    return [
        Component(
            "plugin-name",
            "plugin_name.metric:Metric",
            summary="mean absolute error",
            metadata=INFO,
        )
    ]
