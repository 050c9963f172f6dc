"""Decisions and architectures: the currency in which spaces, strategies and evaluators trade."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from corenas.errors import InputError
from corenas.names import nearest

if TYPE_CHECKING:
    from torch import Tensor

ARCHITECTURE_SCHEMA = 1


def _strings(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(values)


DecisionKind = Literal["operation", "input", "path", "width", "depth", "other"]
"""What is decided: which operation, from where its input comes, which way through the network, how
many channels, how many repetitions, or something else."""


@frozen
class Decision:
    """One choice to be made: a name and its options, whose order is their identity.

    ``kind`` says what is decided, from which a one-shot strategy takes its relaxation.

    Raises:
        ValueError: There is no option, or one stands twice.
    """

    name: str
    options: tuple[str, ...] = field(converter=_strings)
    kind: DecisionKind = "other"

    def __attrs_post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError(f"decision {self.name}: options must be distinct, got {self.options}")

    def index(self, option: str) -> int:
        """Return the position of ``option``; an unknown one is an `InputError`."""
        try:
            return self.options.index(option)
        except ValueError:
            raise InputError(
                f"{self.name}: unknown option {option!r}{nearest(option, self.options)}"
            ) from None


def _choices(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(values.items()) if isinstance(values, Mapping) else tuple(values)


@frozen(cache_hash=True)
class Architecture:
    """One option for every decision of the space called ``space``; immutable and hashable.

    A space makes canonical ones (`SearchSpace.canonical`), so that one network has one ``id``.
    """

    space: str
    choices: tuple[tuple[str, str], ...] = field(converter=_choices)

    def __getitem__(self, decision: str) -> str:
        return self._by_name[decision]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return dict(self.choices)

    @property
    def id(self) -> str:
        """Ten hex digits of a SHA-256 over space and choices."""
        text = json.dumps([self.space, sorted(self.choices)], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` turns back into an equal architecture."""
        return {"schema": ARCHITECTURE_SCHEMA, "space": self.space, "choices": dict(self.choices)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Architecture:
        """Read what `to_json` wrote.

        Raises:
            InputError: The schema is newer than this version, or fields are missing.
        """
        if value.get("schema") != ARCHITECTURE_SCHEMA:
            raise InputError(
                f"architecture: schema {value.get('schema')!r} is not {ARCHITECTURE_SCHEMA}, "
                "the only one this version reads"
            )
        try:
            return cls(str(value["space"]), {str(k): str(v) for k, v in value["choices"].items()})
        except (KeyError, AttributeError) as error:
            raise InputError(f"architecture: missing or malformed {error}") from error


Relaxation = Mapping[str, "Tensor"]
"""One point on the simplex per decision, by name; an `Architecture` is the one-hot case."""


def check_choices(name: str, decisions: Sequence[Decision], architecture: Architecture) -> str:
    """Return why the choices do not fit the decisions, or an empty string."""
    if architecture.space != name:
        return f"it belongs to the space {architecture.space!r}, not {name!r}"
    chosen = dict(architecture.choices)
    for decision in decisions:
        option = chosen.pop(decision.name, None)
        if option is None:
            return f"{decision.name}: no option is chosen"
        if option not in decision.options:
            return f"{decision.name}: unknown option {option!r}{nearest(option, decision.options)}"
    if chosen:
        return f"unknown decision {next(iter(chosen))!r}"
    return ""
