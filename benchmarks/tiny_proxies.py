"""Which short training ranks tiny networks as a long one does: Kendall's tau, and what it costs.

    CORENAS_DATA=FOLDER python benchmarks/tiny_proxies.py

A dozen networks within the limits of the recipe ``tiny`` are trained on train291 and bsds200 by a
long schedule and by each short one, from other seeds, and measured on crops of kodak24. Every
result is a line of ``--out``; run again, it goes on with what is missing there.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from shared.trainings import SCALE, train_network, training_pairs

from corenas import choose
from corenas.values.ranking import kendall_tau
from corenas.values.seeds import derive_seed
from corenas_sr.data.datasets import ImagePair

PATCH = 32

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "res3-16x11": {"width": 16, "blocks": ["res3"] * 11},
    "res3-16x12, tail 1": {"width": 16, "blocks": ["res3"] * 12, "tail": 1},
    "res3-16x11 and cca": {"width": 16, "blocks": ([*["res3"] * 3, "cca"] * 4)[:-2]},
    "res3-16x11 and esa": {"width": 16, "blocks": [*["res3"] * 2, *["esa", *["res3"] * 3] * 3]},
    "res3-16x8 and modulate": {"width": 16, "blocks": ["res3", "res3", "modulate"] * 4},
    "res3-16x6, tail 3": {"width": 16, "blocks": ["res3"] * 6},
    "res3-20x7": {"width": 20, "blocks": ["res3"] * 7},
    "res3-28x3": {"width": 28, "blocks": ["res3"] * 3},
    "ecbsr-32x4": {"width": 32, "blocks": ["rep3"] * 4},
    "bsres3-28x12": {"width": 28, "blocks": ["bsres3"] * 12},
    "next5-28x8": {"width": 28, "blocks": [["next5", 2]] * 8},
    "distil3-24x6": {"width": 24, "blocks": ["distil3"] * 6},
}
"""In the form that a person writes; from 33 K to 61 K parameters."""

BASE: Mapping[str, Any] = {
    "batch": 8,
    "patch": 24,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "warmup": 50,
    "ema": 0.99,
}

PROXIES: Mapping[str, Mapping[str, Any]] = {
    "200 steps": {"steps": 200},
    "400 steps": {"steps": 400},
    "800 steps": {"steps": 800},
    "1600 steps": {"steps": 1600},
    "800 steps, again": {"steps": 800},
    "800 steps, rate 4e-3": {"steps": 800, "learning_rate": 4e-3},
    "800 steps, rate 1e-3": {"steps": 800, "learning_rate": 1e-3},
    "800 steps, no average": {"steps": 800, "ema": None},
    "640 steps, branches": {"steps": 640, "reparameterise": True},
    "450 steps, patches of 32": {"steps": 450, "patch": 32},
    "1600 steps, batch 4": {"steps": 1600, "batch": 4},
}


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    pairs = training_pairs(data, patch=PATCH)
    validation = data / "kodak24" / "HR"
    known = {"long": {"steps": arguments.steps, "ema": 0.999, "warmup": 300}, **PROXIES}
    schedules = {name: known[name] for name in arguments.schedules or known}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for schedule, changes in schedules.items():
        for network in NETWORKS:
            if (schedule, network) not in dict(_results(arguments.out)):
                result = _train(network, schedule, {**BASE, **changes}, pairs, validation)
                with arguments.out.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    results = dict(_results(arguments.out))
    whole = [s for s in known if all((s, network) in results for network in NETWORKS)]
    if "long" in whole:
        _report(results, whole)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000, help="of the long schedule")
    parser.add_argument(
        "--schedules", nargs="*", default=[], choices=["long", *PROXIES], help="by default all"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-tiny-proxies.jsonl"))
    return parser.parse_args()


def _results(file: Path) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for line in file.read_text().splitlines() if file.exists() else ():
        result = json.loads(line)
        yield (result["schedule"], result["network"]), result


def _train(
    network: str,
    schedule: str,
    options: Mapping[str, Any],
    pairs: list[ImagePair],
    validation: Path,
) -> dict[str, Any]:
    """Train a network by one schedule; return its PSNR in dB and the seconds of CPU time."""
    chosen = choose("search_spaces", "tiny")
    space = evolve(chosen, config=evolve(chosen.config, scale=SCALE)).build()
    architecture = space.parse(NETWORKS[network])
    seed = derive_seed(0, schedule, network)
    found = train_network(space, architecture, options, pairs, validation, seed=seed)
    print(f"{schedule}: {network}: {found['psnr']:.3f} dB, {found['seconds']:.0f} s", flush=True)
    return {"schedule": schedule, "network": network, **found}


def _report(results: Mapping[tuple[str, str], Mapping[str, Any]], schedules: Sequence[str]) -> None:
    """Print for each short schedule how its ranks agree with the long one's, and what it costs."""
    print(
        "| schedule | Kendall's tau to the long one (n = 12) | CPU s a network | best picked, dB |"
    )
    print("|---|--:|--:|--:|")
    long = {network: results["long", network]["psnr"] for network in NETWORKS}
    for schedule in schedules:
        short = {network: results[schedule, network] for network in NETWORKS}
        tau = kendall_tau([(short[n]["psnr"], long[n]) for n in NETWORKS])
        seconds = sum(result["seconds"] for result in short.values()) / len(short)
        best = max(NETWORKS, key=lambda network: float(short[network]["psnr"]))
        loss = long[best] - max(long.values())
        print(f"| {schedule} | {tau or 0:+.2f} | {seconds:.0f} | {loss:+.3f} ({best}) |")


if __name__ == "__main__":
    main()
