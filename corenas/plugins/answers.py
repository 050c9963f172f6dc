"""What a plugin answers to a hook that returns several things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class Answer(Generic[T]):
    """A plugin's answer.

    ``strays`` says what of it is something else than expected, ``error`` why the hook failed.
    """

    plugin: str
    items: Sequence[T] = ()
    strays: Sequence[str] = ()
    error: str = ""

    @classmethod
    def of(cls, plugin: str, found: Iterable[object], expected: type[T]) -> Answer[T]:
        """Sort what was found into what is expected and what is not."""
        items, strays = list[T](), list[str]()
        for each in found:
            if isinstance(each, expected):
                items.append(each)
            else:
                strays.append(f"a {type(each).__name__} where a {expected.__name__} is expected")
        return cls(plugin, items, strays)
