"""What a component needs beyond its own package: it is listed without it, and cannot be built."""

from __future__ import annotations

from importlib.util import find_spec

from attrs import frozen


@frozen
class Needs:
    """Packages that a component imports when it is built.

    Args:
        install: What ``pip install`` has to be given for them, such as ``corenas[optuna]``.
        modules: Their top-level modules, which are looked for and not imported.
    """

    install: str
    modules: tuple[str, ...]

    @property
    def lacking(self) -> str:
        """``install`` where one of the modules is missing; otherwise nothing."""
        return self.install if any(find_spec(name) is None for name in self.modules) else ""
