"""The hooks of the metrics: PSNR, SSIM, LPIPS, NIQE, and the command ``niqe-model``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corenas.plugins.hookspecs import Component, hookimpl
from corenas_metrics import config

if TYPE_CHECKING:
    import typer


@hookimpl
def corenas_metrics() -> Iterable[Component]:
    """Return PSNR, SSIM, LPIPS, ST-LPIPS, NIQE and features that need no weights."""
    return [
        Component(
            "psnr",
            "corenas_metrics.psnr:build",
            config.PsnrConfig,
            "peak signal-to-noise ratio",
            config.PSNR,
        ),
        Component(
            "ssim",
            "corenas_metrics.ssim:build",
            config.SsimConfig,
            "structural similarity",
            config.SSIM,
        ),
        Component(
            "lpips",
            "corenas_metrics.lpips:build",
            config.LpipsConfig,
            "learned perceptual image patch similarity",
            config.LPIPS,
        ),
        Component(
            "st-lpips",
            "corenas_metrics.lpips:build_shift_tolerant",
            config.StLpipsConfig,
            "LPIPS that small shifts hardly change; its weights come with a package",
            config.ST_LPIPS,
        ),
        Component(
            "niqe",
            "corenas_metrics.niqe:build",
            config.NiqeConfig,
            "natural image quality evaluator",
            config.NIQE,
        ),
        Component(
            "random-features",
            "corenas_metrics.lpips:build_random",
            config.RandomFeaturesConfig,
            "distance of random features, for tests of what needs a distance but no weights",
            config.RANDOM_FEATURES,
        ),
    ]


@hookimpl
def corenas_commands(app: typer.Typer) -> None:
    """Add the command ``niqe-model``."""
    from corenas_metrics._commands import add_commands

    add_commands(app)
