"""The report of a finished run: models measured beside bicubic, pictures, a summary."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas import MULT_ADDS, PARAMS, Chosen, Run, SearchResult, Trial
from corenas.cost import Cost, count, human
from corenas.drawing.plots import pareto_plot, search_plot
from corenas.search.pareto import directions, front
from corenas.values.result import finite
from corenas_sr.config import OUTPUT, DataConfig
from corenas_sr.data.datasets import ImagePair, describe_lr, load_pairs
from corenas_sr.metric import ImageMetric
from corenas_sr.models.files import LoadedModel, load_model
from corenas_sr.models.inference import bicubic, upscale
from corenas_sr.results._crops import save_crops
from corenas_sr.results._pictures import comparison
from corenas_sr.results.comparing import CROPS
from corenas_sr.results.evaluation import Evaluation, build_metrics, evaluate

Bases = dict[tuple[int, str], Evaluation]
"""Bicubic by scale and source of the images, which is the same for every model."""


@frozen
class Measured:
    """One model and bicubic on one set of images."""

    source: str
    ours: Evaluation
    bicubic: Evaluation

    def to_json(self) -> dict[str, Any]:
        return {"metrics": finite(self.ours.mean), "bicubic": finite(self.bicubic.mean)}


def hand_over(
    run: Run,
    models: Mapping[str, Path],
    *,
    data: DataConfig,
    metrics: Sequence[Chosen],
    undrawn: Collection[str] = (),
) -> dict[str, Any]:
    """Measure the models (file by name) on validation images and benchmarks, and show them.

    Args:
        run: Gets the pictures, and says the table.
        models: The files.
        data: The images.
        metrics: What is measured.
        undrawn: Names of models without a picture.

    Returns:
        The entries ``models``, ``protocol`` and ``data`` of ``summary.json``.
    """
    built = build_metrics(metrics)
    entries = []
    bases: Bases = {}
    for name, file in models.items():
        drawn = name not in undrawn
        entries.append(_measure_model(run, name, file, data, built, bases, drawn=drawn))
    for line in table(entries):
        run.say(line)
    # Both are the same for all models of one scale.
    for entry in {entry["scale"]: entry for entry in reversed(entries)}.values():
        run.say(f"low resolution at x{entry['scale']}: {entry['low_resolution']}")
        for metric, protocol in entry["protocol"].items():
            run.say(f"{metric} at x{entry['scale']}: {protocol}")
    return {
        "models": entries,
        "protocol": {name: metric.info.protocol for name, metric in built.items()},
        "data": {
            "train": data.train,
            "validation": data.validation,
            "benchmarks": list(data.benchmarks),
        },
    }


def _measure_model(
    run: Run,
    name: str,
    file: Path,
    data: DataConfig,
    metrics: Mapping[str, ImageMetric],
    bases: Bases,
    *,
    drawn: bool,
) -> dict[str, Any]:
    model = load_model(file)
    scale = model.scale
    pairs = load_pairs(data.validation, scale=scale, split="validation")
    measured = measure(
        model, pairs, metrics, source=data.validation, device=run.device, bases=bases
    )
    cost = cost_at_output(model)
    height, width = cost.input[-2:]
    if drawn:
        picture = draw_models(
            run.images / f"comparison-{name}.png",
            {"ours": model},
            pairs[0],
            {"bicubic": measured.bicubic, "ours": measured.ours},
            crops=crops_folder(run, name),
            device=run.device,
        )
        run.say(f"picture: {picture}")
    benchmarks = {}
    for source in data.benchmarks:
        images = load_pairs(source, scale=scale, split="validation")
        found = measure(model, images, metrics, source=source, device=run.device, bases=bases)
        origin = {"low_resolution": describe_lr(images, scale=scale)}
        benchmarks[source] = found.to_json() | origin
    return {
        "low_resolution": describe_lr(pairs, scale=scale),
        "name": name,
        "file": str(file.relative_to(run.folder)),
        "scale": scale,
        "params": cost.params,
        "mult_adds": cost.mult_adds,
        "input": [width, height],
        **measured.to_json(),
        "protocol": measured.ours.protocol,
        "benchmarks": benchmarks,
    }


def cost_at_output(model: LoadedModel, output: tuple[int, int] = OUTPUT) -> Cost:
    """Count a model for the input that gives ``output`` (width, height)."""
    width, height = (side // model.scale for side in output)
    return count(model.module, (1, 3, height, width))


def measure(
    model: LoadedModel,
    pairs: Sequence[ImagePair],
    metrics: Mapping[str, ImageMetric],
    *,
    source: str,
    device: str,
    bases: Bases,
) -> Measured:
    """Measure a model and bicubic on the same images.

    Args:
        model: The model.
        pairs: The images.
        metrics: What is measured.
        source: Where the images are from.
        device: Where to compute.
        bases: Bicubic of before, by scale and source; what it lacks is added.
    """
    scale = model.scale
    ours = evaluate(
        lambda pair: upscale(model.module, pair.lr, scale=scale, device=device),
        pairs,
        metrics,
        scale=scale,
    )
    if (scale, source) not in bases:
        bases[scale, source] = evaluate(
            lambda pair: bicubic(pair.lr, scale), pairs, metrics, scale=scale
        )
    return Measured(source, ours, bases[scale, source])


def crops_folder(run: Run, name: str) -> Path:
    """Return where the report of a run looks for parts of images to compare."""
    return run.folder / CROPS / name


def draw_models(
    path: Path,
    models: Mapping[str, LoadedModel],
    pair: ImagePair,
    measured: Mapping[str, Evaluation],
    *,
    crops: Path,
    device: str,
) -> Path:
    """Draw low resolution, bicubic, each model's output and ground truth side by side.

    Args:
        path: Where to, as a PNG file.
        models: Models of one scale, by the label of their image.
        pair: The image.
        measured: Evaluations that include this image, by the same labels and ``bicubic``.
        crops: Folder for the same part of all of them, pixel by pixel, for the run's report.
        device: Where to compute.

    Returns:
        The path as seen from the working directory.
    """
    images = {
        name: upscale(m.module, pair.lr, scale=m.scale, device=device) for name, m in models.items()
    }
    scale = pair.hr.shape[1] // pair.lr.shape[1]
    images = {"bicubic": bicubic(pair.lr, scale), **images}
    numbers = {name: _numbers(measured[name].images[pair.name]) for name in images}
    comparison(path, name=pair.name, lr=pair.lr, hr=pair.hr, images=images, numbers=numbers)
    save_crops(crops, name=pair.name, lr=pair.lr, hr=pair.hr, images=images, numbers=numbers)
    return Path(os.path.relpath(path))


def _numbers(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name.upper()} {value:.4g}" for name, value in values.items())


def draw_trials(run: Run, found: SearchResult, *, stage: str) -> list[Trial]:
    """Draw a sampling search and its Pareto front; return the trials of the front.

    A stage without a measured trial, as that of a one-shot search, has neither.
    """
    trials = run.trials(stage)
    if not trials:
        return []
    # Parameters grow with mult-adds, so their plots would show the same again.
    drawn = {q.name: q for q in found.quantities if q.name != PARAMS.name}
    search_plot(run.images / "search.png", trials, drawn, cost=MULT_ADDS.name)
    pareto_plot(run.images / "pareto.png", trials, drawn)
    return front(trials, directions(drawn.values()))


def table(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table: one for each model and image set, bicubic beside it."""
    names = list(entries[0]["metrics"])
    head = ["model", "images", "params", "mult-adds", *(f"{n} (bicubic)" for n in names)]
    rows = [head]
    for entry in entries:
        sets = {"validation": entry, **entry["benchmarks"]}
        for source, values in sets.items():
            pairs = [(values["metrics"][name], values["bicubic"][name]) for name in names]
            cells = [f"{format_number(ours)} ({format_number(bicubic)})" for ours, bicubic in pairs]
            costs = [human(entry["params"]), human(entry["mult_adds"])]
            rows.append([entry["name"], Path(source).name, *costs, *cells])
    return align_columns(rows)


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, the columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def format_number(value: float | None) -> str:
    """Return a number with four decimals, or a dash."""
    return "-" if value is None else f"{value:.4f}"
