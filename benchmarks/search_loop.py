"""What the loop around the trials costs, beside that of Optuna.

    python benchmarks/search_loop.py [--rounds 7] [--folder .]

Random search over twenty decisions, trials that do nothing, one worker. Ours is a whole stage of a
run, with its events, journal, checkpoints and result; Optuna's is ask, twenty suggestions and tell.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import optuna
import torch
from attrs import frozen
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from timing import Row, interleaved_medians, print_rows

from corenas import (
    Architecture,
    Budget,
    Event,
    Job,
    Measurement,
    Outcome,
    Problem,
    Report,
    Run,
    Stop,
)
from corenas.runs import journal
from corenas.search.executors.serial import Serial
from corenas.search.lift import SampledSearch
from corenas.search.strategies.random import RandomSearch
from corenas.show.reporter import Quiet
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace, psnr_score

SPACE = SurrogateSpace()
SCORE = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed searches of each kind")
    parser.add_argument("--folder", default=".", help="files go to the disk that holds it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # torch writes checkpoints; imported here, it is not timed
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="search-loop-") as folder:
        rows = [measure(Path(folder), arguments.rounds) for measure in MEASURES]
    return print_rows("a trial that does nothing", rows)


def against_memory(folder: Path, rounds: int) -> Row:
    """Compare CPU times: ours journals and syncs once a second, Optuna keeps all in memory."""
    return compared(
        "no-op trial, journal synced in groups / Optuna in memory",
        partial(search, folder),
        lambda trials: study(InMemoryStorage(), trials),
        trials=500,
        rounds=rounds,
        bar=0.5,
        clock=time.process_time,
    )


def against_journal_file(folder: Path, rounds: int) -> Row:
    """Compare wall times, because both wait for the disk."""

    def ours(trials: int) -> None:
        with mock.patch.object(journal, "Journal", SyncedJournal):
            search(folder, trials)

    def optunas(trials: int) -> None:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            study(JournalStorage(JournalFileBackend(file.name)), trials)

    return compared(
        "no-op trial, each synced / Optuna's journal file",
        ours,
        optunas,
        trials=50,
        rounds=rounds,
        bar=0.15,
        clock=time.perf_counter,
    )


MEASURES = (against_memory, against_journal_file)


def compared(
    what: str,
    ours: Callable[[int], None],
    optunas: Callable[[int], None],
    *,
    trials: int,
    rounds: int,
    bar: float,
    clock: Callable[[], float],
) -> Row:
    """Return how the time of so many trials compares."""
    functions = {"ours": partial(ours, trials), "optuna": partial(optunas, trials)}
    seconds = interleaved_medians(functions, rounds=rounds, warmup=1, clock=clock)
    own, other = (1e3 * seconds[who] / trials for who in ("ours", "optuna"))
    return Row(what, own / other, bar, f"{own:.3f} / {other:.3f} ms a trial")


@frozen
class NoOp:
    """A job that trains and measures nothing."""

    def run(self, device: str, report: Report) -> Outcome:
        return Outcome({"psnr": SCORE})


class NoOpEvaluator(SurrogateEvaluator):
    """Counts no costs and refuses nothing."""

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        return NoOp()

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement(outcome.metrics)


class SyncedJournal(journal.Journal):
    """Waits after each trial until it is on the disk."""

    def append(self, event: Event) -> None:
        super().append(event)
        if event.trial is not None:
            self.sync()


def search(folder: Path, trials: int) -> None:
    """Search as a recipe does, in a new run below ``folder``."""
    stop = Stop()
    problem = Problem(SPACE, NoOpEvaluator(), psnr_score, Serial(stop=stop), Budget(trials))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        run = Run(Path(name), seed=0, stop=stop, reporter=Quiet())
        result = run.stage("search", SampledSearch(problem, RandomSearch(SPACE, 0)))
        run.close()
    if result.values["counts"]["finished"] != trials:
        raise RuntimeError(f"{result.values['finished']} of {trials} trials")


def study(storage: optuna.storages.BaseStorage, trials: int) -> None:
    """Do the same with Optuna."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    made = optuna.create_study(storage=storage, sampler=sampler, direction="maximize")
    for _ in range(trials):
        trial = made.ask()
        for decision in SPACE.decisions:
            trial.suggest_categorical(decision.name, decision.options)
        made.tell(trial, SCORE)
    if len(made.trials) != trials:
        raise RuntimeError(f"{len(made.trials)} of {trials} trials")


if __name__ == "__main__":
    sys.exit(main())
