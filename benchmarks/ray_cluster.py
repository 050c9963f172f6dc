"""What a cluster's workers wait for: a search by REINFORCE with 120 of them, and jobs of no length.

    python benchmarks/ray_cluster.py [--workers 120] [--trials 2500] [--seconds 2.5] [--seeds 3]

TPSR searched with 40 GPUs, three candidates on each, 2,500 of them. As many workers sleep here for
as long as a candidate takes, while the policy learns on the surrogate of `corenas.testing`; a share
of the time that each has between its first job and the beginning of the last one is what it was
busy. Beside that, for more seeds: the same search with one worker, and in one process with outcomes
that come back as late as from so many workers, which is what lateness alone costs. What a search
ends with is the mean worth of its last tenth of candidates: that of the policy, not of luck.
Workers are processes of a Ray on this machine and take about 9 GB; all of it takes ten minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import ray
import torch
from attrs import evolve, frozen
from scipy.stats import t
from shared.sleeping import SPAN, NoOp, Sleeping
from timing import Row, interleaved_medians, print_rows

from corenas import (
    Architecture,
    Budget,
    Executor,
    Job,
    Measurement,
    Outcome,
    Problem,
    Rejected,
    Stop,
    choose,
)
from corenas.testing.surrogate import (
    InlineExecutor,
    SurrogateEvaluator,
    SurrogateSpace,
    expected_score,
    psnr_score,
)
from corenas_ray.config import RayConfig
from corenas_ray.executor import RayExecutor

BUSY = 0.95
"""The least share of the time that workers are busy."""

CONFIDENCE = 0.95
"""With which both searches have to end alike: within the quantile of Student's t."""

RATE = 0.8
"""The least rate of jobs of no length, of that of a bare loop over as many actors."""

PAIR = 2
"""Workers that run jobs of no length: one a core."""

ROUND = 500
"""Jobs of no length in a round."""


class SleepingEvaluator(SurrogateEvaluator):
    """Lets candidates sleep for half to one and a half times as long, and notes where and when."""

    def __init__(self, seconds: float, workers: int) -> None:
        super().__init__()
        self._seconds = seconds
        self._workers = workers
        self.spans: dict[float, list[tuple[float, float]]] = defaultdict(list)

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        job = super().prepare(architecture, number=number, seed=seed)
        if isinstance(job, Rejected):
            return job
        return Sleeping(job, self._seconds * np.random.default_rng(seed).uniform(0.5, 1.5))

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        metrics = dict(outcome.metrics)
        began, ended, process = (metrics.pop(name) for name in SPAN)
        self.spans[process].append((began, ended))
        return super().measure(architecture, evolve(outcome, metrics=metrics))

    def busy(self) -> float:
        """Return the share of the time that workers ran jobs, from when all had one to the last."""
        assert len(self.spans) == self._workers, "a worker was replaced: the window would shrink"
        begun = [[began for began, _ in spans] for spans in self.spans.values()]
        start, end = max(map(min, begun)), max(map(max, begun))
        worked = sum(
            max(0.0, min(ended, end) - max(began, start))
            for spans in self.spans.values()
            for began, ended in spans
        )
        return worked / (len(self.spans) * (end - start))


@frozen
class Ended:
    """What a search ended with: the worth of its last candidates in dB, and their staleness."""

    worth: float
    staleness: float


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    # Workers find this module, whatever directory they are started in.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    rows = [_compare_rates()]
    alone, late = (
        [
            _search(InlineExecutor(slots), SurrogateEvaluator(), arguments.trials, seed)
            for seed in range(arguments.alone)
        ]
        for slots in (1, arguments.workers)
    )
    busy, together = [], []
    with _on_ray(arguments.workers) as executor:
        for seed in range(arguments.seeds):
            evaluator = SleepingEvaluator(arguments.seconds, arguments.workers)
            together.append(_search(executor, evaluator, arguments.trials, seed))
            busy.append(evaluator.busy())
            print(
                f"seed {seed}: {len(evaluator.spans)} workers, busy {busy[-1]:.4f}, "
                f"worth {together[-1].worth:.4f} dB",
                flush=True,
            )
    rows.insert(0, _judge_busy(busy, together, arguments))
    rows.insert(1, _judge_worth("one worker", alone, together))
    rows.insert(2, _judge_worth("one process as late", late, together))
    return print_rows(f"{arguments.workers} workers, {arguments.trials:,} candidates", rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=120)
    parser.add_argument("--trials", type=int, default=2500)
    parser.add_argument("--seconds", type=float, default=2.5, help="of a candidate, on average")
    parser.add_argument("--seeds", type=int, default=3, help="searches with all workers")
    parser.add_argument("--alone", type=int, default=6, help="searches in one process")
    return parser.parse_args()


def _judge_busy(
    busy: Sequence[float], together: Sequence[Ended], arguments: argparse.Namespace
) -> Row:
    stale = median(each.staleness for each in together)
    detail = f"candidates of {arguments.seconds:g} s; median staleness {stale:.0f}"
    what = f"{arguments.workers} workers: busy, least of all seeds"
    return Row(what, min(busy), BUSY, detail, at_least=True)


def _judge_worth(what: str, others: Sequence[Ended], together: Sequence[Ended]) -> Row:
    one, many = ([each.worth for each in ended] for ended in (others, together))
    # The spread is that of the others' seeds, which are more.
    error = stdev(one) * (1 / len(one) + 1 / len(many)) ** 0.5
    detail = (
        f"dB: {mean(many):.4f} of {len(many)} seeds, {what}: {mean(one):.4f} of {len(one)}, "
        f"deviation {stdev(one):.4f}"
    )
    errors = abs(mean(many) - mean(one)) / error
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(one) - 1))
    return Row(f"what is found, beside {what}, in standard errors", errors, quantile, detail)


def _search(executor: Executor, evaluator: SurrogateEvaluator, trials: int, seed: int) -> Ended:
    problem = Problem(SurrogateSpace(), evaluator, psnr_score, executor, Budget(trials), seed)
    strategy = choose("strategies", "reinforce").build()
    last = max(1, trials // 10)
    worths, stale = [], []
    for event in strategy.search(problem).events():
        if event.kind == "trial" and event.trial is not None:
            worths.append(expected_score(event.trial.architecture))
            stale.append(event.scalars.get("staleness", 0.0))
    return Ended(mean(worths[-last:]), median(stale[-last:]))


@contextmanager
def _on_ray(workers: int, *, spare: int = 0) -> Iterator[Executor]:
    """Start a Ray of this machine alone, with room for workers and for other actors."""
    ray.init(
        address="local",
        num_cpus=workers + spare,
        include_dashboard=False,
        object_store_memory=200 * 2**20,
        log_to_driver=False,
    )
    executor = RayExecutor(RayConfig(patience=1200.0), Stop(), workers=workers)
    try:
        yield executor
    finally:
        executor.close()
        ray.shutdown()


def _compare_rates() -> Row:
    with _on_ray(PAIR, spare=PAIR) as executor:
        actors = [ray.remote(Echo).remote() for _ in range(PAIR)]
        seconds = interleaved_medians(
            {"executor": _through(executor), "bare": lambda: _bare(actors)},
            rounds=7,
            clock=time.perf_counter,
        )
    rates = {name: ROUND / each for name, each in seconds.items()}
    detail = f"{rates['executor']:.0f}/s, bare {rates['bare']:.0f}/s, {PAIR} actors each; wall"
    ratio = rates["executor"] / rates["bare"]
    return Row("jobs of no length a second, of a bare loop", ratio, RATE, detail, at_least=True)


def _through(executor: Executor) -> Callable[[], object]:
    def take() -> None:
        _, outcome = executor.next()
        assert isinstance(outcome, Outcome), outcome

    def run() -> None:
        for number in range(ROUND):
            if number >= PAIR:
                take()
            executor.submit(number, NoOp())
        for _ in range(PAIR):
            take()

    return run


class Echo:
    """An actor that gives back what it gets."""

    def run(self, content: bytes) -> bytes:
        return content


def _bare(actors: Sequence[Any]) -> None:
    """Keep every actor busy with calls that do nothing."""
    content, running = b"0" * 100, {}
    for actor in actors:
        running[actor.run.remote(content)] = actor
    for _ in range(ROUND - len(actors)):
        (done,), _ = ray.wait(list(running))
        actor = running.pop(done)
        ray.get(done)
        running[actor.run.remote(content)] = actor
    ray.get(list(running))


if __name__ == "__main__":
    sys.exit(main())
