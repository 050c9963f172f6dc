"""Assignments such as ``data.train=2024``, whose text is read as the option's type asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

SCALARS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("an integer", (int,)),
    float: ("a number", (int, float)),
    str: ("a string", (str,)),
    Path: ("a path", (str, Path)),
}
"""The types of plain values: what a person calls them, and what Python has for them."""


class Assigned(dict[str, Any]):
    """One key and its value, together with the text that the value was read from.

    The option's type decides: ``data.train=2024`` names a folder.
    """

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.text = text


def as_written(layer: Mapping[str, Any], kind: Any, value: Any) -> Any:
    """Return the text of an assignment where an option takes text, and not the value read of it."""
    if not isinstance(layer, Assigned) or not isinstance(value, bool | int | float):
        return value
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if any(type(value) in SCALARS.get(each, ("", ()))[1] for each in kinds):
        return value
    choices = [text for each in kinds if get_origin(each) is Literal for text in get_args(each)]
    if value in choices:
        return value
    return layer.text if {str, Path} & set(kinds) or layer.text in choices else value
