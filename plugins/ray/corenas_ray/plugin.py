"""The hooks: an executor that needs Ray."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, hookimpl
from corenas.plugins.needs import Needs
from corenas_ray.config import RayConfig


@hookimpl
def corenas_executors() -> Iterable[Component]:
    return (
        Component(
            "ray",
            "corenas_ray.executor:ray_executor",
            RayConfig,
            "evaluates on all machines of a Ray cluster, or in a local Ray",
            needs=Needs("corenas[ray]", ("ray",)),
        ),
    )
