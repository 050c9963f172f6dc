"""The images on which every metric was measured elsewhere, rebuilt bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from corenas_sr.data.images import resize

SHA256 = {
    "astronaut_bic4": "23e1235b974e4aef",
    "astronaut_block4": "86a399eb5e9d301c",
    "astronaut_hash20": "b58cb6d59b9e9fe0",
    "china_bic4": "828b49bcca7c455d",
    "china_block4": "dd75d4f4c8714f9a",
    "china_hash20": "362f3da927496b67",
}


@cache
def original(name: str) -> Tensor:
    """Return a photograph cropped to a multiple of 4, uint8 (1, 3, H, W)."""
    if name == "astronaut":
        pixels = skimage.data.astronaut()
    else:
        datasets = pytest.importorskip("sklearn.datasets", reason="china.jpg is scikit-learn's")
        pixels = datasets.load_sample_image(f"{name}.jpg")
    height, width = pixels.shape[0] // 4 * 4, pixels.shape[1] // 4 * 4
    image = torch.from_numpy(np.array(pixels[:height, :width]))
    return image.permute(2, 0, 1)[None].contiguous()


def _bicubic(image: Tensor) -> Tensor:
    """Shrink and enlarge by 4, each rounded once, after both passes."""
    for factor in (Fraction(1, 4), Fraction(4)):
        image = (resize(image.double(), factor) + 0.5).floor().clamp(0, 255).to(torch.uint8)
    return image


def _blocks(image: Tensor) -> Tensor:
    """Replace each 4x4 block by its integer mean."""
    _, _, height, width = image.shape
    blocks = image.long().view(1, 3, height // 4, 4, width // 4, 4).sum((3, 5))
    means = (blocks + 8).div(16, rounding_mode="floor").to(torch.uint8)
    return means.repeat_interleave(4, -1).repeat_interleave(4, -2)


def _noise(image: Tensor) -> Tensor:
    """Add integers in [-20, 20] from a hash of row, column and channel."""
    k, i, j = torch.meshgrid(*(torch.arange(size) for size in image.shape[1:]), indexing="ij")
    x = (7919 * i + 104729 * j + 1299709 * k) % 2**32
    for _ in range(2):
        x = (x ^ x >> 16) * 0x45D9F3B % 2**32
    x = x ^ x >> 16
    return (image.long() + x % 41 - 20).clamp(0, 255).to(torch.uint8)


@cache
def restored(name: str) -> Tensor:
    """Return a degraded photograph, checked against the recorded hash."""
    photograph, degradation = name.split("_")
    degrade = {"bic4": _bicubic, "block4": _blocks, "hash20": _noise}[degradation]
    image = degrade(original(photograph))
    digest = hashlib.sha256(image[0].permute(1, 2, 0).contiguous().numpy()).hexdigest()
    assert digest.startswith(SHA256[name]), f"{name} is not the image that was measured"
    return image


@pytest.fixture
def photograph() -> Callable[[str], Tensor]:
    """By name: ``astronaut`` and ``china``, or degraded ones such as ``china_bic4``."""
    return lambda name: restored(name) if "_" in name else original(name)
