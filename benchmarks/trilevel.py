"""Trilevel search on the 291 classic training images, against fresh weights and a random search.

    CORENAS_DATA=FOLDER python benchmarks/trilevel.py [--out DIR]

The folder holds ``train291/HR`` and ``Set5``. The ground truth teaches; candidates and trainings
are validated on the bundled photographs, so Set5 decides nothing. Backbone B, reduced: paths of 2
to 4 cells and at most one convolution, 32 features, widths 16, 24 and 32; what cost and order do
is shown with paths of 1 to 3 cells, 8 features, widths 4, 6 and 8. There is no sandwich rule, for
without it a minute holds three times as many steps. One thread: half an hour on a quiet core.

Every part is a run in a folder of its own: the same command again goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import frozen
from shared.running import link_large_enough

from corenas.cost import human
from corenas.runs import journal
from corenas_sr.results.report import align_columns

PATCH = 32
"""Low-resolution pixels; smaller ones teach a network what is true only near borders."""

LAMBDAS = {"lambda-0": 0.0, "lambda-1e-12": 1e-12, "lambda-1e-10": 1e-10}
ORDERS = {"lambda-0": 0.0, "order-0.1": 0.1}

MARGIN = 1.0
"""How much better than bicubic the network found must be, in dB on Set5 at x4."""


def main() -> int:
    arguments = _arguments()
    started = time.monotonic()
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = {
        "data.train": link_large_enough(
            [data / "train291" / "HR"], arguments.out / "images", least=4 * PATCH
        ),
        "data.benchmarks": json.dumps([str(data / "Set5")]),
    }
    parts = {
        name: _part(name, images | values, arguments) for name, values in _values(arguments).items()
    }
    claims = list(_claims(parts))
    for rows in (_networks(parts), _claimed(claims)):
        print("", *align_columns(list(rows)), sep="\n")
    print(f"\n{(time.monotonic() - started) / 60:.0f} minutes; runs in {arguments.out}")
    return 0 if all(claim.holds for claim in claims) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-trilevel"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pretrain", type=int, default=400, help="steps")
    parser.add_argument("--search", type=int, default=1200, help="steps")
    parser.add_argument("--training", type=int, default=3000, help="steps of each training")
    parser.add_argument("--candidates", type=int, default=24, help="of the random search")
    parser.add_argument("--candidate-steps", type=int, default=200)
    parser.add_argument("--small", type=int, default=200, help="steps of each short search")
    return parser.parse_args()


def _values(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the options of each part."""
    found = {
        **_space(cells=4, features=32, widths=[16, 24, 32]),
        **_training("training", arguments.training, validate_every=500),
    }
    small = {
        **_space(cells=3, features=8, widths=[4, 6, 8]),
        **_phases(arguments.small // 3, arguments.small, patch=16, architecture=1e-2),
        **_training("training", 1),
        "search.strategy.cost.adaptive": "false",
    }
    candidates = {
        "search.strategy": "random",
        "search.executor": "serial",
        "search.steps": arguments.candidates,
        **_training("search.evaluator.training", arguments.candidate_steps),
    }
    search = _phases(arguments.pretrain, arguments.search, patch=24, architecture=5e-3)
    parts = {"search": {**found, **search, "start": "both"}, "random": {**found, **candidates}}
    for name in {**LAMBDAS, **ORDERS}:
        weights = {
            "search.strategy.cost.weight": LAMBDAS.get(name, 0.0),
            "search.strategy.order.weight": ORDERS.get(name, 0.0),
        }
        parts[name] = {**small, **weights}
    return parts


def _space(**options: Any) -> dict[str, Any]:
    options = {"searched_cells": 2, "ups": 1, **options}
    return {f"search.space.{name}": value for name, value in options.items()}


def _phases(pretrain: int, search: int, *, patch: int, architecture: float) -> dict[str, Any]:
    values = {"search.strategy.sandwich": "false"}
    values["search.strategy.architecture.learning_rate"] = str(architecture)
    for phase, steps in (("pretrain", pretrain), ("search", search)):
        options = {"steps": steps, "batch": 2, "patch": patch, "learning_rate": 3e-3}
        options["report_every"] = max(1, steps // 50)
        values |= {f"search.strategy.{phase}.{name}": value for name, value in options.items()}
    return values


def _training(where: str, steps: int, **more: Any) -> dict[str, Any]:
    options = {"steps": steps, "batch": 4, "patch": PATCH, "learning_rate": 3e-3, **more}
    return {f"{where}.{name}": value for name, value in options.items()}


@frozen
class Part:
    """A finished run: its folder and its summary."""

    folder: Path
    summary: Mapping[str, Any]

    @property
    def mult_adds(self) -> int:
        """Those of the network found, at 1280x720."""
        return int(self.summary["costs"]["true"]["mult_adds"])

    @property
    def path(self) -> str:
        """That of the network found."""
        return str(self.summary["architecture"]["path"])

    @property
    def models(self) -> dict[str, Mapping[str, float]]:
        """PSNR on Set5 of each model and of bicubic, in dB."""
        found = {}
        for model in self.summary["models"]:
            (values,) = model["benchmarks"].values()
            found[model["name"]] = {who: values[who]["psnr"] for who in ("metrics", "bicubic")}
        return found

    @property
    def last(self) -> Mapping[str, float]:
        """The scalars that the search ended with."""
        events = journal.read(self.folder / "journal.jsonl").events
        return [e.scalars for e in events if (e.stage, e.kind) == ("search", "epoch")][-1]


def _part(name: str, values: Mapping[str, Any], arguments: argparse.Namespace) -> Part:
    """Carry out a run, or go on with it; one that is finished is left alone."""
    print(f"\n== {name}", flush=True)
    folder = arguments.out / name
    options = [f"--set={key}={value}" for key, value in values.items()]
    where = [f"--out={folder}", f"--seed={arguments.seed}", "--device=cpu"]
    command = [sys.executable, "-m", "corenas.cli", "run", "trilevel", *where, *options]
    subprocess.run(command, check=True)
    return Part(folder, json.loads((folder / "summary.json").read_text()))


def _networks(parts: Mapping[str, Part]) -> Iterator[list[str]]:
    """Yield the rows of a table: what each search found, and what became of it."""
    yield ["search", "path", "params", "mult-adds", "its minutes", "model", "Set5 dB", "bicubic"]
    for name, part in parts.items():
        costs = part.summary["costs"]["true"]
        minutes = f"{part.summary['seconds']['search'] / 60:.1f}"
        shared = [name, part.path, human(costs["params"]), human(costs["mult_adds"]), minutes]
        trained = part.models if name in ("search", "random") else {}
        for model, psnr in trained.items():
            yield [*shared, model, f"{psnr['metrics']:.2f}", f"{psnr['bicubic']:.2f}"]
        if not trained:
            yield [*shared, "not trained", "", ""]


@frozen
class Claim:
    """Something that should be so, what was measured, and whether it is."""

    what: str
    measured: str
    holds: bool


def _claims(parts: Mapping[str, Part]) -> Iterator[Claim]:
    search = parts["search"]
    for level in ("path", "operation"):
        entropy, sparsity = (search.last[f"{level}_{n}"] for n in ("entropy", "sparsity"))
        measured = f"entropy {entropy:.3g}, {sparsity:.4f} of the weights are zero"
        yield Claim(f"the search ends one-hot: {level}", measured, entropy == 0)
    ours, scratch = search.models["x4-search"], search.models["x4-scratch"]["metrics"]
    gain = ours["metrics"] - ours["bicubic"]
    yield Claim(f"from search, {MARGIN} dB above bicubic", f"{gain:+.2f} dB", gain >= MARGIN)
    gain = ours["metrics"] - scratch
    yield Claim("from search, above the same steps from scratch", f"{gain:+.2f} dB", gain > 0)
    costs = [parts[name].mult_adds for name in LAMBDAS]
    falling = all(dearer > cheaper for dearer, cheaper in pairwise(costs))
    measured = " > ".join(
        f"{human(cost)} ({name})" for name, cost in zip(LAMBDAS, costs, strict=True)
    )
    yield Claim("a larger lambda gives a cheaper network", measured, falling)
    paths = [parts[name].path for name in ORDERS]
    shorter = all(len(one) >= len(other) for one, other in pairwise(paths))
    measured = ", then ".join(paths)
    yield Claim("a larger weight of order gives no longer path", measured, shorter)


def _claimed(claims: Sequence[Claim]) -> Iterator[list[str]]:
    for claim in claims:
        yield ["holds" if claim.holds else "MISSED", claim.what, claim.measured]


if __name__ == "__main__":
    sys.exit(main())
