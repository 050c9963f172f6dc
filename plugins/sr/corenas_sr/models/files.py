"""Model files of super-resolution networks: `corenas.modelfile` with an up-scaling factor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from torch import nn

from corenas import modelfile
from corenas.errors import DataError, InputError
from corenas.options.structuring import Chosen
from corenas.plugins.registry import Registry
from corenas.training.networks import interpolated
from corenas.values.architecture import Architecture

LARGEST_SCALE = 16
"""Largest up-scaling factor of a file whose space has no option ``scale``."""

_SCALE = "scale"


@frozen
class Network:
    """A network in evaluation mode, from and to RGB in 0..255, and its up-scaling factor."""

    module: nn.Module
    scale: int


@frozen
class LoadedModel(modelfile.LoadedModel):
    """A network in evaluation mode, its space and architecture, and its up-scaling factor."""

    scale: int


def save_model(
    path: Path,
    module: nn.Module,
    *,
    space: Chosen,
    architecture: Architecture,
    scale: int,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a network with its up-scaling factor; see `corenas.modelfile.save_model`."""
    modelfile.save_model(
        path,
        module,
        space=space,
        architecture=architecture,
        extra={**(extra or {}), _SCALE: scale},
    )


def load_model(path: Path, *, registry: Registry | None = None) -> LoadedModel:
    """Read a model file and build its network. Nothing in a file is ever executed.

    Raises:
        DataError: The file is missing, damaged, no model file or not of a super-resolution
            network, or its weights do not fit.
        InputError: It needs a newer version, or a plugin that is not there.
    """
    model = modelfile.load_model(path, registry=registry)
    info = dict(model.info)
    scale = info.pop(_SCALE, None)
    if problem := _problem(scale, model.space):
        raise DataError(f"{path}: {problem}")
    return LoadedModel(model.module, model.space, model.architecture, info, scale)


def interpolate_models(first: Path, second: Path, share: float, out: Path) -> None:
    """Write the network between two model files; see `corenas.training.networks.interpolated`.

    Args:
        first: What a share of 0 is.
        second: What a share of 1 is, as a rule a network that was trained on from the first one.
        share: In [0, 1].
        out: Where to, with a JSON file beside it.

    Raises:
        DataError: A file cannot be used.
        InputError: They are not of one architecture.
    """
    one, other = load_model(first), load_model(second)
    if (one.space, one.architecture, one.scale) != (other.space, other.architecture, other.scale):
        raise InputError(f"{second}: not of the space, architecture and scale of {first}")
    try:
        module = interpolated(one.module, other.module, share)
    except ValueError as error:
        raise InputError(f"{first} and {second}: {error}") from error
    extra = {**other.info, "interpolated": {"from": first.name, "to": second.name, "share": share}}
    save_model(
        out,
        module,
        space=other.space,
        architecture=other.architecture,
        scale=other.scale,
        extra=extra,
    )


def _problem(scale: Any, space: Chosen) -> str:
    """Return what is wrong with the up-scaling factor of a file, or an empty string."""
    if scale is None:
        return "not a super-resolution network: it has no up-scaling factor"
    # Not isinstance: True is an int to Python.
    if type(scale) is not int or not 1 <= scale <= LARGEST_SCALE:
        return f"its scale must be a whole number from 1 to {LARGEST_SCALE}, got {scale!r:.40}"
    stated = space.option(_SCALE)
    if stated is not None and scale != stated:
        return f"its scale is {scale}, but that of its search space {stated}"
    return ""
