"""A network to export: read as it ships, with the sizes of images that it takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from attrs import evolve
from torch import nn

from corenas import InputError
from corenas.errors import DataError
from corenas.modelfile import SUFFIX, LoadedModel, holds_weights_only
from corenas.names import printable
from corenas.options.structuring import unstructure
from corenas_export.format import Sizes, Source
from corenas_export.programs import one_line
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import receptive_radius
from corenas_sr.models.named import find_architecture, scale_of
from corenas_sr.models.networks import load_network
from corenas_sr.training.reparameterise import as_shipped

_FOREIGN = (".pth", ".pt", ".ckpt")
_SIDES = (1, 2, 4, 8, 16, 32, 64)


Say = Callable[[str], None]


def read_source(path: Path, *, size: tuple[int, int] | None, licence: str, say: Say) -> Source:
    """Read a model file, find out what images its network takes, and write down what it is.

    Args:
        path: The file, of CoreNAS or of another project.
        size: Width and height of the only images that the export shall take.
        licence: Licence of the training images, as the user states it.
        say: Tells the user what is going on.

    Raises:
        InputError: The file cannot be read, or the network does not take images of this size.
    """
    say(f"reading {path}")
    source = _read(path, size, say)
    if told := describe(sizes := find_sizes(source.module, source.scale)):
        say(told)
    radius = receptive_radius(source.module, scale=source.scale)
    facts = {
        "corenas.version": version("corenas"),
        "corenas.scale": str(source.scale),
        "corenas.range": "255",
        "corenas.radius": "whole image" if radius is None else str(radius),
        "corenas.source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "corenas.params": str(sum(each.numel() for each in source.module.parameters())),
        **({} if source.model is None else _describe_model(source.model)),
    }
    if licence:
        facts["corenas.data_licence"] = printable(licence)
    return evolve(source, sizes=sizes, radius=radius, facts=facts)


def network_source(
    what: str, *, size: tuple[int, int] | None, scale: int | None, say: Say
) -> Source:
    """Return the network of a model file, or a fresh one of a published architecture.

    Args:
        what: The file or the name.
        size: Width and height of its only images.
        scale: That of an architecture; by default its own.
        say: Tells the user what is going on.

    Raises:
        InputError: There is no such thing, its scale is another, or it does not take the size.
    """
    path = Path(what)
    if path.suffix.lower() in (SUFFIX, ".onnx", *_FOREIGN):
        source = _read(path, size, say)
        if scale not in (None, source.scale):
            raise InputError(f"{what}: its scale is {source.scale}, not {scale}")
        return source
    named = find_architecture(what, scale=scale)
    module = named.space.build().build(named.architecture)
    return _source(path, module, scale_of(named.space), None, size, say)


def _read(path: Path, size: tuple[int, int] | None, say: Say) -> Source:
    if path.suffix.lower() == ".onnx":
        raise InputError(f"{path}: an ONNX file; the model file that it was made of is needed")
    if path.suffix.lower() in _FOREIGN or holds_weights_only(path):
        network = load_network(path)
        return _source(path, network.module, network.scale, None, size, say)
    model = load_model(path)
    return _source(path, model.module, model.scale, model, size, say)


def _source(
    path: Path,
    module: nn.Module,
    scale: int,
    model: LoadedModel | None,
    size: tuple[int, int] | None,
    say: Say,
) -> Source:
    ready = as_shipped(module)
    if size is not None:
        check_size(ready, scale, size)
    return Source(path, ready, scale, Sizes(), None, size, {}, model, say)


def _describe_model(model: LoadedModel) -> dict[str, str]:
    readable = model.space.build().format(model.architecture)
    facts = {
        "corenas.space": json.dumps(unstructure(model.space)),
        "corenas.architecture": json.dumps(readable),
        "corenas.architecture_id": model.architecture.id,
    }
    return facts | ({"corenas.info": json.dumps(dict(model.info))} if model.info else {})


def find_sizes(module: nn.Module, scale: int) -> Sizes:
    """Find the sizes of images that a network takes, among powers of two up to 64.

    Raises:
        DataError: It takes none of them.
    """
    smallest = next((side for side in _SIDES if not problem_of(module, scale, side, side)), None)
    if smallest is None:
        raise DataError(
            "the network takes no square image of up to 64 pixels: "
            f"{problem_of(module, scale, _SIDES[-1], _SIDES[-1])}"
        )
    base = _SIDES[-1]
    multiple = next((m for m in _SIDES if not problem_of(module, scale, base + m, base + m)), base)
    return Sizes(max(smallest, multiple), multiple)


def describe(sizes: Sizes) -> str:
    """Return what a user has to know of the sizes; nothing where a network takes all."""
    parts = []
    if sizes.smallest > 1:
        parts.append(f"at least {sizes.smallest} pixels")
    if sizes.multiple > 1:
        parts.append(f"multiples of {sizes.multiple}")
    return f"the network takes only images whose sides are {' and '.join(parts)}" if parts else ""


def check_size(module: nn.Module, scale: int, size: tuple[int, int]) -> None:
    """Check that a network takes images of one width and height.

    Raises:
        InputError: It does not.
    """
    width, height = size
    if problem := problem_of(module, scale, width, height):
        raise InputError(f"--input {width}x{height}: the network cannot take it: {problem}")


def problem_of(module: nn.Module, scale: int, width: int, height: int) -> str:
    """Return why a network makes nothing of an image of this size, or an empty string."""
    try:
        with torch.no_grad():
            larger = module(torch.zeros(1, 3, height, width))
    except (RuntimeError, ValueError, IndexError) as error:
        return one_line(error)
    expected = (1, 3, height * scale, width * scale)
    if tuple(larger.shape) != expected:
        return f"it makes {tuple(larger.shape)} of it, not {expected}"
    return ""
