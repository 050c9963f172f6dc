"""The proof of the recipe ``tiny``: found, random and hand-made networks, trained alike.

    CORENAS_DATA=FOLDER python benchmarks/tiny.py --minutes 150

The folder holds ``train291/HR``, ``bsds200/HR``, ``kodak24/HR`` and ``Set5``. Two commands work
side by side, one core each: `corenas run tiny` searches, trains what it found, and then for as long
a network made by hand; the other searches with the strategy ``random`` for as long, trains what
that found, and two more known networks. Everything trains on train291 and bsds200 and is validated
on kodak24; Set5 is measured at the end. With the same ``--out`` it goes on where it was stopped.
The models stay in that folder, for other test sets. With ``--seeds 0 1 2``, all of that is done for
each seed, in the minutes given for each, and the medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from attrs import frozen
from shared.running import link_large_enough, run_side_by_side

from corenas.drawing.plots import Dot, dots_plot

BAR = 31.35
"""Set5 PSNR-Y in dB that the network found has to reach at x4."""

MARGIN = 0.05
"""By how much it has to beat the hand-made ones, in dB, on the mean of Set5 and kodak24."""

PUBLISHED = 31.10
"""Of TPSR-NOGAN at the same cost (Lee et al., supplement, Table 2)."""

ELSEWHERE = {
    "TPSR-NOGAN (2020)": (3.56, PUBLISHED),
    "ECBSR-M4C32 (2021)": (2.97, 31.25),
    "ABPN-M4C28": (3.56, 31.34),
    "PlainUSR-S (2024)": (3.68, 31.56),
    "DAN (NTIRE 2025)": (2.76, 31.90),
    "ZenoSR (NTIRE 2026)": (2.37, 31.98),
    "HannahSR (NTIRE 2025)": (3.28, 32.02),
}
"""Published x4 networks of 38 K to 69 K parameters: billions of mult-adds, and Set5 PSNR-Y in dB.

All were trained on DIV2K, or on more, for days on GPUs.
"""

PATCH = 40
"""Largest patch in low-resolution pixels; 27 of the 291 images are smaller and left out."""

TRAINING = 0.22
"""Share of the time that each final training has; three of them follow one search."""

FINALISTS = 0.3
"""Share of a search's time that its finalists have."""


@frozen
class Half:
    """One of the two commands: its folder, what it searches by, and the networks beside that."""

    name: str
    strategy: str
    baselines: Sequence[str]


HALVES = (
    Half("found", "", ["tiny/res3-16x11"]),
    Half("random", "random", ["tiny/res3-28x3", "tpsr/paper"]),
)


def main() -> int:
    arguments = _arguments()
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = link_large_enough(
        [data / "train291" / "HR", data / "bsds200" / "HR"],
        arguments.out / "images",
        least=4 * PATCH,
    )
    tables = []
    for seed in arguments.seeds:
        out = arguments.out / f"seed-{seed}"
        out.mkdir(exist_ok=True)
        _carry_out(arguments, out, seed, data, images)
        tables.append({row.name: row for row in _rows(out, str(data / "Set5"))})
        _print_table(f"seed {seed}", tables[-1].values())
    if arguments.picture:
        _draw(tables[0].values(), arguments.picture)
    if len(tables) == 1:
        return _judge(tables[0])
    _print_medians(tables)
    return 0


def _carry_out(
    arguments: argparse.Namespace, out: Path, seed: int, data: Path, images: Path
) -> None:
    """Run both halves side by side."""
    started = time.monotonic()
    halves = {each.name: _command(each, arguments, out, seed, data, images) for each in HALVES}
    run_side_by_side(halves, out)
    print(
        f"{(time.monotonic() - started) / 60:.0f} minutes by the clock, in this start", flush=True
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=150, help="of everything")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-tiny"))
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--picture", type=Path, help="draw the rows beside published networks")
    parser.add_argument("--set", action="append", default=[], dest="more", metavar="OPTION=VALUE")
    return parser.parse_args()


def _command(
    half: Half, arguments: argparse.Namespace, out: Path, seed: int, data: Path, images: Path
) -> list[str]:
    trainings = TRAINING * (1 + len(half.baselines))
    search = 1 - TRAINING * (1 + max(len(each.baselines) for each in HALVES))
    minutes = arguments.minutes * (search + trainings)
    share = search / (search + trainings)
    values: dict[str, Any] = {
        "data.train": images,
        "data.validation": data / "kodak24" / "HR",
        "data.benchmarks": json.dumps([str(data / "Set5")]),
        "baselines": json.dumps(half.baselines),
        "shares.search": round(share * (1 - FINALISTS), 4),
        "shares.finalists": round(share * FINALISTS, 4),
        "training.phases": f'[{{share = 0.1, loss = "l2", patch = {PATCH}, learning_rate = 4e-4}}]',
    }
    if half.strategy:
        values["search.strategy"] = half.strategy
    folder = out / half.name
    if (folder / "journal.jsonl").exists():
        # What is left of the time, as the journal knows it, is not kept: a new start has it all.
        return ["corenas", "resume", str(folder), f"--max-time={60 * minutes:.0f}s"]
    return [
        *("corenas", "run", "tiny", f"--out={folder}", f"--preset={arguments.preset}"),
        *(f"--seed={seed}", "--workers=1", f"--max-time={60 * minutes:.0f}s"),
        *(f"--set={name}={value}" for name, value in values.items()),
        *(f"--set={each}" for each in arguments.more),
    ]


@frozen
class Row:
    """A trained network with its numbers: PSNR in dB, SSIM, and seconds of search and training."""

    name: str
    params: int
    mult_adds: int
    searched: float
    trained: float
    latency: float
    set5: Mapping[str, float]
    kodak24: Mapping[str, float]

    @property
    def mean(self) -> float:
        """The mean PSNR of both sets of images, which decides."""
        return (self.set5["psnr"] + self.kodak24["psnr"]) / 2


def _rows(out: Path, set5: str) -> Iterator[Row]:
    for half in HALVES:
        folder = out / half.name
        summary = json.loads((folder / "summary.json").read_text())
        seconds = summary["seconds"]
        for entry in summary["models"]:
            found = entry["name"] == "x4"
            stage = "train" if found else f"train-{entry['name']}"
            yield Row(
                half.name if found else entry["name"],
                entry["params"],
                entry["mult_adds"],
                seconds["search"] + seconds.get("finalists", 0) if found else 0.0,
                seconds[stage],
                _latency(folder / entry["file"]),
                entry["benchmarks"][set5]["metrics"],
                entry["metrics"],
            )


def _latency(file: Path) -> float:
    """Return the median seconds of a forward pass of 320x180, one thread, in a fresh process."""
    command = [sys.executable, "-m", "corenas.cli", "latency", str(file), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["median_ms"]) / 1e3


def _print_table(title: str, rows: Iterable[Row]) -> None:
    print(
        f"| {title} | params | mult-adds | search, min | training, min | latency, ms "
        "| Set5 PSNR-Y / SSIM-Y | kodak24 PSNR-Y |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for row in rows:
        print(
            f"| {row.name} | {row.params:,} | {row.mult_adds / 1e9:.2f} G "
            f"| {row.searched / 60:.0f} | {row.trained / 60:.0f} | {1e3 * row.latency:.0f} "
            f"| {row.set5['psnr']:.2f} / {row.set5['ssim']:.4f} | {row.kodak24['psnr']:.2f} |",
            flush=True,
        )


def _draw(rows: Iterable[Row], file: Path) -> None:
    """Draw Set5 PSNR over mult-adds, of the rows and of published networks."""
    ours = [Dot(f"here: {row.name}", row.mult_adds / 1e9, row.set5["psnr"]) for row in rows]
    others = [Dot(name, *values) for name, values in ELSEWHERE.items()]
    dots_plot(
        file,
        [*ours, *others],
        x="mult-adds at 1280x720, in billions",
        y="PSNR-Y on Set5 at x4, in dB",
        title="Half an hour of one CPU core, beside published networks",
    )


def _print_medians(tables: Sequence[Mapping[str, Row]]) -> None:
    print(f"| medians of {len(tables)} seeds | Set5 PSNR-Y | kodak24 PSNR-Y | mean of both |")
    print("|---|--:|--:|--:|")
    for name in tables[0]:
        rows = [table[name] for table in tables]
        numbers = ([r.set5["psnr"] for r in rows], [r.kodak24["psnr"] for r in rows],
                   [r.mean for r in rows])  # fmt: skip
        print(f"| {name} | " + " | ".join(f"{median(each):.3f}" for each in numbers) + " |")


def _judge(rows: Mapping[str, Row]) -> int:
    """Print the bars; return 1 where one is missed."""
    found, random = rows["found"], rows["random"]
    by_hand = max(row.mean for name, row in rows.items() if name.startswith("tiny-"))
    bars = {
        f"Set5 of the network found: {found.set5['psnr']:.2f} dB, at least {BAR}": (
            found.set5["psnr"] >= BAR
        ),
        f"published at this cost, from DIV2K: {PUBLISHED:.2f} dB": found.set5["psnr"] > PUBLISHED,
        f"mean of both sets over hand-made ones: {found.mean - by_hand:+.3f} dB, "
        f"at least {MARGIN:+}": found.mean - by_hand >= MARGIN,
        f"mean of both sets over random search: {found.mean - random.mean:+.3f} dB, above 0": (
            found.mean > random.mean
        ),
    }
    for text, held in bars.items():
        print(f"{'held  ' if held else 'MISSED'}  {text}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
