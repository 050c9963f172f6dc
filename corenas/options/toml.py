"""Configurations as TOML: files and assignments read as layers, instances written with comments."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin

import attrs
import tomlkit

from corenas.errors import ConfigError
from corenas.options._assigned import Assigned
from corenas.options.declaring import fields_in_order
from corenas.options.structuring import UNSET, Chosen, Option, structure, unstructure
from corenas.plugins.registry import Registry, default_registry

_WIDTH = 100
_DEEPEST = 32
"""How many levels a key may have; Python's stack is not deep enough for hundreds."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file as a layer for `structure`.

    Raises:
        ConfigError: It cannot be read, or is not TOML; the message names the file and the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def parse_assignment(text: str) -> dict[str, Any]:
    """Read ``search.steps=100`` as a layer for `structure`.

    The value is TOML where that is possible, and a string otherwise: ``data.train=my photos``. An
    option that takes text gets what was written, also where that is a number: `Assigned`.

    Raises:
        ConfigError: There is no ``=``, or no key before it.
    """
    path, equals, value = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise ConfigError(f"--set {text}: expected key=value, such as search.steps=100")
    if len(keys) > _DEEPEST:
        raise ConfigError(f"--set {keys[0]}.….{keys[-1]}: no key has {len(keys)} levels")
    layer: dict[str, Any] = Assigned(value.strip(), {keys[-1]: _parse_value(value.strip())})
    for key in reversed(keys[:-1]):
        layer = {key: layer}
    return layer


def _parse_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except ValueError:  # no TOML, or an integer of thousands of digits
        return text
    # Dates and text that holds further lines of TOML are no values of an option.
    plain = isinstance(parsed["value"], bool | int | float | str | list | dict)
    return parsed["value"] if plain and len(parsed) == 1 else text


def to_toml(config: Any, *, registry: Registry | None = None) -> str:
    """Write a configuration as commented TOML, from which `structure` makes an equal one.

    Each key stands under its meaning, unit, range and the paper's value; an option that is unset
    by default, and still is, as ``# key =``.
    """
    registry = registry or default_registry()
    default = structure(type(config), registry=registry)
    lines = list(_write_table(config, default, "", registry))
    return "\n".join(lines).strip("\n") + "\n"


def _write_table(config: Any, default: Any, path: str, registry: Registry) -> Iterator[str]:
    """Yield the keys of a config instance, and then its tables, whose headers need ``path``."""
    tables = []
    for attribute in fields_in_order(attrs.resolve_types(type(config))):
        value = getattr(config, attribute.name)
        if _is_table(value) or _is_array_of_tables(value):
            tables.append(attribute)
        else:
            yield from _write_comments(_describe(attribute, registry))
            unset = value is None and getattr(default, attribute.name) is None
            yield f"# {attribute.name} =" if unset else f"{attribute.name} = {_write_value(value)}"
    # Tables come last: in TOML, whatever follows a header belongs to that table.
    for attribute in tables:
        value, name = getattr(config, attribute.name), f"{path}{attribute.name}"
        repeated = isinstance(value, tuple)
        for each in value if repeated else (value,):
            yield ""
            if not repeated or each is value[0]:
                yield from _write_comments(_describe(attribute, registry))
            yield f"[[{name}]]" if repeated else f"[{name}]"
            base = None if repeated else getattr(default, attribute.name)
            yield from _write_body(each, base, f"{name}.", registry)


def _write_body(config: Any, default: Any, path: str, registry: Registry) -> Iterator[str]:
    if isinstance(config, Chosen):
        yield from _write_comments(config.component.summary)
        yield f"use = {_write_value(config.name)}"
        config, default = config.config, None
    yield from _write_table(
        config, default or structure(type(config), registry=registry), path, registry
    )


def _is_table(value: Any) -> bool:
    return attrs.has(type(value))


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, tuple) and any(
        _is_table(each) and isinstance(plain, dict)
        for each, plain in zip(value, unstructure(value), strict=True)
    )


def allowed_values(attribute: attrs.Attribute[Any], registry: Registry) -> str:
    """Return the range, the choices or the components that an option may have; empty for any."""
    known = Option.of(attribute)
    if known.kind:
        return ", ".join(registry.components(known.kind))
    return known.allowed or ", ".join(_find_literals(attribute.type))


def _describe(attribute: attrs.Attribute[Any], registry: Registry) -> str:
    known, allowed = Option.of(attribute), allowed_values(attribute, registry)
    paper = f"paper: {known.paper}" if known.paper else ""
    details = "; ".join(filter(None, (known.unit, allowed, paper)))
    return f"{known.help} ({details})" if details else known.help


def _find_literals(kind: Any) -> list[str]:
    """Return the values that a ``Literal`` allows, also one that may be unset."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [text for each in get_args(kind) for text in _find_literals(each)]


def _write_comments(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH - 2)]


def _write_value(value: Any) -> str:
    """Return a value as TOML on one line."""
    value = unstructure(value)
    if isinstance(value, dict):
        pairs = (
            f"{tomlkit.key(key).as_string()} = {_write_value(each)}" for key, each in value.items()
        )
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_write_value, value))}]"
    return str(tomlkit.item(UNSET if value is None else value).as_string())
