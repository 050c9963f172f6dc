"""A search under a limit on latency beside one under a limit on mult-adds, on this machine.

    CORENAS_DATA=FOLDER python benchmarks/latency_search.py --out FOLDER [--candidates 100]

First a latency table of the space `tiny` at x4 is made. Then searches of `corenas run tiny` work
side by side, one core each, by evolution with as many candidates, the same short training and the
same limit on parameters: one within the mult-adds of the hand-made network tiny/res3-16x11, the
others within the time that the table tells for that network, and within twice that, since what the
first one finds may be slower. The networks of all fronts are trained again for longer, from another
seed, since the best of many short trainings owes something to luck, and timed as a whole in turns.
Then for each network of the first search: the least time of another's that are at least as good,
if one is, and the best PSNR of those that are at least as fast. Wall times: this needs a quiet
machine, and takes two hours. With the same --out and options it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from attrs import frozen
from matplotlib.figure import Figure
from shared.running import SIDE_BY_SIDE, run_side_by_side
from shared.trainings import train_network, training_pairs
from timing import Row, print_rows

from corenas import Architecture, choose
from corenas.cost import count
from corenas.devices import use_one_thread
from corenas.training.networks import seeded
from corenas_sr.latency.measuring import measure_latency
from corenas_sr.latency.table import LatencyTable
from corenas_sr.training.reparameterise import as_shipped

INPUT = (320, 180)
REFERENCE = "tiny/res3-16x11"

BAR = 0.95
"""At equal PSNR, the most that the faster network may take of the other's time, in the median."""

MULT_ADDS = "mult-adds"

LIMITS = {"latency": 1.0, "latency-2": 2.0}
"""Searches under limits on latency, and how often the time of `REFERENCE` each may take."""

ROUNDS = 3
"""Networks are timed in so many rounds, which take turns."""

AGAIN: Mapping[str, Any] = {
    "batch": 8,
    "patch": 24,
    "learning_rate": 4e-3,
    "schedule": "cosine",
    "warmup": 200,
    "clip": 5.0,
    "ema": 0.999,
}
"""The training of a front's networks; that of candidates is the recipe's, with other steps."""


@frozen
class Point:
    """A network of a front, trained again: its PSNR in dB, and the seconds of a forward pass."""

    psnr: float
    seconds: float


def main() -> int:
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    table = _make_table(arguments)
    reference = _reference(table)
    limits, names = _limits(*reference), _names(*reference)
    _search(arguments, table, limits)
    fronts = {name: _front(arguments.out / name) for name in limits}
    every = [architecture for front in fronts.values() for architecture in front]
    psnr = _train_again(arguments, every)
    seconds = _time_in_turns(arguments.engine, every)
    points = {
        name: [Point(psnr[each.id], seconds[each.id]) for each in front]
        for name, front in fronts.items()
    }
    _draw(points, names, arguments.out / "fronts.png")
    return _judge(points, names)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-latency"))
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--steps", type=int, default=500, help="of a candidate's training")
    parser.add_argument("--again", type=int, default=2000, help="steps of a front's trainings")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _make_table(arguments: argparse.Namespace) -> Path:
    file: Path = arguments.out / "table.json"
    if not file.exists() or not LatencyTable.read(file).agreement:
        size = "x".join(map(str, INPUT))
        command = ["corenas", "latency", "table", "tiny", f"--out={file}", f"--input={size}"]
        subprocess.run([*command, f"--engine={arguments.engine}"], check=True)
    table = LatencyTable.read(file)
    engine = choose("latency_engines", arguments.engine).build().name()
    if table.engine != engine:
        raise SystemExit(f"{file}: made by {table.engine}, not by {engine}")
    print(f"{len(table.seconds)} parts, {table.protocol}; {dict(table.agreement)}", flush=True)
    return file


def _reference(table: Path) -> tuple[int, float]:
    """Return mult-adds and seconds, by the table, of the network whose costs are the limits."""
    space = choose("search_spaces", "tiny").build()
    architecture = space.known[REFERENCE]
    width, height = INPUT
    mult_adds = count(space.build(architecture), (1, 3, height, width)).mult_adds
    return mult_adds, LatencyTable.read(table).estimate(space, architecture)


def _limits(mult_adds: int, seconds: float) -> Mapping[str, Sequence[str]]:
    """Return the options of each search that limit its networks."""
    print(f"{REFERENCE}: {mult_adds / 1e9:.3f} G mult-adds, {1e3 * seconds:.1f} ms by the table")
    options = {MULT_ADDS: [f"--set=mult_adds_limit={mult_adds}"]}
    for name, factor in LIMITS.items():
        limit = f"--set=latency_limit={factor * seconds}"
        options[name] = ["--set=mult_adds_limit=1e12", limit]
    return options


def _names(mult_adds: int, seconds: float) -> Mapping[str, str]:
    """Return what searches are called for people."""
    named = {name: f"limit of {1e3 * each * seconds:.0f} ms" for name, each in LIMITS.items()}
    return {MULT_ADDS: f"limit of {mult_adds / 1e9:.2f} G mult-adds", **named}


def _search(arguments: argparse.Namespace, table: Path, every: Mapping[str, Sequence[str]]) -> None:
    """Run the searches side by side; one that is finished says so at once."""
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    commands = {}
    for name, limits in every.items():
        commands[name] = [
            *("corenas", "run", "tiny", f"--out={arguments.out / name}", "--preset=standard"),
            *("--workers=1", f"--seed={arguments.seed}", "--set=search.strategy=evolution"),
            *("--set=search.strategy.population=24", "--set=search.strategy.tournament=6"),
            *("--set=search.strategy.known=true", f"--set=search.steps={arguments.candidates}"),
            f"--set=search.evaluator.training.steps={arguments.steps}",
            "--set=search.evaluator.training.schedule=cosine",
            *(f"--set=data.train={data / 'bsds200' / 'HR'}", "--set=finalists.count=0"),
            *(f"--set=data.validation={data / 'kodak24' / 'HR'}", "--set=baselines=[]"),
            *("--set=training.steps=100", "--set=training.warmup=0", "--set=training.phases=[]"),
            *("--set=training.validate_every=100", f"--set=latency_table={table.absolute()}"),
            *limits,
        ]
    run_side_by_side(commands, arguments.out)


def _front(folder: Path) -> Sequence[Architecture]:
    """Return the networks that no other of the search beats in the table's time and in PSNR."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    events = (json.loads(line) for line in lines)
    trials = [each["trial"] for each in events if each["kind"] == "trial"]
    kept, best = [], float("-inf")
    for trial in sorted(trials, key=lambda each: each["metrics"]["latency"]):
        psnr = trial["metrics"]["psnr"]
        if psnr > best:
            kept, best = [*kept, trial], psnr
    print(f"{folder.name}: {len(trials)} networks, {len(kept)} on the front", flush=True)
    return [Architecture.from_json(trial["architecture"]) for trial in kept]


def _train_again(
    arguments: argparse.Namespace, every: Sequence[Architecture]
) -> Mapping[str, float]:
    """Train networks for longer; return the PSNR of each in dB, by its identity."""
    out = arguments.out / f"again-{arguments.again}.jsonl"
    lines = out.read_text().splitlines() if out.exists() else []
    known = {line["id"]: float(line["psnr"]) for line in map(json.loads, lines)}
    missing = [each for each in {a.id: a for a in every}.values() if each.id not in known]
    with ProcessPoolExecutor(
        SIDE_BY_SIDE, mp_context=get_context("spawn"), initializer=use_one_thread
    ) as pool:
        running = {pool.submit(_train, each, arguments.again): each for each in missing}
        for future in as_completed(running):
            known[running[future].id] = future.result()
            with out.open("a") as file:
                line = {"id": running[future].id, "psnr": known[running[future].id]}
                file.write(json.dumps(line) + "\n")
    return known


def _train(architecture: Architecture, steps: int) -> float:
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    pairs = training_pairs(data, patch=AGAIN["patch"])
    space = choose("search_spaces", "tiny").build()
    # One seed for all: the same patches.
    options = {**AGAIN, "steps": steps}
    found = train_network(space, architecture, options, pairs, data / "kodak24" / "HR", seed=1)
    return found["psnr"]


def _time_in_turns(engine: str, every: Sequence[Architecture]) -> Mapping[str, float]:
    """Return the median over rounds of each network's seconds, by its identity."""
    space = choose("search_spaces", "tiny").build()
    runs = choose("latency_engines", engine).build()
    width, height = INPUT
    rounds: dict[str, list[float]] = {each.id: [] for each in every}
    for _ in range(ROUNDS):
        for architecture in {a.id: a for a in every}.values():
            with seeded(0):
                network = space.build(architecture)
            ready = as_shipped(network)
            found = measure_latency(runs, ready, (1, 3, height, width), threads=1, seconds=0.5)
            rounds[architecture.id].append(found.median)
    return {name: median(values) for name, values in rounds.items()}


def _draw(fronts: Mapping[str, Sequence[Point]], names: Mapping[str, str], file: Path) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for (name, points), marker in zip(fronts.items(), "os^", strict=True):
        ordered = sorted(points, key=lambda each: each.seconds)
        axes.plot(
            [1e3 * each.seconds for each in ordered],
            [each.psnr for each in ordered],
            marker=marker,
            label=names[name],
        )
    width, height = INPUT
    axes.set_xlabel(f"time of a forward pass of {width}x{height} in ms, one thread")
    axes.set_ylabel("PSNR-Y on kodak24 in dB")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def _judge(fronts: Mapping[str, Sequence[Point]], names: Mapping[str, str]) -> int:
    rows = []
    ours = sorted(fronts[MULT_ADDS], key=lambda each: each.seconds)
    for name in LIMITS:
        ratios, gains = [], []
        print(f"\n| {names[MULT_ADDS]}: PSNR, ms | as good, {names[name]} | as fast |")
        print("|---|---|---|")
        for point in ours:
            as_good = [each for each in fronts[name] if each.psnr >= point.psnr]
            as_fast = [each for each in fronts[name] if each.seconds <= point.seconds]
            fastest = min(as_good, key=lambda each: each.seconds, default=None)
            best = max(as_fast, key=lambda each: each.psnr, default=None)
            print(f"| {_shown(point)} | {_shown(fastest)} | {_shown(best)} |")
            ratios.append(math.inf if fastest is None else fastest.seconds / point.seconds)
            gains.append(-math.inf if best is None else best.psnr - point.psnr)
        print(f"PSNR at the same time or less: {median(gains):+.3f} dB, median of {len(gains)}")
        reached = [ratio for ratio in ratios if ratio < math.inf]
        if not reached:
            continue
        # Within a limit that is shorter than what the others take, not all can be reached.
        detail = f"median of the {len(reached)} of {len(ratios)} networks that it reaches"
        what = f"time at equal PSNR, {names[name]} / {names[MULT_ADDS]}"
        rows.append(Row(what, median(reached), BAR, detail))
    return print_rows("searches beside each other", rows)


def _shown(point: Point | None) -> str:
    return "none" if point is None else f"{point.psnr:.2f} dB, {1e3 * point.seconds:.1f}"


if __name__ == "__main__":
    sys.exit(main())
