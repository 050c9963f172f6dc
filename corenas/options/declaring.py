"""What a config class says about one of its options: meaning, unit, range, the paper's value."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from attrs import field, frozen

from corenas.errors import ConfigError
from corenas.names import nearest

METADATA = "corenas"
_BOUNDS = (
    ("gt", operator.gt, "greater than", ">"),
    ("ge", operator.ge, "at least", ">="),
    ("lt", operator.lt, "less than", "<"),
    ("le", operator.le, "at most", "<="),
)


@frozen
class Option:
    """What is known of an option beside its type.

    ``paper`` is the published value as text; the bounds and ``choices`` hold for each element of
    a tuple or mapping; ``kind`` is that of the components which the option names; ``default`` is
    that of a section or component, as a layer would write it; ``place`` says that the option tells
    where data lie and nothing else. A number with a bound is finite.
    """

    help: str = ""
    unit: str = ""
    paper: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: tuple[Any, ...] = ()
    kind: str = ""
    default: Any = None
    place: bool = False

    @classmethod
    def of(cls, attribute: attrs.Attribute[Any]) -> Option:
        """Return what a config class says about one of its fields."""
        known: Option = attribute.metadata.get(METADATA, cls())
        return known

    @property
    def allowed(self) -> str:
        """The range or the choices as text; empty when everything is allowed."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        bounds = ((sign, getattr(self, name)) for name, _, _, sign in _BOUNDS)
        return ", ".join(f"{sign} {bound}" for sign, bound in bounds if bound is not None)

    def problem(self, value: Any) -> str:
        """Return why ``value`` is not allowed, or an empty string."""
        problems = (self._problem(each) for each in _elements(value) if each is not None)
        return next(filter(None, problems), "")

    def _problem(self, value: Any) -> str:
        if self.choices and value not in self.choices:
            if isinstance(value, str):
                return f"unknown value {value!r}{nearest(value, map(str, self.choices))}"
            return f"must be {self.allowed}, got {value!r}"
        for name, holds, words, _ in _BOUNDS:
            bound = getattr(self, name)
            if bound is None:
                continue
            if not isinstance(value, int | float):
                return f"expected a number, got {value!r}"
            if not holds(value, bound):
                return f"must be {words} {bound}, got {value!r}"
            if isinstance(value, float) and not math.isfinite(
                value
            ):  # a bound on one side lets one infinity through
                return f"must be a finite number, got {value!r}"
        return ""


def fields_in_order(cls: type[Any]) -> list[attrs.Attribute[Any]]:
    """Return the fields of a config class as a person reads them.

    attrs puts a field last that a subclass describes anew; here it stays where the base has it.
    """
    known = attrs.fields_dict(cls)
    # The most general class first, as a person expects: the common options, then the special ones.
    bases = filter(attrs.has, reversed(cls.__mro__))
    return [known[n] for n in dict.fromkeys(f.name for base in bases for f in attrs.fields(base))]


def _elements(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, tuple | list) else (value,)


def _check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if problem := Option.of(attribute).problem(value):
        raise ConfigError(f"{attribute.name}: {problem}")


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    paper: str = "",
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    choices: Iterable[Any] = (),
    converter: Callable[[Any], Any] | None = None,
    place: bool = False,
) -> Any:
    """Describe a field of a config class; ``None`` as the default makes an unset option.

    Args:
        default: Every option has one, so that every config class can be made without arguments.
        help: The meaning, as a phrase.
        unit: Such as ``dB`` or ``seconds``.
        paper: The published value, as text.
        gt: The value, or each element of it, is finite and greater than this; `ConfigError`
            otherwise.
        ge: It is at least this.
        lt: It is less than this.
        le: It is at most this.
        choices: It is one of these.
        converter: Applied to the value first.
        place: The option says where data lie and nothing else: ``resume --set`` may change it when
            the recipe finds the data to be the same, with `corenas.Run.confirm`.
    """
    known = Option(help, unit, paper, gt, ge, lt, le, tuple(choices), place=place)
    return field(default=default, validator=_check, converter=converter, metadata={METADATA: known})
