"""Networks by name: a published architecture, a model file, or a JSON file with a cell."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from torch import nn

from corenas import (
    Architecture,
    Chosen,
    DataError,
    InputError,
    SearchSpace,
    choose,
    default_registry,
    nearest,
    structure,
)
from corenas.cost import count, human
from corenas.files import mistaken_for
from corenas.options.structuring import unstructure
from corenas.options.toml import parse_assignment
from corenas_sr.config import OUTPUT
from corenas_sr.models.files import load_model


@frozen
class Named:
    """An architecture together with the space that builds it, at the scale asked for."""

    space: Chosen
    architecture: Architecture


def find_architecture(
    what: str,
    *,
    scale: int | None = None,
    cell: Path | None = None,
    assignments: Sequence[str] = (),
) -> Named:
    """Find an architecture and its space by a name or a file.

    Args:
        what: A published architecture such as ``tpsr/paper``, or a model file. With ``cell``, the
            name of a search space.
        scale: The up-scaling factor; by default the space's or the file's own.
        cell: A JSON file in the form that the space parses.
        assignments: Changes to the space's options, such as ``share_up=true``.

    Raises:
        InputError: Nothing has this name, or the file does not hold an architecture.
        ConfigError: The space has no such option, or not with this value.
    """
    if cell is not None:
        space = at_scale(with_options(choose("search_spaces", what), assignments), scale)
        return Named(space, _parse_cell(cell, space.build()))
    named = (
        _read_model(Path(what)) if Path(what).suffix == ".safetensors" else _find_published(what)
    )
    return evolve(named, space=at_scale(with_options(named.space, assignments), scale))


def with_options(space: Chosen, assignments: Sequence[str]) -> Chosen:
    """Return the same space with other options, given as ``key=value``.

    Raises:
        ConfigError: It has no such option, or not with this value.
    """
    if not assignments:
        return space
    layers = [parse_assignment(text) for text in assignments]
    config = structure(type(space.config), unstructure(space.config), *layers)
    return evolve(space, config=config)


def at_scale(space: Chosen, scale: int | None) -> Chosen:
    """Return the same space for another up-scaling factor; None leaves it as it is."""
    if scale is None or scale_of(space) == scale:
        return space
    return evolve(space, config=evolve(space.config, scale=scale))


def scale_of(space: Chosen) -> int:
    """Return the up-scaling factor of a super-resolution space."""
    scale = space.option("scale")
    if not isinstance(scale, int):
        raise InputError(f"the space {space.name!r} has no option 'scale'")
    return scale


def _read_model(path: Path) -> Named:
    if what := mistaken_for(path):
        raise DataError(f"{path}: {what}")
    model = load_model(path)
    return Named(model.space, model.architecture)


def draw(path: Path, space: SearchSpace, architecture: Architecture) -> None:
    """Draw an architecture as ``path`` with ``.svg``, ``.png`` and ``.dot`` added.

    Nothing is drawn unless its space has a method ``draw(architecture, path)``.

    Raises:
        CorenasError: A file cannot be written.
    """
    draws = getattr(space, "draw", None)
    if draws is not None:
        draws(architecture, path)


def _find_published(what: str) -> Named:
    names: list[str] = []
    for name in default_registry().components("search_spaces"):
        space = choose("search_spaces", name)
        try:
            built: SearchSpace = space.build()
        except Exception as error:  # a stranger's broken space must not hide the others
            warnings.warn(f"search space {name!r} cannot be built: {error}", stacklevel=2)
            continue
        if what in built.known:
            return Named(space, built.known[what])
        if what == name:
            raise InputError(f"{what!r} is a search space; a file with an architecture is missing")
        names += built.known
    raise InputError(
        f"{what!r} is neither a model file (.safetensors) nor a published architecture"
        f"{nearest(what, names)}"
    )


def _parse_cell(path: Path, space: SearchSpace) -> Architecture:
    value = _read(path)
    try:
        return space.parse(value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error


def typical(space: SearchSpace) -> Architecture:
    """Return the architecture that a dry run times, as nothing is found yet.

    It is the first published one of the space; a space without any gets the first option of every
    decision.
    """
    first = Architecture(space.name, {d.name: d.options[0] for d in space.decisions})
    return next(iter(space.known.values()), first)


def typical_network(space: SearchSpace, scale: int) -> tuple[nn.Module, str]:
    """Return the typical network of a space, and the note of an estimate that is timed with it."""
    network = space.build(typical(space))
    width, height = (side // scale for side in OUTPUT)
    mult_adds = count(network, (1, 3, height, width)).mult_adds
    return network, f"timed with a network of {human(mult_adds)} mult-adds"
