"""Networks of other projects, built by spandrel.

Of a foreign file only tensors are read. spandrel itself never opens one: it would run the code of
a TorchScript archive.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from corenas.errors import DataError
from corenas.files import mistaken_for
from corenas.modelfile import SUFFIX, holds_weights_only
from corenas_sr.models.files import Network

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor, ModelDescriptor

FOREIGN_SUFFIXES = (".pth", ".pt", ".ckpt")
"""Suffixes of files that torch.save wrote."""

_CHANNELS = 3


def load_foreign(path: Path) -> Network:
    """Read the weights of another project's network, and build it with spandrel.

    Raises:
        DataError: The file cannot be read, holds more than weights, or its network is not a
            super-resolution network for RGB images.
    """
    if what := mistaken_for(path):
        raise DataError(f"{path}: {what}")
    described = _build_with_spandrel(path, _read_weights(path))
    channels = described.input_channels, described.output_channels
    if channels != (_CHANNELS, _CHANNELS):
        raise DataError(
            f"{path}: its network takes {channels[0]} and gives {channels[1]} channels; "
            f"RGB images have {_CHANNELS}"
        )
    # A network with NaN in it would make black images, without a word.
    for name, tensor in described.model.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise DataError(f"{path}: its weights are not all finite numbers, as those of {name}")
    return Network(_ByteRange(described).requires_grad_(False).eval(), described.scale)


class _ByteRange(nn.Module):
    """A network of spandrel, which works in 0..1, for images in 0..255."""

    def __init__(self, described: ImageModelDescriptor[nn.Module]) -> None:
        super().__init__()
        self.network = described.model
        self._described = described

    def forward(self, images: Tensor) -> Tensor:
        # Called through its description, which pads images to the sizes that the network takes.
        unit: Tensor = self._described(images / 255)
        return unit * 255


def is_foreign(path: Path) -> bool:
    """Tell whether a file holds weights that do not say of which network they are."""
    if path.suffix.lower() in FOREIGN_SUFFIXES:
        return True
    return holds_weights_only(path)


def _read_weights(path: Path) -> Mapping[str, Any]:
    """Return the content of a file: tensors by name, perhaps nested."""
    try:
        # Opened first: the error of the system says what is wrong, that of torch does not.
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        value = load_file(path) if path.suffix.lower() == SUFFIX else _unpickle(path)
    except Exception as error:  # a damaged file makes its reader raise nearly anything
        raise DataError(f"{path}: {_what_is_wrong(error)}") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: holds no weights by name, but one {type(value).__name__}")
    return value


def _unpickle(path: Path) -> Any:
    with warnings.catch_warnings():
        # Odd files make torch warn; our error says it where such a file is refused.
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _what_is_wrong(error: Exception) -> str:
    text = _one_line(error)
    if "TorchScript" in text:
        return "refused: a TorchScript program; only weights are read"
    if isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL (\S+)", text)
        what = named[1] if named else "something"
        return f"refused: it holds {what} beside weights, and to read that could run code"
    return f"damaged, or not a file of weights ({text})"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _build_with_spandrel(path: Path, weights: Mapping[str, Any]) -> ImageModelDescriptor[nn.Module]:
    """Let spandrel recognise and build the network."""
    # Imported here: it brings dozens of architectures and takes seconds.
    from spandrel import ModelLoader, UnsupportedModelError

    try:
        described: ModelDescriptor = ModelLoader().load_from_state_dict(dict(weights))
    except UnsupportedModelError:
        raise DataError(f"{path}: its weights are of no network that spandrel knows") from None
    except Exception as error:  # each architecture stumbles over unfitting weights in its own way
        raise DataError(f"{path}: its weights fit no network ({_one_line(error)})") from error
    if described.purpose != "SR":
        raise DataError(
            f"{path}: not a super-resolution network, but one for {described.purpose}"
            f" ({described.architecture.name})"
        )
    return described
