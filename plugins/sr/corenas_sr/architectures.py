"""Networks by what a person calls them: a published name, a model file, a file with a cell."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from corenas import Architecture, Chosen, InputError, SearchSpace, choose, default_registry, nearest
from corenas_sr.modelfile import load_model


@frozen
class Named:
    """An architecture together with the space that builds it, at the scale asked for."""

    space: Chosen
    architecture: Architecture


def find_architecture(what: str, *, scale: int | None = None, cell: Path | None = None) -> Named:
    """Return what ``what`` stands for.

    Args:
        what: A published architecture such as ``tpsr/paper``; a model file; or, together with
            ``cell``, a search space.
        scale: The up-scaling factor; by default the space's or the file's own.
        cell: A JSON file in the form that the space parses.

    Raises:
        InputError: Nothing has this name, or the file does not hold an architecture.
    """
    if cell is not None:
        space = at_scale(choose("search_spaces", what), scale)
        built: SearchSpace = space.build()
        return Named(space, built.parse(_read(cell)))
    if Path(what).suffix == ".safetensors":
        model = load_model(Path(what))
        return Named(at_scale(model.space, scale), model.architecture)
    return _published(what, scale)


def at_scale(space: Chosen, scale: int | None) -> Chosen:
    """Return the same space for another up-scaling factor; None leaves it as it is."""
    if scale is None or getattr(space.config, "scale", None) == scale:
        return space
    if not hasattr(space.config, "scale"):
        raise InputError(f"the space {space.name!r} has no option 'scale'")
    return evolve(space, config=evolve(space.config, scale=scale))


def scale_of(space: Chosen) -> int:
    """Return the up-scaling factor of a super-resolution space."""
    scale = getattr(space.config, "scale", None)
    if not isinstance(scale, int):
        raise InputError(f"the space {space.name!r} has no option 'scale'")
    return scale


def _published(what: str, scale: int | None) -> Named:
    names: list[str] = []
    for name in default_registry().components("search_spaces"):
        space = choose("search_spaces", name)
        try:
            built: SearchSpace = space.build()
        except Exception as error:  # a stranger's broken space must not hide the others
            warnings.warn(f"search space {name!r} cannot be built: {error}", stacklevel=2)
            continue
        if what in built.known:
            return Named(at_scale(space, scale), built.known[what])
        if what == name:
            raise InputError(f"{what!r} is a search space; a file with an architecture is missing")
        names += built.known
    raise InputError(
        f"{what!r} is neither a model file (.safetensors) nor a published architecture"
        f"{nearest(what, names)}"
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
