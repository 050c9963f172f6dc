"""Losses between an image and the ground truth, pixel by pixel or frequency by frequency."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from corenas.training.step import Loss
from corenas_sr.config import PixelLoss

CHARBONNIER = 1.0
"""Where the Charbonnier loss turns from a square into a slope: one level of 0..255."""


def pixel_loss(name: PixelLoss, *, fft_weight: float = 0.05) -> Loss:
    """Return a loss of images in 0..255, shape (N, 3, H, W) both; it gives a scalar.

    Args:
        name: Which one.
        fft_weight: Weight of the term of ``l1-fft`` that compares frequencies.
    """
    match name:
        case "l1":
            return F.l1_loss
        case "l2":
            return F.mse_loss
        case "charbonnier":
            return charbonnier
        case "l1-fft":
            return lambda image, truth: F.l1_loss(image, truth) + fft_weight * fft_l1(image, truth)


def charbonnier(image: Tensor, truth: Tensor) -> Tensor:
    """Return the mean of sqrt(d^2 + 1), d in levels (Lai et al., arXiv:1710.01992, Eq. 4)."""
    return torch.sqrt((image - truth).square() + CHARBONNIER**2).mean()


def fft_l1(image: Tensor, truth: Tensor) -> Tensor:
    """Return the mean distance of Fourier coefficients (Cho et al., MIMO-UNet, 2108.05054, Eq. 6).

    The transform is the orthonormal one, so the number does not grow with the patch: of white noise
    in the pixels it is about as large as L1.
    """
    coefficients: Tensor = torch.fft.rfft2(image - truth, norm="ortho")
    return coefficients.abs().mean()
