"""Distortion against perception: the networks between the generator and its perceptual twin."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corenas import Run
from corenas.drawing.plots import Dot, dots_plot
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual._comparison import axis

TRADEOFF = "tradeoff.png"
"""File name of the picture."""


def draw_tradeoff(run: Run, config: TpsrConfig, models: Sequence[Mapping[str, Any]]) -> None:
    """Draw the recipe's first metric against the perceptual one, a dot for each model of stage two.

    Args:
        run: Gets the picture, on the first benchmark, or else on the validation images.
        config: Names the metrics and the images.
        models: Entries of the summary: the generator and what stage two made of it, each at one
            scale. Others, such as that of x2, are left out.
    """
    fidelity, perceptual = config.metrics[0], config.perceptual.metric
    scale = models[-1]["scale"]
    shown = [entry for entry in models if entry["scale"] == scale]
    # One metric on both axes would show a diagonal.
    if fidelity.name == perceptual.name or len(shown) < 2:
        return
    benchmarks = config.data.benchmarks
    where = Path(benchmarks[0]).name if benchmarks else "the validation images"
    dots = []
    for entry in shown:
        values = (entry["benchmarks"][benchmarks[0]] if benchmarks else entry)["metrics"]
        if values[fidelity.name] is not None and values[perceptual.name] is not None:
            dots.append(Dot(entry["name"], values[fidelity.name], values[perceptual.name]))
    dots_plot(
        run.images / TRADEOFF,
        dots,
        x=axis(fidelity),
        y=axis(perceptual),
        title=f"Networks between fidelity and perception, on {where}",
    )
    run.say(f"picture: {os.path.relpath(run.images / TRADEOFF)}")
