"""What a short training tells of a discriminator: how much of its score is luck, and how it ranks.

    CORENAS_DATA=FOLDER python benchmarks/tpsr_discriminators.py --generator x4.safetensors

Discriminators drawn at random are trained by each short task from several seeds, and by a long one,
as the search of the recipe ``tpsr`` does; scores are LPIPS of SqueezeNet on crops of the bundled
photographs. For each short task: the share of the variance of one score that the architecture
explains (the intraclass correlation; what is missing is luck), and Kendall's tau of its means with
the long task, with an interval by resampling the discriminators. Every result is a line of --out;
run again, it goes on with what is missing there. Two processes work, one core each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from attrs import frozen

from corenas import structure
from corenas.devices import use_one_thread
from corenas.values.ranking import kendall_tau
from corenas.values.seeds import derive_seed
from corenas_sr.config import DataConfig
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.perceptual.config import AdversarialProxyConfig
from corenas_tpsr.perceptual.full_task import random_architecture
from corenas_tpsr.perceptual.proxy import AdversarialEvaluator, AdversarialJob

RESAMPLES = 2000
CONFIDENCE = 0.95


@frozen
class Kind:
    """A task: its changes to the options, and from how many seeds."""

    changes: Mapping[str, Any]
    seeds: int


def kinds(arguments: argparse.Namespace) -> Mapping[str, Kind]:
    """Return the tasks by name, the long one last."""
    short, long = arguments.short, arguments.long

    def steps(count: int) -> dict[str, Any]:
        return {"training": {"steps": count}, "evaluate_every": max(1, count // 6)}

    return {
        f"{short} steps": Kind(steps(short), 3),
        f"{short} steps, same patches": Kind({**steps(short), "patches": 0}, 3),
        f"{3 * short} steps": Kind(steps(3 * short), 1),
        _long(arguments): Kind(steps(long), 1),
    }


def _long(arguments: argparse.Namespace) -> str:
    return f"long, {arguments.long} steps"


def main() -> int:
    arguments = _arguments()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = dict(_results(arguments.out))
    jobs = [job for job in _jobs(arguments) if job not in done]
    with ProcessPoolExecutor(
        arguments.processes, mp_context=get_context("spawn"), initializer=use_one_thread
    ) as pool:
        running = {pool.submit(_score, arguments, *job): job for job in jobs}
        try:
            for future in as_completed(running):
                kind, number, seed = running[future]
                line = {"kind": kind, "number": number, "seed": seed, "score": future.result()}
                with arguments.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    wanted = set(_jobs(arguments))
    results = {job: score for job, score in _results(arguments.out) if job in wanted}
    _report(results, arguments)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", type=Path, required=True, help="trained x4 model file")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-discriminators.jsonl"))
    parser.add_argument("--count", type=int, default=10, help="discriminators")
    parser.add_argument("--short", type=int, default=60, help="steps of the short task")
    parser.add_argument("--long", type=int, default=600, help="steps of the long task")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


Job = tuple[str, int, int]
"""Task, discriminator and seed."""


def _jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    for kind, about in kinds(arguments).items():
        for number in range(arguments.count):
            for seed in range(about.seeds):
                yield kind, number, seed


def _results(file: Path) -> Iterator[tuple[Job, float]]:
    for line in file.read_text().splitlines() if file.exists() else ():
        result = json.loads(line)
        yield (result["kind"], result["number"], result["seed"]), result["score"]


def _score(arguments: argparse.Namespace, kind: str, number: int, seed: int) -> float:
    """Train against a discriminator; return minus LPIPS, as the search has it."""
    trunk = str(Path(os.environ["CORENAS_DATA"]) / "weights" / "squeezenet1_1_features.pth")
    metric = {"use": "lpips", "net": "squeeze", "weights": trunk}
    perceptual = {
        "network": "squeezenet1_1",
        "weights": trunk,
        "metric": metric,
        "losses": {"features": 0.02},
    }
    base = {
        "generator": str(arguments.generator),
        "perceptual": perceptual,
        "training": {"batch": 4, "patch": 24, "learning_rate": 2e-4, "schedule": "cosine"},
        "crops": 8,
    }
    changes = dict(kinds(arguments)[kind].changes)
    if "patches" in changes:
        # The same for all discriminators, and others for the next seed.
        changes["patches"] = seed
    config = structure(AdversarialProxyConfig, base, changes)
    space = DiscriminatorSpace(DiscriminatorSpaceConfig(patch=4 * config.training.patch))
    data = DataConfig(train=str(Path(os.environ["CORENAS_DATA"]) / "bsds200" / "HR"))
    architecture = random_architecture(space, number)
    own = derive_seed(seed, kind, str(number))
    job = AdversarialEvaluator(config, space, data).prepare(architecture, number=0, seed=own)
    assert isinstance(job, AdversarialJob)
    return -job.run("cpu", lambda step, value: False).metrics["lpips"]


def _report(results: Mapping[Job, float], arguments: argparse.Namespace) -> None:
    scores: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (kind, number, _), score in results.items():
        scores[kind][number].append(score)
    long = {number: mean(values) for number, values in scores[_long(arguments)].items()}
    print(f"{len(long)} discriminators; LPIPS of the long task {_span(list(long.values()))}")
    print("| task | seeds | deviation of means | of one's seeds | explained | tau with long |")
    print("|---|--:|--:|--:|--:|---|")
    for kind, by_number in scores.items():
        if kind == _long(arguments):
            continue
        table = [by_number[number] for number in sorted(by_number)]
        between, within, share = _explained(table)
        pairs = [(mean(by_number[number]), long[number]) for number in sorted(by_number)]
        low, high = _interval(pairs)
        tau = kendall_tau(pairs)
        shown = "-" if tau is None else f"{tau:+.2f} ({low:+.2f} to {high:+.2f}, n = {len(pairs)})"
        print(
            f"| {kind} | {len(table[0])} | {between:.5f} | {within} | {share} | {shown} |",
            flush=True,
        )


def _span(scores: Sequence[float]) -> str:
    return f"{-max(scores):.4f} to {-min(scores):.4f}"


def _explained(table: Sequence[Sequence[float]]) -> tuple[float, str, str]:
    """Return the deviation of means, that within, and the intraclass correlation (Shrout, Fleiss).

    With one seed nothing is known of the latter two.
    """
    values = np.array(table)
    count = values.shape[1]
    means = values.mean(1)
    if count < 2:
        return float(means.std(ddof=1)), "-", "-"
    within = float(values.var(1, ddof=1).mean())
    between = count * float(means.var(ddof=1))
    share = (between - within) / (between + (count - 1) * within)
    return float(means.std(ddof=1)), f"{within**0.5:.5f}", f"{100 * share:.0f} %"


def _interval(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the interval of Kendall's tau over resampled discriminators."""
    rng = np.random.default_rng(0)
    drawn = (rng.integers(len(pairs), size=len(pairs)) for _ in range(RESAMPLES))
    taus = [kendall_tau([pairs[index] for index in indices]) for indices in drawn]
    known = [tau for tau in taus if tau is not None]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
