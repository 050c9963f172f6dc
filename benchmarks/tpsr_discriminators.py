"""What a short training tells of a discriminator: how much of its score is luck, and how it ranks.

    CORENAS_DATA=FOLDER python benchmarks/tpsr_discriminators.py --generator x4.safetensors

Discriminators drawn at random are trained by each short task from several seeds, as the search of
the recipe ``tpsr`` does, and by a long one with the steps of its full task, of which the mean of
the last measurements counts; losses read SqueezeNet's features, and scores are LPIPS of AlexNet on
crops of kodak24, for the long task on those of other images, after other patches. For each task:
the share of the variance of one score that the architecture explains (the intraclass correlation;
what is missing is luck) with its interval by F, and Kendall's tau with the means of the long task:
of the means over seeds, with an interval by resampling the discriminators, which is narrow where
they are few, and of one seed as a search has it, averaged over seeds; and what a search gains: the
LPIPS, by the means of the long task, of the best of six by one seed, less that of a random one,
over all sixes. For the long task itself, one seed is judged by the others. Every result is a line
of --out; run again with the same options, it goes on with what is missing there.
Discriminators are done one after the other, so that a run that is stopped tells of the first ones.
Two processes work, one core each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from shared.perceptual import BATCH, PATCH, link_images, link_others, perceptual_options

from corenas import structure
from corenas.devices import use_one_thread
from corenas.search.executors.attempt import attempt
from corenas.values.evaluation import Failure
from corenas.values.ranking import kendall_tau
from corenas.values.seeds import derive_seed
from corenas_sr.config import DataConfig
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.perceptual.config import AdversarialProxyConfig
from corenas_tpsr.perceptual.full_task import random_architecture
from corenas_tpsr.perceptual.proxy import AdversarialEvaluator, AdversarialJob

Table = NDArray[Any]

LEAST = 3
"""Discriminators of which something can be told."""

RESAMPLES = 2000
CONFIDENCE = 0.95
SIDES = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
SEEDS, LONG_SEEDS = 3, 2

CANDIDATES = 6
"""Of a search, as ``tpsr_perceptual.py`` has it."""


@frozen
class Kind:
    """A task: its changes to the options, and from how many seeds.

    With ``same_patches``, a seed has the same patches for all discriminators, beginning with the
    number ``patches``; ``images`` are those that are measured.
    """

    changes: Mapping[str, Any]
    seeds: int
    same_patches: bool = False
    patches: int = 0
    images: str = "validation"


def kinds(arguments: argparse.Namespace) -> Mapping[str, Kind]:
    """Return the tasks by name, the long one last."""
    short, long = arguments.short, arguments.long

    def steps(count: int, counts: str = "best", schedule: str = "constant") -> dict[str, Any]:
        training = {"steps": count, "schedule": schedule}
        return {"training": training, "counts": counts, "evaluate_every": max(1, count // 6)}

    full = steps(long, "mean", "cosine")
    return {
        f"{short} steps": Kind(steps(short), SEEDS),
        f"{short} steps, same patches": Kind(steps(short), SEEDS, same_patches=True),
        f"{short} steps, same patches, mean": Kind(steps(short, "mean"), SEEDS, same_patches=True),
        f"{3 * short} steps, same patches": Kind(steps(3 * short), 1, same_patches=True),
        # Of other patches and images, so that a short task ranks as it does by nothing in common.
        _long(arguments): Kind(full, LONG_SEEDS, same_patches=True, patches=1000, images="others"),
    }


def _long(arguments: argparse.Namespace) -> str:
    return f"long, {arguments.long} steps"


def main() -> int:
    arguments = _arguments()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    folder = arguments.out.with_suffix("")
    images = {**link_images(data, folder), "others": str(link_others(data, folder))}
    start = _digest(arguments, data)
    done = dict(_results(arguments.out, start))
    jobs = [job for job in _jobs(arguments) if job not in done]
    with ProcessPoolExecutor(
        arguments.processes, mp_context=get_context("spawn"), initializer=use_one_thread
    ) as pool:
        running = {pool.submit(_score, arguments, images, *job): job for job in jobs}
        try:
            for future in as_completed(running):
                kind, number, seed = running[future]
                line = {"kind": kind, "number": number, "seed": seed, "score": future.result()}
                with arguments.out.open("a") as file:
                    file.write(json.dumps({**line, "start": start}) + "\n")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    results = dict(_results(arguments.out, start))
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
    for number in range(arguments.count):
        for kind, about in kinds(arguments).items():
            for seed in range(about.seeds):
                yield kind, number, seed


def _digest(arguments: argparse.Namespace, data: Path) -> str:
    """Return what results must have in common to stand in one table."""
    options = [_base(data), {name: str(kind) for name, kind in kinds(arguments).items()}]
    generator = hashlib.sha256(arguments.generator.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps([generator, options]).encode()).hexdigest()


def _base(data: Path) -> dict[str, Any]:
    """Return the options that all tasks share, whatever the generator."""
    return {
        "perceptual": perceptual_options(data),
        "training": {"batch": BATCH, "patch": PATCH, "learning_rate": 2e-4},
        "crops": 16,
    }


def _results(file: Path, start: str) -> Iterator[tuple[Job, float | None]]:
    for line in file.read_text().splitlines() if file.exists() else ():
        result = json.loads(line)
        if result.get("start") != start:
            raise SystemExit(f"{file}: has results of another generator or other options")
        yield (result["kind"], result["number"], result["seed"]), result["score"]


def _score(
    arguments: argparse.Namespace, images: Mapping[str, str], kind: str, number: int, seed: int
) -> float | None:
    """Train against a discriminator; return minus LPIPS, as the search has it, or None."""
    task = kinds(arguments)[kind]
    patches = task.patches + seed if task.same_patches else None
    base = _base(Path(os.environ["CORENAS_DATA"]).absolute())
    own = {"generator": str(arguments.generator), "patches": patches}
    config = structure(AdversarialProxyConfig, base, {**task.changes, **own})
    space = DiscriminatorSpace(DiscriminatorSpaceConfig(patch=4 * config.training.patch))
    architecture = random_architecture(space, number)
    job_seed = derive_seed(seed, kind, str(number))
    chosen = {"train": images["train"], "validation": images[task.images]}
    evaluator = AdversarialEvaluator(config, space, structure(DataConfig, chosen))
    job = evaluator.prepare(architecture, number=0, seed=job_seed)
    assert isinstance(job, AdversarialJob)
    outcome = attempt(job, "cpu", lambda step, value: False)
    if isinstance(outcome, Failure):
        print(f"{kind}: discriminator {number}, seed {seed}: {outcome.message}", flush=True)
        return None
    return -outcome.metrics["lpips"]


def _report(results: Mapping[Job, float | None], arguments: argparse.Namespace) -> None:
    jobs = list(_jobs(arguments))
    failed = {job[1] for job in jobs if job in results and results[job] is None}
    missing = {job[1] for job in jobs if job not in results}
    if failed or missing:
        print(f"left out: training failed: {sorted(failed)}, not done: {sorted(missing)}")
    kept = [n for n in range(arguments.count) if n not in failed | missing]
    if len(kept) < LEAST:
        raise SystemExit(f"{len(kept)} discriminators are done: too few for a table")
    scores = {
        kind: np.array(
            [[results[kind, number, seed] for seed in range(about.seeds)] for number in kept],
            dtype=float,
        )
        for kind, about in kinds(arguments).items()
    }
    long = scores[_long(arguments)].mean(1)
    print(
        f"{len(kept)} discriminators; LPIPS of the long task {-max(long):.4f} to {-min(long):.4f}"
    )
    print(
        "| task | seeds | deviation of means | residual | explained | tau of means | of one seed "
        f"| best of {CANDIDATES} less random |"
    )
    print("|---|--:|--:|--:|--:|---|--:|--:|")
    for kind, about in kinds(arguments).items():
        values = scores[kind]
        within, share = _explained_of(values, same_patches=about.same_patches)
        is_long = kind == _long(arguments)
        judged = [
            (values[:, seed], np.delete(values, seed, 1).mean(1) if is_long else long)
            for seed in range(about.seeds)
        ]
        deviation = float(values.mean(1).std(ddof=1))
        # A score is minus LPIPS.
        gain = -float(np.mean([_gain(*pair) for pair in judged]))
        print(
            f"| {kind} | {about.seeds} | {deviation:.5f} | {within} | {share} | "
            f"{'' if is_long else _tau_of(values.mean(1), long)} | {_mean_tau(judged)} | "
            f"{gain:+.4f} |",
            flush=True,
        )


def _explained_of(values: Table, *, same_patches: bool) -> tuple[str, str]:
    """Return the residual and the share explained in words; with one seed, nothing."""
    if values.shape[1] < 2:
        return "-", "-"
    within, share, low, high = explained(values, same_patches=same_patches)
    return f"{within:.5f}", f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def explained(values: Table, *, same_patches: bool) -> tuple[float, float, float, float]:
    """Return the residual, the intraclass correlation of single scores, and its interval.

    Shrout and Fleiss (1979): ICC(1, 1), or ICC(3, 1) where a column has its patches in common.

    Args:
        values: Scores, a row for each discriminator and a column for each seed.
        same_patches: What a column has in common is not luck.
    """
    rows, columns = values.shape
    between = columns * float(values.mean(1).var(ddof=1))
    left = values - values.mean(1, keepdims=True)
    free = rows * (columns - 1)
    if same_patches:
        left, free = left - left.mean(0), (rows - 1) * (columns - 1)
    within = float((left**2).sum()) / free
    if not within:
        share = float(between > 0)
        return 0.0, share, share, share
    ratio = between / within
    least = ratio / float(f_distribution.ppf(SIDES[1], rows - 1, free))
    most = ratio * float(f_distribution.ppf(SIDES[1], free, rows - 1))
    share, low, high = ((each - 1) / (each + columns - 1) for each in (ratio, least, most))
    return within**0.5, share, low, high


def _tau_of(short: Table, long: Table) -> str:
    """Return tau of two orders, with its interval."""
    pairs = list(zip(short.tolist(), long.tolist(), strict=True))
    tau = kendall_tau(pairs)
    if tau is None:
        return "-"
    low, high = _interval(len(pairs), lambda rows: kendall_tau([pairs[row] for row in rows]))
    return f"{tau:+.2f} ({low:+.2f} to {high:+.2f}, n = {len(pairs)})"


def _mean_tau(judged: Sequence[tuple[Table, Table]]) -> str:
    """Return the mean of the taus of single seeds with what judges each."""
    taus = [kendall_tau(list(zip(*map(Table.tolist, pair), strict=True))) for pair in judged]
    known = [each for each in taus if each is not None]
    return f"{np.mean(known):+.2f}" if known else "-"


def _gain(choosing: Table, judging: Table) -> float:
    """Return how far the best of so many is above the mean, by other scores than chose it.

    Args:
        choosing: A score of each discriminator.
        judging: Another one of each.

    Returns:
        The mean over all choices of `CANDIDATES` of them, or of all where they are fewer.
    """
    count = len(choosing)
    drawn = combinations(range(count), min(CANDIDATES, count))
    best = [max(rows, key=lambda row: float(choosing[row])) for rows in drawn]
    return float(judging[best].mean() - judging.mean())


def _interval(count: int, statistic: Callable[[Table], float | None]) -> tuple[float, float]:
    """Return the interval of a statistic over resampled discriminators."""
    rng = np.random.default_rng(0)
    drawn = (statistic(rng.integers(count, size=count)) for _ in range(RESAMPLES))
    known = [value for value in drawn if value is not None]
    low, high = np.quantile(known, SIDES)
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
