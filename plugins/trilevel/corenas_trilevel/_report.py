"""Pictures, costs, and the paper's row beside ours, for a run of the recipe ``trilevel``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import asdict

from corenas import Architecture, Run, SearchResult, Trial
from corenas.cost import human
from corenas_sr.config import OUTPUT
from corenas_sr.results.report import align_columns, draw_trials
from corenas_trilevel.search.plots import PATH_WEIGHT, path_plot, sparsity_plot
from corenas_trilevel.space.counting import PAPER_SIZE, count
from corenas_trilevel.space.decisions import PATH
from corenas_trilevel.space.diagrams import draw_network
from corenas_trilevel.space.published import RESULTS
from corenas_trilevel.space.space import TrilevelSpace

SETS = ("Set5", "Set14")
"""Benchmarks for which the paper prints PSNR, by the name of their folder."""


def draw_search(run: Run, found: SearchResult, space: TrilevelSpace) -> list[Trial]:
    """Draw the search and the network found; return the Pareto front of its trials.

    The plots of sparsity and paths need numbers that only the strategy ``trilevel`` records.
    """
    events = run.events("search")
    recorded = {name for event in events for name in event.scalars}
    if "path_sparsity" in recorded:
        sparsity_plot(run.images / "sparsity.png", events)
    if any(name.startswith(PATH_WEIGHT) for name in recorded):
        path_plot(run.images / "paths.png", events)
    if found.chosen is not None:
        draw_network(run.images / "network", space, found.chosen)
    return draw_trials(run, found, stage="search")


def report_costs(
    run: Run, space: TrilevelSpace, architecture: Architecture
) -> dict[str, dict[str, Any]]:
    """Print the network's true costs and those counted as the paper counts; return both."""
    scale = space.config.scale
    width, height = (side // scale for side in OUTPUT)
    with torch.device("meta"):
        network = space.build(architecture)
    true = count(network, size=(height, width))
    paper = count(network, size=PAPER_SIZE, convention="paper")
    run.say(
        f"network {architecture.id}: path {architecture[PATH]}, {human(true.params)} parameters, "
        f"{human(true.mult_adds)} mult-adds at {width * scale}x{height * scale}; as the paper "
        f"counts, {paper.params / 1e6:.4f} M and {paper.mult_adds / 1e9:.4f} GFLOPs at an input of "
        "256x256"
    )
    return {
        "true": {
            "params": true.params,
            "mult_adds": true.mult_adds,
            "input": [width, height],
        },
        "paper": {
            "params_millions": paper.params / 1e6,
            "gflops": paper.mult_adds / 1e9,
            "input": list(PAPER_SIZE),
        },
    }


def report_published(
    run: Run, name: str | None, summary: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Print a row of the paper beside ours, costs counted as the paper counts them.

    Args:
        run: Prints the rows.
        name: A key of `RESULTS`; None prints nothing.
        summary: Holds architecture, costs and measured models.

    Returns:
        The row, under ``published``; nothing without a name.
    """
    if name is None:
        return {}
    theirs, paper = RESULTS[name], summary["costs"]["paper"]
    path, costs = summary["architecture"]["path"], (paper["params_millions"], paper["gflops"])
    rows = [["", "path", "params (M)", "GFLOPs", *SETS]]
    for model in summary["models"]:
        quality = (_psnr(model, images) for images in SETS)
        rows.append([f"ours, {model['name']}", path, *map(_format, (*costs, *quality))])
    printed = (theirs.params, theirs.gflops, theirs.set5, theirs.set14)
    rows.append([f"paper, {theirs.title}, x4", theirs.path, *map(_format, printed)])
    run.say("beside the paper, which trained on DIV2K and Flickr2K (psnr in dB):")
    for line in align_columns(rows):
        run.say(line)
    return {"published": {"name": name, **asdict(theirs)}}


def _psnr(model: Mapping[str, Any], images: str) -> float | None:
    """Return a model's PSNR on a benchmark's images, if it was measured."""
    for source, values in model["benchmarks"].items():
        if images in Path(source).parts:
            number: float | None = values["metrics"].get("psnr")
            return number
    return None


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
