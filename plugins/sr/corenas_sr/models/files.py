"""Model files: weights together with all that is needed to build the network again.

A file is safetensors: weights and text, no code. Its metadata says which space, with which options,
which architecture and which scale; so it loads without the run that made it. A ``.json`` file
beside it says the same to people.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
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
from corenas.options.structuring import Chosen, structure, unstructure
from corenas.plugins.registry import Registry, default_registry
from corenas.values.architecture import Architecture

SUFFIX = ".safetensors"
FORMAT = 1

_SPACES = "search_spaces"
METADATA_KEY = "corenas"
_NAMED_MISFITS = 3


@frozen
class LoadedModel:
    """A network in evaluation mode, and where it comes from.

    ``info`` is what was given to `save_model` as ``extra``.
    """

    module: nn.Module
    space: Chosen
    architecture: Architecture
    scale: int
    info: Mapping[str, Any]


def save_model(
    path: Path,
    module: nn.Module,
    *,
    space: Chosen,
    architecture: Architecture,
    scale: int,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a network and a ``.json`` file beside it; each appears whole or not at all.

    Args:
        path: Where to, ending in ``.safetensors``.
        module: What ``space`` builds for ``architecture``, with any weights.
        space: The search space as it was chosen, with its options.
        architecture: The choices in that space.
        scale: The network's up-scaling factor.
        extra: What else to remember, as JSON: metrics, data, seed.

    Raises:
        InputError: The name does not end in ``.safetensors``.
        CorenasError: The file cannot be written.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: the name of a model file ends in {SUFFIX}")
    weights = {name: _stored(tensor) for name, tensor in module.state_dict().items()}
    description = {
        **_origin(space, architecture),
        "scale": scale,
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
    registry = registry or default_registry()
    text, weights = _read(path)
    description = _description(path, text)
    if description.digest != _digest(weights):
        raise DataError(f"{path}: damaged: the weights are not those that were written")
    space = _space(path, description, registry)
    module = _built(path, space, description.architecture)
    _fill(path, module, weights)
    return LoadedModel(
        module.eval(), space, description.architecture, description.scale, description.extra
    )


def _origin(space: Chosen, architecture: Architecture) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "corenas": version("corenas"),
        "plugin": space.plugin,
        "space": unstructure(space),
        "architecture": architecture.to_json(),
    }


def _stored(tensor: Tensor) -> Tensor:
    """Return a copy of its own: safetensors takes no tensors that share memory."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _digest(weights: Mapping[str, Tensor]) -> str:
    """Return a digest of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the description and the weights, neither of them checked."""
    try:
        path.open("rb").close()  # names what is wrong, as safetensors does not
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path}: {_what_it_is(path)} ({error})") from error
    if METADATA_KEY not in metadata:
        raise DataError(
            f"{path}: holds weights only; it does not say to which network they belong, "
            "as the model files of CoreNAS do"
        )
    return metadata[METADATA_KEY], weights


def _what_it_is(path: Path) -> str:
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
    scale: int
    digest: str
    extra: Mapping[str, Any]


def _description(path: Path, text: str) -> _Description:
    try:
        value = json.loads(text)
        if value["format"] > FORMAT:
            raise InputError(
                f"written by CoreNAS {value['corenas']} in format {value['format']}; "
                f"this version reads formats up to {FORMAT}"
            )
        options = dict(value["space"])
        return _Description(
            plugin=str(value["plugin"]),
            space=str(options.pop("use")),
            options=options,
            architecture=Architecture.from_json(value["architecture"]),
            scale=int(value["scale"]),
            digest=str(value["digest"]),
            extra=dict(value["extra"]),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged: its description cannot be read ({error!r})") from error


def _space(path: Path, description: _Description, registry: Registry) -> Chosen:
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


def _built(path: Path, chosen: Chosen, architecture: Architecture) -> nn.Module:
    """Return the network with fresh weights; the caller's random numbers stay as they were."""
    space = chosen.build()
    if problem := space.check(architecture):
        raise DataError(f"{path}: its architecture is not of the space {chosen.name!r}: {problem}")
    with torch.random.fork_rng(devices=[]):
        module: nn.Module = space.build(architecture)
    return module


def _fill(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    expected = module.state_dict()
    misfits = [f"{name} is missing" for name in expected.keys() - weights.keys()]
    misfits += [f"{name} is not part of the network" for name in weights.keys() - expected.keys()]
    misfits += [
        f"{name} has shape {list(weights[name].shape)}, not {list(expected[name].shape)}"
        for name in expected.keys() & weights.keys()
        if weights[name].shape != expected[name].shape
    ]
    if misfits:
        named = "; ".join(sorted(misfits)[:_NAMED_MISFITS])
        more = f"; and {len(misfits) - _NAMED_MISFITS} more" * (len(misfits) > _NAMED_MISFITS)
        raise DataError(f"{path}: its weights do not fit its architecture: {named}{more}")
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise DataError(f"{path}: its weights are not all finite numbers, as those of {name}")
    module.load_state_dict(weights)
