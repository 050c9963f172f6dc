"""Model files: weights together with all that is needed to build the network again.

A file is safetensors: weights and text, no code. Its metadata says which space, with which options,
and which architecture; so it loads without the run that made it. A ``.json`` file beside it says
the same to people. What a task adds, such as an up-scaling factor, is an entry of ``extra``.

Files come from strangers. What one says of its network is compared with the shapes in the file's
header before anything of that size is allocated; and what it says is bounded in length.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from corenas.errors import ConfigError, CorenasError, DataError, InputError, UnknownName
from corenas.files import atomic_write, write_json
from corenas.names import printable
from corenas.options.structuring import Chosen, structure, unstructure
from corenas.plugins.registry import Registry, default_registry
from corenas.values.architecture import Architecture

SUFFIX = ".safetensors"
"""How the name of a model file ends."""

FORMAT = 2
"""Of new files. In format 1, a task's entries stood beside ours instead of in ``extra``."""

METADATA_KEY = "corenas"

_SPACES = "search_spaces"
_ENTRIES = ("format", "corenas", "plugin", "space", "architecture", "digest", "extra")
# Enough to see the pattern; a wrong network may misfit in thousands of tensors.
_NAMED_MISFITS = 3

_LONGEST_HEADER = 2**23
"""Bytes; ten thousand tensors need about a million."""

_LONGEST_DESCRIPTION = 2**20
_MOST_CHOICES = 10_000
_LONGEST_MESSAGE = 1000


@frozen
class LoadedModel:
    """A network in evaluation mode, and where it comes from.

    ``info`` is what was given to `save_model` as ``extra``.
    """

    module: nn.Module
    space: Chosen
    architecture: Architecture
    info: Mapping[str, Any]


def save_model(
    path: Path,
    module: nn.Module,
    *,
    space: Chosen,
    architecture: Architecture,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a network and a ``.json`` file beside it; each appears whole or not at all.

    Args:
        path: Where to, ending in ``.safetensors``.
        module: What ``space`` builds for ``architecture``, with any weights.
        space: The search space as it was chosen, with its options.
        architecture: The choices in that space.
        extra: What else to remember, as JSON: metrics, data, seed.

    Raises:
        InputError: The name does not end in ``.safetensors``.
        CorenasError: The file cannot be written.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: the name of a model file ends in {SUFFIX}")
    weights = {name: _copy_for_storage(tensor) for name, tensor in module.state_dict().items()}
    description = {
        **_describe_origin(space, architecture),
        "digest": _digest(weights),
        "extra": dict(extra or {}),
    }
    metadata = {METADATA_KEY: json.dumps(description, ensure_ascii=False, allow_nan=False)}
    readable = {"id": architecture.id, "readable": space.build().format(architecture)}
    try:
        with atomic_write(path) as file:
            file.write(save(weights, metadata))
        write_json(path.with_suffix(".json"), {"file": path.name, **readable, **description})
    except OSError as error:
        raise CorenasError(f"{path}: cannot be written: {error.strerror or error}") from error


def load_model(path: Path, *, registry: Registry | None = None) -> LoadedModel:
    """Read a model file and build its network. Nothing in a file is ever executed.

    Raises:
        DataError: The file is missing, damaged, no model file, or its weights do not fit.
        InputError: It needs a newer version, or a plugin that is not there.
    """
    try:
        return _load(path, registry or default_registry())
    except InputError as error:
        # The message quotes the file, which may hold what steers a terminal, and any amount of it.
        message = printable(str(error))
        if len(message) > _LONGEST_MESSAGE:
            message = f"{message[:_LONGEST_MESSAGE]} ..."
        raise type(error)(message) from error


def holds_weights_only(path: Path) -> bool:
    """Tell whether a file is safetensors that do not say of which network they are."""
    try:
        with _open(path) as file:
            return METADATA_KEY not in (file.metadata() or {})
    except DataError:
        return False  # `load_model` says what is wrong with it


def _load(path: Path, registry: Registry) -> LoadedModel:
    with _open(path) as file:
        description = _parse_description(path, _read_text(path, file))
        space = _choose_space(path, description, registry)
        module = _build(path, space, description.architecture, _read_shapes(file))
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    # Safetensors has no checksum of its own: a flipped bit is a valid number.
    if description.digest != _digest(weights):
        raise DataError(f"{path}: damaged: the weights are not those that were written")
    _fill_in(path, module, weights)
    return LoadedModel(module.eval(), space, description.architecture, description.extra)


def _describe_origin(space: Chosen, architecture: Architecture) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "corenas": version("corenas"),
        "plugin": space.plugin,
        "space": unstructure(space),
        "architecture": architecture.to_json(),
    }


def _copy_for_storage(tensor: Tensor) -> Tensor:
    """Return a copy of its own: safetensors takes no tensors that share memory."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _digest(weights: Mapping[str, Tensor]) -> str:
    """Return a digest of names, types, shapes and values."""
    digest = hashlib.sha256()
    # Sorted, because a file does not keep the order in which a network names its tensors.
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a safetensors file, whose header alone is read."""
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path}: {_explain_format(path)} ({error})") from error


def _check_header(path: Path) -> None:
    """Refuse a header that takes long to read; its length stands in the first eight bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    # A length beyond the file's end is no safetensors at all; safe_open says so better.
    if _LONGEST_HEADER < length <= path.stat().st_size:
        raise DataError(
            f"{path}: refused: its header has {length} bytes; at most {_LONGEST_HEADER} are read"
        )


def _read_text(path: Path, file: Any) -> str:
    """Return the description, which is not checked but for its length."""
    metadata = file.metadata() or {}
    if METADATA_KEY not in metadata:
        raise DataError(
            f"{path}: holds weights only; it does not say to which network they belong, "
            "as the model files of CoreNAS do"
        )
    text: str = metadata[METADATA_KEY]
    if len(text) > _LONGEST_DESCRIPTION:
        raise DataError(
            f"{path}: refused: its description has {len(text)} characters; "
            f"at most {_LONGEST_DESCRIPTION} are read"
        )
    return text


def _read_shapes(file: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors by name, from the header."""
    return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _explain_format(path: Path) -> str:
    """Say why a file is not safetensors."""
    with path.open("rb") as file:
        head = file.read(9)
    if zipfile.is_zipfile(path) or (head[:1] == b"\x80" and head[8:] != b"{"):
        return (
            "refused: a pickle (such as torch.save writes), which can run code when it is read; "
            "model files are safetensors"
        )
    return "damaged, or not a model file"


@frozen
class _Description:
    plugin: str
    space: str
    options: Mapping[str, Any]
    architecture: Architecture
    digest: str
    extra: Mapping[str, Any]


def _parse_description(path: Path, text: str) -> _Description:
    try:
        value = json.loads(text)
        _check_format(value)
        if len(value["architecture"].get("choices", ())) > _MOST_CHOICES:
            raise DataError(f"its architecture has more than {_MOST_CHOICES} choices")
        options = dict(value["space"])
        return _Description(
            plugin=str(value["plugin"]),
            space=str(options.pop("use")),
            options=options,
            architecture=Architecture.from_json(value["architecture"]),
            digest=str(value["digest"]),
            extra=_read_extra(value),
        )
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: damaged: its description cannot be read ({error!r})") from error


def _check_format(value: Mapping[str, Any]) -> None:
    number = value["format"]
    # Not isinstance: True is an int for Python, and no format.
    if type(number) is not int or number < 1:
        raise ValueError(f"format {number!r}")
    if number > FORMAT:
        raise InputError(
            f"written by CoreNAS {value['corenas']} in format {number}; "
            f"this version reads formats up to {FORMAT}"
        )


def _read_extra(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task added; in format 1 that was anything which is not ours."""
    beside = value.keys() - set(_ENTRIES) if value["format"] == 1 else ()
    return dict(value["extra"]) | {name: value[name] for name in beside}


def _choose_space(path: Path, description: _Description, registry: Registry) -> Chosen:
    """Choose the search space again, with the options that it had."""
    name = description.space
    try:
        component = registry.component(_SPACES, name)
        config = structure(component.config, description.options, registry=registry)
    except UnknownName as error:
        raise InputError(
            f"{path}: needs the search space {name!r} of the plugin {description.plugin!r}, "
            f"which is not installed: {error}"
        ) from error
    except ConfigError as error:
        raise InputError(f"{path}: the options of its search space {name!r}: {error}") from error
    return Chosen.of(component, _SPACES, config, registry)


def _build(
    path: Path, chosen: Chosen, architecture: Architecture, shapes: Mapping[str, tuple[int, ...]]
) -> nn.Module:
    """Return the network with fresh weights; the caller's random numbers stay as they were.

    It is built without storage first, and for good only when its tensors are those of the file.
    """
    try:
        # Building draws initial weights. Loading a model in the middle of a run must not shift its
        # random numbers.
        with torch.random.fork_rng(devices=[]):
            space = chosen.build()
            if problem := space.check(architecture):
                raise DataError(f"its architecture is not of the space {chosen.name!r}: {problem}")
            with torch.device("meta"):
                ghost: nn.Module = space.build(architecture)
            _check_shapes(ghost, shapes)
            module: nn.Module = space.build(architecture)
    except InputError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # a space may stumble anywhere over what a stranger's file asks for
        raise DataError(f"{path}: its network cannot be built ({error!r})") from error
    return module


def _check_shapes(ghost: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in ghost.state_dict().items()}
    misfits = [f"{name} is missing" for name in expected.keys() - shapes.keys()]
    misfits += [f"{name} is not part of the network" for name in shapes.keys() - expected.keys()]
    misfits += [
        f"{name} has shape {list(shapes[name])}, not {list(expected[name])}"
        for name in expected.keys() & shapes.keys()
        if shapes[name] != expected[name]
    ]
    if misfits:
        named = "; ".join(sorted(misfits)[:_NAMED_MISFITS])
        more = f"; and {len(misfits) - _NAMED_MISFITS} more" * (len(misfits) > _NAMED_MISFITS)
        raise DataError(f"its weights do not fit its architecture: {named}{more}")


def _fill_in(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    expected = module.state_dict()
    for name, tensor in weights.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise DataError(
                f"{path}: its weights are of another type: {name} is {tensor.dtype}, "
                f"not {expected[name].dtype}"
            )
        tensor = tensor.to(expected[name].dtype)  # what is not finite in it would be used so
        if not bool(tensor.isfinite().all()):
            raise DataError(f"{path}: its weights are not all finite numbers, as those of {name}")
    module.load_state_dict(weights)
