"""Model files of super-resolution networks: `corenas.modelfile` with an up-scaling factor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from torch import nn

from corenas import modelfile
from corenas.errors import DataError
from corenas.options.structuring import Chosen
from corenas.plugins.registry import Registry
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
