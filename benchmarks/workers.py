"""How much faster two worker processes train candidates than one.

    python benchmarks/workers.py [--steps 200] [--jobs 4] [--rounds 5]

Jobs of TPSR's proxy task: the published cell, batches of 64 patches of 12x12 at ×2 from the bundled
photographs. Starting the workers and opening the images are not timed. Both numbers are wall times,
so nothing else may run on this machine meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from functools import partial

from timing import Row, interleaved_medians, print_rows

from corenas import Executor, Job, Outcome, Rejected, Stop
from corenas.search.executors.processes import Processes
from corenas_sr.config import DataConfig, PixelTrainingConfig
from corenas_tpsr.generator.config import GeneratorSpaceConfig, ProxyConfig
from corenas_tpsr.generator.proxy import ProxyEvaluator
from corenas_tpsr.generator.space import GeneratorSpace

BATCH, PATCH = 64, 12
WORKERS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="training steps of a job")
    parser.add_argument("--jobs", type=int, default=2 * WORKERS, help="jobs in a timed call")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each executor")
    arguments = parser.parse_args()
    jobs = proxy_jobs(arguments.jobs, arguments.steps)
    stop = Stop()
    with (
        closing(Processes(stop=stop, workers=1)) as one,
        closing(Processes(stop=stop, workers=WORKERS)) as several,
    ):
        for executor, workers in ((one, 1), (several, WORKERS)):
            train(executor, proxy_jobs(workers, 1))  # each worker starts and opens the images
        seconds = interleaved_medians(
            {1: partial(train, one, jobs), WORKERS: partial(train, several, jobs)},
            rounds=arguments.rounds,
            warmup=0,
            clock=time.perf_counter,
        )
    steps = len(jobs) * arguments.steps
    speed = {workers: steps / taken for workers, taken in seconds.items()}
    detail = f"{speed[WORKERS]:.1f} / {speed[1]:.1f} steps a second"
    ratio = speed[WORKERS] / speed[1]
    row = Row(f"{WORKERS} workers / 1 worker", ratio, 1.8, detail, at_least=True)
    return print_rows(f"workers, jobs of {arguments.steps} steps", [row])


def proxy_jobs(count: int, steps: int) -> list[Job]:
    """Return jobs that differ in their seeds alone."""
    space = GeneratorSpace(GeneratorSpaceConfig())
    training = PixelTrainingConfig(steps=steps, batch=BATCH, patch=PATCH)
    evaluator = ProxyEvaluator(ProxyConfig(training=training), space, DataConfig())
    prepared = [
        evaluator.prepare(space.known["tpsr/paper"], number=number, seed=number)
        for number in range(count)
    ]
    return [job for job in prepared if not isinstance(job, Rejected)]


def train(executor: Executor, jobs: list[Job]) -> None:
    """Carry out all jobs.

    Raises:
        RuntimeError: One of them failed.
    """
    for key, job in enumerate(jobs):
        executor.submit(key, job)
    for _ in jobs:
        _, outcome = executor.next()
        if not isinstance(outcome, Outcome):
            raise RuntimeError(outcome.message)


if __name__ == "__main__":
    sys.exit(main())
