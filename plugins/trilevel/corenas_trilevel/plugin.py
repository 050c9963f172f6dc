"""The hooks of trilevel search: its spaces."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.hookspecs import Component, hookimpl
from corenas_trilevel.space_config import TrilevelAConfig, TrilevelBConfig


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return (
        Component(
            "trilevel-a",
            "corenas_trilevel.space:TrilevelSpace",
            TrilevelAConfig,
            "cells and upsampling convolutions along a path, each at its own resolution",
        ),
        Component(
            "trilevel-b",
            "corenas_trilevel.space:TrilevelSpace",
            TrilevelBConfig,
            "cells and convolutions along a path, all at low resolution",
        ),
    )
