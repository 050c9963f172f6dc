"""A search under a limit on latency beside one under a limit on mult-adds, on this machine.

    CORENAS_DATA=FOLDER python benchmarks/latency_search.py --out FOLDER [--candidates 60]

First a latency table of the space `tiny` at x4 is made. Then two searches of `corenas run tiny`
work side by side, one core each, with as many candidates, the same proxy and the same limit on
parameters: one within the mult-adds of the hand-made network tiny/res3-16x11, the other within the
time that the table tells for that network. The networks of both fronts are then timed as a whole,
one after the other. For each of the first search, the fastest one of the second that is at least as
good stands beside it. Wall times: this needs a quiet machine, and takes an hour and a half. With
the same --out it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from attrs import frozen
from matplotlib.figure import Figure
from shared.running import is_finished, run_side_by_side
from timing import Row, print_rows

from corenas import Architecture, choose
from corenas.cost import count
from corenas_sr.latency.measuring import measure_latency
from corenas_sr.latency.table import LatencyTable
from corenas_sr.training.reparameterise import as_shipped

INPUT = (320, 180)
REFERENCE = "tiny/res3-16x11"

BAR = 0.95
"""At equal PSNR, the most that the faster network may take of the other's time, in the median."""

SIDES = {"mult-adds": "limit on mult-adds", "latency": "limit on latency"}


@frozen
class Point:
    """A network that was trained in full: its PSNR in dB, and the seconds of a forward pass."""

    architecture: Architecture
    psnr: float
    seconds: float


def main() -> int:
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    table = _make_table(arguments)
    _search(arguments, table)
    fronts = {name: _measured_front(arguments, name) for name in SIDES}
    _draw(fronts, arguments.out / "fronts.png")
    return _judge(fronts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-latency"))
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--candidates", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="more", metavar="OPTION=VALUE")
    return parser.parse_args()


def _make_table(arguments: argparse.Namespace) -> Path:
    file: Path = arguments.out / "table.json"
    if not file.exists() or not LatencyTable.read(file).agreement:
        size = "x".join(map(str, INPUT))
        command = ["corenas", "latency", "table", "tiny", f"--out={file}", f"--input={size}"]
        subprocess.run([*command, f"--engine={arguments.engine}"], check=True)
    table = LatencyTable.read(file)
    print(f"{len(table.seconds)} parts, {table.protocol}; {dict(table.agreement)}", flush=True)
    return file


def _limits(table: Path) -> Mapping[str, Sequence[str]]:
    space = choose("search_spaces", "tiny").build()
    architecture = space.known[REFERENCE]
    width, height = INPUT
    mult_adds = count(space.build(architecture), (1, 3, height, width)).mult_adds
    seconds = LatencyTable.read(table).estimate(space, architecture)
    print(f"{REFERENCE}: {mult_adds / 1e9:.3f} G mult-adds, {1e3 * seconds:.1f} ms by the table")
    return {
        "mult-adds": [f"--set=mult_adds_limit={mult_adds}"],
        "latency": ["--set=mult_adds_limit=1e12", f"--set=latency_limit={seconds}"],
    }


def _search(arguments: argparse.Namespace, table: Path) -> None:
    """Run both searches side by side."""
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    commands = {}
    for name, limits in _limits(table).items():
        folder = arguments.out / name
        if is_finished(folder):
            continue
        command = [
            *("corenas", "run", "tiny", f"--out={folder}", "--preset=standard", "--workers=1"),
            *(f"--seed={arguments.seed}", f"--set=search.steps={arguments.candidates}"),
            *(f"--set=data.train={data / 'bsds200' / 'HR'}", "--set=finalists.count=0"),
            *(f"--set=data.validation={data / 'kodak24' / 'HR'}", "--set=baselines=[]"),
            *("--set=training.steps=100", "--set=training.warmup=0", "--set=training.phases=[]"),
            *("--set=training.validate_every=100", f"--set=latency_table={table.absolute()}"),
            *limits,
            *(f"--set={each}" for each in arguments.more),
        ]
        if (folder / "journal.jsonl").exists():
            command = ["corenas", "resume", str(folder)]
        commands[name] = command
    run_side_by_side(commands, arguments.out)


def _trials(folder: Path) -> Sequence[Mapping[str, Any]]:
    """Return the trials that were trained in full."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    events = (json.loads(line) for line in lines)
    trials = (each["trial"] for each in events if each["kind"] == "trial")
    return [trial for trial in trials if trial.get("fidelity", 1) == 1]


def _measured_front(arguments: argparse.Namespace, name: str) -> Sequence[Point]:
    """Time the networks that no other of the same search beats in the table's time and PSNR."""
    trials = _trials(arguments.out / name)
    kept, best = [], float("-inf")
    for trial in sorted(trials, key=lambda each: each["metrics"]["latency"]):
        psnr = trial["metrics"]["psnr"]
        if psnr > best:
            kept, best = [*kept, trial], psnr
    print(f"{SIDES[name]}: {len(trials)} networks trained in full, {len(kept)} on the front")
    return [_timed(arguments.engine, trial) for trial in kept]


def _timed(engine: str, trial: Mapping[str, Any]) -> Point:
    architecture = Architecture.from_json(trial["architecture"])
    torch.manual_seed(0)
    network = choose("search_spaces", "tiny").build().build(architecture)
    ready = as_shipped(network)
    width, height = INPUT
    runs = choose("latency_engines", engine).build()
    found = measure_latency(runs, ready, (1, 3, height, width), threads=1)
    return Point(architecture, trial["metrics"]["psnr"], found.median)


def _draw(fronts: Mapping[str, Sequence[Point]], file: Path) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for (name, points), marker in zip(fronts.items(), "os", strict=True):
        ordered = sorted(points, key=lambda each: each.seconds)
        axes.plot(
            [1e3 * each.seconds for each in ordered],
            [each.psnr for each in ordered],
            marker=marker,
            label=SIDES[name],
        )
    width, height = INPUT
    axes.set_xlabel(f"time of a forward pass of {width}x{height} in ms, one thread")
    axes.set_ylabel("PSNR-Y of the proxy in dB")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def _judge(fronts: Mapping[str, Sequence[Point]]) -> int:
    ratios = []
    print(
        "| limit on mult-adds: PSNR, ms | at least as good under the limit on latency: PSNR, ms |"
    )
    print("|---|---|")
    for point in fronts["mult-adds"]:
        as_good = [each for each in fronts["latency"] if each.psnr >= point.psnr]
        other = min(as_good, key=lambda each: each.seconds, default=None)
        beside = "none" if other is None else f"{other.psnr:.2f} dB, {1e3 * other.seconds:.1f}"
        print(f"| {point.psnr:.2f} dB, {1e3 * point.seconds:.1f} | {beside} |")
        if other is not None:
            ratios.append(other.seconds / point.seconds)
    if not ratios:
        print("MISSED  no network under the limit on latency is as good as any of the others")
        return 1
    detail = f"of {len(ratios)} networks with one as good, of {len(fronts['mult-adds'])}"
    row = Row("time at equal PSNR, limit on latency / on mult-adds", median(ratios), BAR, detail)
    return print_rows("searches beside each other", [row])


if __name__ == "__main__":
    sys.exit(main())
