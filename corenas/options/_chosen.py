"""What a configuration holds where it names a component."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from corenas.errors import ConfigError
from corenas.plugins.hookspecs import Component
from corenas.plugins.registry import Registry, load_attribute


@frozen
class Chosen:
    """A component with its options, as a configuration chose it; picklable.

    Equality looks at kind, name and options, not at who provides the component. ``singular`` is
    what one of its kind is called.
    """

    kind: str
    name: str
    config: Any
    # Not compared: a configuration read again is equal even after a plugin's new version.
    component: Component = field(eq=False, repr=False)
    plugin: str = field(default="", eq=False, repr=False)
    singular: str = field(default="component", eq=False, repr=False)

    @classmethod
    def of(cls, component: Component, kind: str, config: Any, registry: Registry) -> Chosen:
        """Return the choice of a component of the registry with options that are built already."""
        name, singular = component.name, registry.kinds[kind].singular
        return cls(kind, name, config, component, registry.owner(kind, name), singular)

    def filled(self, **known: Any) -> Chosen:
        """Return it with options that it leaves unset as the recipe has them.

        Args:
            known: What the recipe knows, by the name that such an option has. A component without
                an option of that name, or with a value of its own, stays as it is.
        """
        options = {f.name for f in attrs.fields(type(self.config))}
        changes = {
            name: value
            for name, value in known.items()
            if name in options and getattr(self.config, name) is None
        }
        return attrs.evolve(self, config=attrs.evolve(self.config, **changes)) if changes else self

    def option(self, name: str) -> Any:
        """Return the value of an option; None where the component has none of that name."""
        return getattr(self.config, name, None)

    @property
    def label(self) -> str:
        """Name and options that are set, as one text: ``esa activation=leaky reduction=4``."""
        values = ((f.name, getattr(self.config, f.name)) for f in attrs.fields(type(self.config)))
        return " ".join([self.name, *(f"{name}={v}" for name, v in values if v is not None)])

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Import what builds the component and call it with the options and the arguments.

        Raises:
            ConfigError: It needs packages that are not installed.
            PluginError: It cannot be imported.
        """
        if lacks := self.component.lacks:
            raise ConfigError(f"{self.singular} {self.name!r} needs {lacks}: pip install {lacks!r}")
        source = f"{self.singular} {self.name!r} of the plugin {self.plugin!r}"
        return load_attribute(self.component.build, source)(self.config, *args, **kwargs)
