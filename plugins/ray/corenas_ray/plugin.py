"""The hooks: an executor that needs Ray."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corenas.plugins.hookspecs import Component, hookimpl
from corenas.plugins.needs import Needs
from corenas_ray.config import RayConfig

if TYPE_CHECKING:
    from corenas.plugins.checks import Check

NEEDS = Needs("corenas[ray]", ("ray",))


@hookimpl
def corenas_executors() -> Iterable[Component]:
    return (
        Component(
            "ray",
            "corenas_ray.executor:ray_executor",
            RayConfig,
            "evaluates on all machines of a Ray cluster, or in a local Ray",
            needs=NEEDS,
        ),
    )


@hookimpl
def corenas_checks() -> Iterable[Check]:
    from corenas_ray.checks import look_around

    return tuple(look_around(NEEDS.lacking))
