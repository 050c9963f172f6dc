"""Options of recipes and components: what they mean, and how layers of values become instances.

Values are layered: a class's defaults, a preset, a file, assignments; `structure` merges them and
builds the instance, strictly. A section (another config class) and a component's table are merged
key by key; a list or a mapping is one value, which a later layer replaces whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from attrs import field, frozen

from corenas.errors import ConfigError, UnknownName
from corenas.names import nearest
from corenas.options._assigned import SCALARS, Assigned, as_written
from corenas.options._chosen import Chosen
from corenas.options.declaring import METADATA, Option, fields_in_order, option
from corenas.plugins.hookspecs import Component
from corenas.plugins.registry import Registry, default_registry

__all__ = [
    "Chosen",
    "Option",
    "choose",
    "component",
    "components",
    "differences",
    "option",
    "places",
    "section",
    "structure",
    "unstructure",
]

T = TypeVar("T")

UNSET = "none"
"""What a person writes to unset an optional option, because TOML has no null."""


def section(config: type[Any], help: str, **changes: Any) -> Any:
    """Describe a field that is itself a config class.

    Args:
        config: The class.
        help: The meaning, as a phrase.
        changes: Other values for its defaults, as a layer has them: a component by its name.
    """
    # Kept as a layer, not as an instance: components are looked up when a configuration is built,
    # and plugins may not be loaded yet when the class is defined.
    layer = unstructure(changes)
    known = Option(help, default=layer)
    return field(factory=lambda: structure(config, layer), metadata={METADATA: known})


def component(kind: str, default: str | None, help: str) -> Any:
    """Describe a field of type `Chosen`: a table whose ``use`` names a component of ``kind``.

    With ``None`` as the default the type is ``Chosen | None``, and nothing is chosen. With an empty
    name something has to be chosen: by whoever has the class as a section, or by the user.
    """

    def chosen() -> Chosen | None:
        return None if default is None else choose(kind, default)

    known = Option(help, kind=kind, default=default)
    return field(factory=chosen, metadata={METADATA: known})


def components(kind: str, default: Iterable[str], help: str) -> Any:
    """Describe a field of type ``tuple[Chosen, ...]``: names, and tables with ``use``."""
    names = tuple(default)

    def chosen() -> tuple[Chosen, ...]:
        return tuple(choose(kind, name) for name in names)

    known = Option(help, kind=kind, default=names)
    return field(factory=chosen, metadata={METADATA: known})


def choose(kind: str, name: str, *, registry: Registry | None = None) -> Chosen:
    """Return the component with its default options.

    Raises:
        UnknownName: There is no such component.
    """
    registry = registry or default_registry()
    known = registry.component(kind, name)
    config = structure(known.config, registry=registry)
    return Chosen.of(known, kind, config, registry)


def structure(cls: type[T], *layers: Mapping[str, Any], registry: Registry | None = None) -> T:
    """Build an instance of a config class from its defaults and the layers, the last one wins.

    Nothing is converted silently, but an integer where a number is expected. A component may be
    given by name alone; a layer that names another one drops the earlier layers' options of it.

    Raises:
        ConfigError: Keys, types, names or ranges are wrong; a line for each, that starts with the
            dotted path and ends with the nearest valid name or what is allowed.
    """
    structurer = _Structurer(registry or default_registry())
    values = structurer.defaults(cls)
    for layer in layers:
        values = structurer.merge(cls, values, layer, "")
    instance: T = structurer.build(cls, values, "")
    return instance


def unstructure(config: Any) -> Any:
    """Return the JSON value from which `structure` makes an equal configuration."""
    if isinstance(config, Chosen):
        # One flat table, as a person writes it; so no option can be called ``use``.
        return {"use": config.name, **unstructure(config.config)}
    if attrs.has(type(config)):
        return {f.name: unstructure(getattr(config, f.name)) for f in fields_in_order(type(config))}
    if isinstance(config, Mapping):
        return {str(key): unstructure(value) for key, value in config.items()}
    if isinstance(config, tuple | list):
        return [_unstructure_element(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def _unstructure_element(value: Any) -> Any:
    """Return an element of a list, which for a component without options is its name."""
    plain = unstructure(value)
    return value.name if isinstance(value, Chosen) and plain.keys() == {"use"} else plain


def differences(before: Any, after: Any) -> list[str]:
    """Return a line such as ``search.steps: 100 -> 200`` for each option that differs."""
    return list(_find_differences(unstructure(before), unstructure(after), ""))


def _find_differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if before == after:
        return
    # Of another component all options differ; its name alone says more.
    tables = isinstance(before, dict) and isinstance(after, dict)
    if tables and before.get("use") == after.get("use") and before.keys() == after.keys():
        for key in before:
            yield from _find_differences(before[key], after[key], _join(path, key))
    else:
        yield f"{path}: {_show(before)} -> {_show(after)}"


def _show(value: Any) -> str:
    if isinstance(value, dict) and "use" in value:
        return str(value["use"])
    return "unset" if value is None else json.dumps(value)


def places(config: Any, path: str = "") -> dict[str, Any]:
    """Return the options that say where data lie, with their values, by path; see `option`."""
    if isinstance(config, Chosen):
        return places(config.config, path)
    found = {}
    for attribute in attrs.fields(type(config)):
        value, name = getattr(config, attribute.name), _join(path, attribute.name)
        if Option.of(attribute).place:
            found[name] = value
        elif attrs.has(type(value)):
            found |= places(value, name)
    return found


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _error_at(path: str, message: str) -> ConfigError:
    return ConfigError(f"{path}: {message}" if path else message)


def _fields(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    return {f.name: f for f in fields_in_order(attrs.resolve_types(cls))}


def _find_section_class(attribute: attrs.Attribute[Any]) -> type[Any] | None:
    """Return the config class of a section, also of one that may be unset."""
    kinds = [attribute.type, *get_args(attribute.type)]
    if get_origin(attribute.type) not in (None, Union, UnionType):
        return None
    return next((kind for kind in kinds if isinstance(kind, type) and attrs.has(kind)), None)


@frozen
class _Structurer:
    """Merges layers of plain values by the classes that describe them, and builds instances."""

    registry: Registry

    def defaults(self, cls: type[Any]) -> dict[str, Any]:
        """Return the values of a class; a component's table holds no more than its name."""
        return {name: self._default(f) for name, f in _fields(cls).items()}

    def _default(self, attribute: attrs.Attribute[Any]) -> Any:
        known, section_class = Option.of(attribute), _find_section_class(attribute)
        if isinstance(known.default, str):
            return {"use": known.default}
        if isinstance(known.default, tuple):
            return [{"use": name} for name in known.default]
        if section_class is not None and known.default is not None:
            return self.merge(section_class, self.defaults(section_class), known.default, "")
        if known.kind:
            return None
        factory = getattr(attribute.default, "factory", None)
        return unstructure(attribute.default if factory is None else factory())

    def merge(
        self, cls: type[Any], values: Mapping[str, Any], layer: Any, path: str, *also: str
    ) -> dict[str, Any]:
        """Return ``values`` with those of ``layer``, whose keys are checked."""
        if not isinstance(layer, Mapping):
            raise _error_at(path, f"expected a table, got {layer!r}")
        fields, result, problems = _fields(cls), dict(values), []
        for key, value in layer.items():
            try:
                if key not in fields:
                    hint = nearest(str(key), [*also, *fields])
                    raise _error_at(path, f"unknown key {key!r}{hint}")
                given = as_written(layer, fields[key].type, value)
                result[key] = self._merge_field(
                    fields[key], values.get(key), given, _join(path, key)
                )
            except ConfigError as error:
                problems.append(str(error))
        # All of them at once: mending one after the other would take a start of the program each.
        _raise_all(problems)
        return result

    def _merge_field(
        self, attribute: attrs.Attribute[Any], current: Any, value: Any, path: str
    ) -> Any:
        optional = NoneType in get_args(attribute.type)
        if optional and (value is None or value == UNSET):
            return None
        if current is None:
            current = self._default(attribute)
        kind, section_class = Option.of(attribute).kind, _find_section_class(attribute)
        if kind and get_origin(attribute.type) is tuple:
            if not isinstance(value, list | tuple):
                raise _error_at(path, f"expected a list of {kind.replace('_', ' ')}, got {value!r}")
            return [
                self._merge_table(kind, None, each, f"{path}[{i}]") for i, each in enumerate(value)
            ]
        if kind:
            return self._merge_table(kind, current, value, path)
        if section_class is not None:
            return self.merge(section_class, current or self.defaults(section_class), value, path)
        return value

    def _merge_table(self, kind: str, current: Any, value: Any, path: str) -> dict[str, Any]:
        """Return a component's table; naming another component drops the options so far."""
        layer = {"use": value} if isinstance(value, str) else value
        if not isinstance(layer, Mapping):
            raise _error_at(path, f"expected a name or a table with 'use', got {value!r}")
        name = layer.get("use", current and current["use"])
        known = self._component(kind, name, _join(path, "use"))
        # Options of the component before mean nothing for this one, even where names are the same.
        if current is None or current["use"] != name:
            current = {"use": name}
        return self.merge(known.config, current, _without_use(layer), path, "use")

    def _component(self, kind: str, name: Any, path: str) -> Component:
        if not isinstance(name, str) or not name:
            got = repr(name) if name else "nothing"
            allowed = nearest("", self.registry.components(kind))
            raise _error_at(path, f"expected a name, got {got}{allowed}")
        try:
            return self.registry.component(kind, name)
        except UnknownName as error:
            raise _error_at(path, str(error)) from error

    def build(self, cls: type[Any], values: Mapping[str, Any], path: str) -> Any:
        """Return the instance that complete plain values stand for."""
        fields, arguments, problems = _fields(cls), {}, []
        for name, attribute in fields.items():
            try:
                value = self._build_field(attribute, values[name], _join(path, name))
                arguments[attribute.alias or name] = value
            except ConfigError as error:
                problems.append(str(error))
        _raise_all(problems)
        try:
            return cls(**arguments)
        except (ConfigError, ValueError) as error:
            message = str(error)
            # A class's own check begins with the option that it is about, where it is about one.
            names_option = message.split(":")[0] in fields
            located = (
                ConfigError(_join(path, message)) if names_option else _error_at(path, message)
            )
            raise located from error

    def _build_field(self, attribute: attrs.Attribute[Any], value: Any, path: str) -> Any:
        known = Option.of(attribute)
        if known.kind and isinstance(value, list):
            return tuple(
                self._build_chosen(known.kind, v, f"{path}[{i}]") for i, v in enumerate(value)
            )
        if known.kind:
            return None if value is None else self._build_chosen(known.kind, value, path)
        result = self._convert(attribute.type, value, path)
        if problem := known.problem(result):
            raise _error_at(path, problem)
        return result

    def _build_chosen(self, kind: str, table: Mapping[str, Any], path: str) -> Chosen:
        known = self._component(kind, table["use"], _join(path, "use"))
        values = self.merge(known.config, self.defaults(known.config), _without_use(table), path)
        config = self.build(known.config, values, path)
        return Chosen.of(known, kind, config, self.registry)

    def _convert(self, kind: Any, value: Any, path: str) -> Any:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            return self._convert_union(arguments, value, path)
        if origin is Literal:
            return _convert_literal(arguments, value, path)
        if origin is tuple:
            return self._convert_tuple(arguments, value, path)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._convert_mapping(arguments[1], value, path)
        if isinstance(kind, type) and attrs.has(kind):
            return self.build(kind, self.merge(kind, self.defaults(kind), value, path), path)
        return _convert_scalar(kind, value, path)

    def _convert_union(self, kinds: tuple[Any, ...], value: Any, path: str) -> Any:
        if NoneType in kinds and (value is None or value == UNSET):
            return None
        problems = []
        for kind in kinds:
            if kind is NoneType:
                continue
            try:
                return self._convert(kind, value, path)
            except ConfigError as error:
                problems.append(str(error).removeprefix(f"{path}: "))
        raise _error_at(path, ", or ".join(problems))

    def _convert_tuple(self, kinds: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise _error_at(path, f"expected a list, got {value!r}")
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        if len(kinds) != len(value):
            raise _error_at(path, f"expected {len(kinds)} values, got {len(value)}")
        pairs = enumerate(zip(kinds, value, strict=True))
        return tuple(self._convert(kind, each, f"{path}[{i}]") for i, (kind, each) in pairs)

    def _convert_mapping(self, kind: Any, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _error_at(path, f"expected a table, got {value!r}")
        return {k: self._convert(kind, each, _join(path, k)) for k, each in value.items()}


def _without_use(table: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(table, Assigned) and "use" not in table:
        return table
    return {key: value for key, value in table.items() if key != "use"}


def _convert_literal(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    # With types, because 1 equals True.
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return value
    raise _error_at(path, f"unknown value {value!r}{nearest(str(value), map(str, choices))}")


def _convert_scalar(kind: Any, value: Any, path: str) -> Any:
    if kind not in SCALARS:
        raise TypeError(f"{path}: a configuration cannot hold {kind}")
    expected, types = SCALARS[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and kind is not bool):
        # Before 0.2, objectives named components here, as tables.
        hint = f"; name it: {value['use']!r}" if isinstance(value, dict) and "use" in value else ""
        raise _error_at(path, f"expected {expected}, got {value!r}{hint}")
    try:
        result = kind(value)
    except OverflowError as error:
        raise _error_at(path, f"expected {expected}, got one that is too large") from error
    if isinstance(result, int) and abs(result) >= 2**63:  # torch's integers end here
        raise _error_at(path, f"expected {expected} of at most 63 bits, got a larger one")
    return result


def _raise_all(problems: list[str]) -> None:
    if problems:
        raise ConfigError("\n".join(problems))
