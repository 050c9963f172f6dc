"""What the benchmarks of TPSR's stage two measure of a model, each model once, and their tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median, stdev

from attrs import evolve, frozen
from scipy.stats import t

from corenas import Chosen, choose
from corenas.devices import use_one_thread
from corenas_sr.data.datasets import load_pairs
from corenas_sr.metric import ImageMetric
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import upscale
from corenas_sr.results.evaluation import build_metrics, evaluate
from shared.perceptual import link_others
from shared.running import SIDE_BY_SIDE

Numbers = Mapping[str, float]
Measured = Mapping[Path, Numbers]

COLUMNS = (
    "psnr",
    "lpips vgg",
    "st-lpips vgg",
    "lpips alex",
    "st-lpips alex",
    "lpips squeeze",
    "niqe",
    "psnr, kodak",
    "st-lpips, kodak",
    "niqe, kodak",
)
"""Of Set5, and of the sixteen images of kodak24. LPIPS of AlexNet chose; losses read SqueezeNet."""

SET5 = COLUMNS[:7]
"""Those of Set5 alone, which take a third of the time."""

PUBLISHED = {
    "psnr": 29.60,
    "lpips vgg": 0.2221,
    "lpips alex": 0.1207,
    "lpips squeeze": 0.1082,
    "st-lpips alex": 0.0742,
}
"""Of the perceptual x4 model that the authors of TPSR published, measured here on Set5."""

_SHORT = ("psnr", "niqe", "psnr, kodak", "niqe, kodak")
"""Columns with two digits."""

_CONFIDENCE = 0.95


def measure_all(
    files: Iterable[Path], data: Path, out: Path, columns: Sequence[str] = COLUMNS
) -> Measured:
    """Measure models, two at once, and keep what is measured in ``out``.

    Args:
        files: Model files; what ``out`` has of one with the same content is not measured again.
        data: Has the images and the weights of LPIPS.
        out: A folder.
        columns: All, or `SET5`; another folder for each, as what is kept has no more than these.

    Returns:
        The metrics of each by the names of the columns.
    """
    kept = out / "measured.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    known: dict[str, Numbers] = dict(map(json.loads, lines))
    digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    new = {digest: file for file, digest in digests.items() if digest not in known}
    judge = _Judge(data, link_others(data, out) if columns == COLUMNS else None)
    with ProcessPoolExecutor(
        SIDE_BY_SIDE, mp_context=get_context("spawn"), initializer=use_one_thread
    ) as pool:
        running = {pool.submit(judge.measure, file): digest for digest, file in new.items()}
        for future in as_completed(running):
            digest, found = running[future], future.result()
            known[digest] = found
            with kept.open("a") as opened:
                opened.write(json.dumps([digest, found]) + "\n")
    return {file: known[digest] for file, digest in digests.items()}


@frozen
class _Judge:
    """Measures on Set5 in ``data``, and on the photographs in the folder ``others``, if any."""

    data: Path
    others: Path | None

    def measure(self, file: Path) -> Numbers:
        model = load_model(file)
        found: dict[str, float] = {}
        for folder, metrics, names in self._metrics():
            pairs = load_pairs(str(folder), scale=model.scale, split="validation")
            result = evaluate(
                lambda pair: upscale(model.module, pair.lr, scale=model.scale),
                pairs,
                metrics,
                scale=model.scale,
            )
            found |= {names.get(name, name): value for name, value in result.mean.items()}
        return found

    def _metrics(self) -> Iterator[tuple[Path, Mapping[str, ImageMetric], Mapping[str, str]]]:
        """Yield images, metrics of them, and what they are called where not by their names."""
        set5, niqe = self.data / "Set5", choose("metrics", "niqe")
        yield set5, build_metrics([choose("metrics", "psnr"), niqe]), {}
        for net, trunk in (("vgg", "vgg16"), ("alex", "alexnet"), ("squeeze", "squeezenet1_1")):
            yield set5, build_metrics([self._lpips(net, trunk)]), {"lpips": f"lpips {net}"}
        for net in ("vgg", "alex"):
            chosen = choose("metrics", "st-lpips")
            chosen = evolve(chosen, config=evolve(chosen.config, net=net))
            yield set5, build_metrics([chosen]), {"st-lpips": f"st-lpips {net}"}
        if self.others is not None:
            chosen = choose("metrics", "st-lpips")
            others = build_metrics([niqe, choose("metrics", "psnr"), chosen])
            yield self.others, others, {each: f"{each}, kodak" for each in others}

    def _lpips(self, net: str, trunk: str) -> Chosen:
        chosen = choose("metrics", "lpips")
        weights = self.data / "weights" / f"{trunk}_features.pth"
        return evolve(chosen, config=evolve(chosen.config, net=net, weights=weights))


def print_head(first: str, columns: Sequence[str] = COLUMNS) -> None:
    """Print the head of a table; ``first`` is the title of its first column."""
    print(f"| {first} | {' | '.join(columns)} |")
    print(f"|---|{'--:|' * len(columns)}")


def print_row(name: str, values: Mapping[str, str], columns: Sequence[str] = COLUMNS) -> None:
    """Print a row, empty where there is no value."""
    print(f"| {name} | {' | '.join(values.get(each, '') for each in columns)} |", flush=True)


def shown(numbers: Numbers) -> dict[str, str]:
    """Return numbers with the digits of their columns."""
    return {n: f"{v:.2f}" if n in _SHORT else f"{v:.4f}" for n, v in numbers.items()}


def median_and_range(rows: Sequence[Numbers]) -> dict[str, str]:
    """Return the median of each column, with the least and the most."""
    cells = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        middle, least, most = (
            shown({name: value})[name] for value in (median(values), min(values), max(values))
        )
        cells[name] = f"{middle} ({least} to {most})"
    return cells


def paired_differences(ours: Sequence[Numbers], theirs: Sequence[Numbers]) -> dict[str, str]:
    """Return mean differences of the same seeds with the half width of their interval (t)."""
    quantile = float(t.ppf((1 + _CONFIDENCE) / 2, len(ours) - 1))
    cells = {}
    for name in ours[0]:
        differences = [a[name] - b[name] for a, b in zip(ours, theirs, strict=True)]
        half = quantile * stdev(differences) / len(differences) ** 0.5
        cells[name] = f"{mean(differences):+.4f} ± {half:.4f}"
    return cells
