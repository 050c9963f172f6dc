"""The hooks of the tiny networks."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, hookimpl
from corenas_tiny._catalogue import OPERATIONS, SPACES


@hookimpl
def corenas_operations() -> Iterable[Component]:
    return OPERATIONS


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return SPACES
