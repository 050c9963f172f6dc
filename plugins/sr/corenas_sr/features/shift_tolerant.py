"""The networks of ST-LPIPS (Ghildyal and Liu, ECCV 2022, arXiv:2207.13686).

They are AlexNet and VGG16 without strides in convolutions and max-poolings: every halving is a blur
(Zhang, arXiv:1904.11486) whose border reflects two pixels, so that moving an image by a pixel
hardly changes the features. Their trained weights come with the package ``stlpips_pytorch``, of
which the files are read and no code is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKAGE = "stlpips_pytorch"
"""The package on the index whose files hold the weights."""

BORDER = 2
"""Pixels by which a blur reflects the image at each side."""


class BlurPool(nn.Module):
    """Halve an image by the filter [1, 2, 1] / 4 in both directions, each channel by itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0], device="cpu") / 4
        self.filter: Tensor
        # A constant outside the state dict; with storage even where the layers have none yet.
        self.register_buffer(
            "filter", torch.outer(line, line).expand(channels, 1, 3, 3), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (N, channels, (H + 3) // 2, (W + 3) // 2); sides are above `BORDER`."""
        reflected = F.pad(x, (BORDER,) * 4, mode="reflect")
        return F.conv2d(reflected, self.filter, stride=2, groups=x.shape[1])


def st_alexnet() -> nn.Sequential:
    """Return AlexNet's features: the first blur stands before its ReLU."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, padding=2),
        BlurPool(64),
        nn.ReLU(),
        *(nn.MaxPool2d(3, 1), BlurPool(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 1), BlurPool(192), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def st_vgg16() -> nn.Sequential:
    """Return VGG16's features."""
    return nn.Sequential(*_vgg_layers())


def _vgg_layers() -> Iterator[nn.Module]:
    inputs = 3
    for outputs, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if inputs > 3:
            yield from (nn.MaxPool2d(2, 1), BlurPool(inputs))
        for _ in range(convolutions):
            yield from (nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())
            inputs = outputs


BUILDERS: Mapping[str, Callable[[], nn.Sequential]] = {
    "st-alexnet": st_alexnet,
    "st-vgg16": st_vgg16,
}
"""The networks by the names under which `corenas_sr.features.trunks.load_trunk` knows them."""

_FILES = {"st-alexnet": "alex_shift_tolerant.pth", "st-vgg16": "vgg_shift_tolerant.pth"}


def packaged_weights(name: str) -> Path | None:
    """Return the file of a network's weights in the package; None where that is not installed."""
    # The package is looked for and not imported: its modules need more than it says.
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / "weights" / "vST0.0" / _FILES[name]
        if file.is_file():
            return file
    return None


def features_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the features' weights in a file of the package, by the names of `BUILDERS`.

    A file names them by slice and layer, ``net.slice2.5.weight``, and holds the blurs' filters.
    """
    found = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if parts[0] == "net" and parts[-1] != "filt":
            found[".".join(parts[2:])] = tensor
    return found


def linear_layers_in(state: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the weights of the five levels' channels, each of shape (1, C, 1, 1)."""
    return [state[f"lin{level}.model.1.weight"] for level in range(5)]
