"""What the metrics cost, and how far the common libraries' numbers are from ours.

    python benchmarks/metrics.py [--rounds 15]
    python benchmarks/metrics.py --values

A photograph of 512x512 and its bicubic enlargement by 4, one thread. Every function starts from the
same two uint8 images; for SSIM, the libraries are given Y ready-made.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import piq
import skimage.color
import skimage.data
import skimage.metrics
import torch
import torchmetrics.functional.image as torchmetrics_image
from rich.console import Console
from rich.table import Table
from timing import Row, interleaved_medians, print_rows
from torch import Tensor
from torchmetrics.functional.image.lpips import _LPIPS

from corenas_metrics.config import RandomFeaturesConfig
from corenas_metrics.lpips import build_random
from corenas_metrics.niqe import niqe
from corenas_metrics.psnr import psnr
from corenas_metrics.ssim import ssim
from corenas_sr.data.images import luma, resize

Calls = dict[str, Callable[[], Any]]
OURS = "corenas"
AUTHORS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

reference = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None].contiguous()
image = resize(resize(reference, Fraction(1, 4)), 4).contiguous()
arrays = tuple(batch[0].permute(1, 2, 0).contiguous().numpy() for batch in (image, reference))
planes = luma(image).float(), luma(reference).float()
plane_arrays = luma(image)[0, 0].numpy(), luma(reference)[0, 0].numpy()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="timed calls of each function")
    parser.add_argument("--values", action="store_true", help="compare numbers instead of times")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.values:
        return print_values()
    rows = [against_the_fastest(what, calls, arguments.rounds) for what, calls in TIMED.items()]
    rows += [lpips_against_torchmetrics(arguments.rounds), niqe_against_ssim(arguments.rounds)]
    return print_rows("a metric of one image of 512x512", rows)


def against_the_fastest(what: str, calls: Calls, rounds: int) -> Row:
    """Compare ours with the fastest library."""
    seconds = interleaved_medians(calls, rounds=rounds)
    fastest = min(value for name, value in seconds.items() if name != OURS)
    return Row(what, seconds[OURS] / fastest, 1.0, milliseconds(seconds))


def lpips_against_torchmetrics(rounds: int) -> Row:
    """Compare over the same random features: both do the same arithmetic."""
    ours = build_random(RandomFeaturesConfig())
    theirs = _LPIPS(pretrained=False, net="squeeze", pnet_rand=True).eval()
    theirs.load_state_dict(ours.network.state_dict(), strict=False)

    def measure() -> Tensor:
        with torch.inference_mode():
            distance: Tensor = theirs(image / 127.5 - 1, reference / 127.5 - 1)
        return distance

    calls: Calls = {OURS: lambda: ours(image, reference, scale=4), "torchmetrics": measure}
    seconds = interleaved_medians(calls, rounds=rounds)
    ratio = seconds[OURS] / seconds["torchmetrics"]
    return Row("LPIPS over SqueezeNet", ratio, 1.1, milliseconds(seconds))


def niqe_against_ssim(rounds: int) -> Row:
    calls: Calls = {"NIQE": lambda: niqe(image), "SSIM": lambda: ssim(image, reference, shave=4)}
    seconds = interleaved_medians(calls, rounds=rounds)
    return Row("NIQE / SSIM", seconds["NIQE"] / seconds["SSIM"], 6.0, milliseconds(seconds))


def milliseconds(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {1e3 * value:.1f} ms" for name, value in seconds.items())


def floats() -> tuple[Tensor, Tensor]:
    return image.float(), reference.float()


def ycbcr_psnr() -> float:
    y, y_reference = (skimage.color.rgb2ycbcr(array)[..., 0] for array in arrays)
    value: float = skimage.metrics.peak_signal_noise_ratio(y_reference, y, data_range=255)
    return value


TIMED: dict[str, Calls] = {
    "PSNR of RGB": {
        OURS: lambda: psnr(image, reference, luma=False),
        "scikit-image": lambda: skimage.metrics.peak_signal_noise_ratio(*arrays),
        "torchmetrics": lambda: torchmetrics_image.peak_signal_noise_ratio(
            *floats(), data_range=255.0
        ),
        "piq": lambda: piq.psnr(*floats(), data_range=255.0),
    },
    "PSNR of Y": {
        OURS: lambda: psnr(image, reference, shave=4),
        "scikit-image": ycbcr_psnr,
        "piq (its own Y)": lambda: piq.psnr(*floats(), data_range=255.0, convert_to_greyscale=True),
    },
    "SSIM of Y": {
        OURS: lambda: ssim(image, reference, shave=4),
        "scikit-image": lambda: skimage.metrics.structural_similarity(
            *plane_arrays, data_range=255, **AUTHORS
        ),
        "torchmetrics": lambda: torchmetrics_image.structural_similarity_index_measure(
            *planes, data_range=255.0
        ),
        "piq": lambda: piq.ssim(*planes, data_range=255.0, downsample=False),
        "piq (on a quarter of the pixels)": lambda: piq.ssim(*planes, data_range=255.0),
    },
}

COMPARED: dict[str, Calls] = {
    "PSNR in dB, nothing shaved": {
        "corenas, Y": lambda: psnr(image, reference),
        "corenas, Y rounded": lambda: psnr(image, reference, rounded=True),
        "corenas, RGB": lambda: psnr(image, reference, luma=False),
        "scikit-image, RGB": lambda: skimage.metrics.peak_signal_noise_ratio(*arrays),
        "scikit-image, rgb2ycbcr": ycbcr_psnr,
        "torchmetrics, RGB": lambda: torchmetrics_image.peak_signal_noise_ratio(
            *floats(), data_range=255.0
        ),
        "piq, RGB": lambda: piq.psnr(*floats(), data_range=255.0),
        "piq, convert_to_greyscale": lambda: piq.psnr(
            *floats(), data_range=255.0, convert_to_greyscale=True
        ),
    },
    "PSNR in dB of equal images": {
        "corenas": lambda: psnr(image, image),
        "torchmetrics": lambda: torchmetrics_image.peak_signal_noise_ratio(
            image.float(), image.float(), data_range=255.0
        ),
        "piq": lambda: piq.psnr(image.float(), image.float(), data_range=255.0),
    },
    "SSIM, nothing shaved": {
        "corenas, Y": lambda: ssim(image, reference),
        "corenas, RGB": lambda: ssim(image, reference, luma=False),
        "scikit-image, Y, the authors' parameters": lambda: skimage.metrics.structural_similarity(
            *plane_arrays, data_range=255, **AUTHORS
        ),
        "scikit-image, Y, defaults": lambda: skimage.metrics.structural_similarity(
            *plane_arrays, data_range=255
        ),
        "scikit-image, RGB, defaults": lambda: skimage.metrics.structural_similarity(
            *arrays, channel_axis=2
        ),
        "torchmetrics, Y, defaults": lambda: torchmetrics_image.structural_similarity_index_measure(
            *planes, data_range=255.0
        ),
        "torchmetrics, RGB, defaults": lambda: (
            torchmetrics_image.structural_similarity_index_measure(*floats(), data_range=255.0)
        ),
        "piq, Y, defaults": lambda: piq.ssim(*planes, data_range=255.0),
        "piq, Y, downsample=False": lambda: piq.ssim(*planes, data_range=255.0, downsample=False),
        "piq, RGB, defaults": lambda: piq.ssim(*floats(), data_range=255.0),
    },
}


def print_values() -> int:
    """Print each library's value and its difference from the first one."""
    for title, calls in COMPARED.items():
        table = Table(title=title)
        for column in ("library", "value", "minus the first"):
            table.add_column(column)
        values = {name: float(call()) for name, call in calls.items()}
        first = next(iter(values.values()))
        for name, value in values.items():
            difference = value - first
            shown = f"{difference:+.6f}" if math.isfinite(difference) else ""
            table.add_row(name, f"{value:.6f}", shown)
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
