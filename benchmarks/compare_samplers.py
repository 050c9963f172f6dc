"""Which sampler finds what: strategies beside each other, with as many trials and the same seeds.

    python benchmarks/compare_samplers.py [--seeds 10] [--trials 300] [--early 60] [--only tpe gp]

Two problems. The surrogate of `corenas.testing`: twenty decisions, 10^18 architectures, made-up
scores with noise; what counts is the best architecture's score without its noise. The table of
`digits_table.py`: ten decisions, 4,368 networks, each trained once; what counts is the accuracy of
the best one found. Medians with quartiles over the seeds. The time is CPU time of a whole search,
by its trials: ask, tell, and the loop around them, with nothing to train.

Another sampler is one more line of `ENTRIES`. What `early` says alone is for samplers that take
long; the others are shown after as many trials too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from digits_table import TableEvaluator, TableSpace
from rich.console import Console
from rich.table import Table

from corenas import Budget, Problem, SearchConfig, Strategy, Trial, structure
from corenas.search.objectives import MetricObjective
from corenas.testing.surrogate import InlineExecutor, expected_score, surrogate_problem


@frozen
class Entry:
    """A line of the tables: a strategy's options, and whether it is only shown early."""

    name: str
    options: Mapping[str, Any] = field(factory=dict)
    early: bool = False
    label: str = ""

    def build(self) -> Strategy:
        """Return the strategy."""
        # Space and evaluator must be named; these are not used.
        others = {"space": "tpsr-generator", "evaluator": "sr-training"}
        chosen = {"use": self.name, **self.options}
        strategy: Strategy = structure(
            SearchConfig, {"strategy": chosen, **others}
        ).strategy.build()
        return strategy


ENTRIES = (
    Entry("random"),
    Entry("evolution"),
    Entry(
        "evolution",
        {"population": 20, "tournament": 5},
        label="evolution, population 20, tournament 5",
    ),
    Entry("reinforce"),
    Entry("tpe"),
    Entry("nsga2"),
    Entry("nsga2", {"population": 20}, label="nsga2, population 20"),
    Entry("gp", early=True),
)


@frozen
class Task:
    """A problem, and what a trial of it is truly worth."""

    name: str
    problem: Callable[[int, int], Problem]
    worth: Callable[[Trial], float]


def table_problem(trials: int, seed: int) -> Problem:
    """Return the table of networks as a problem."""
    space = TableSpace()
    evaluator = TableEvaluator(space)
    objective = MetricObjective("accuracy", 1)
    return Problem(space, evaluator, objective, InlineExecutor(), Budget(trials), seed)


TASKS = (
    Task(
        "surrogate, dB",
        lambda trials, seed: surrogate_problem(trials, seed=seed),
        lambda trial: expected_score(trial.architecture),
    ),
    Task("digits table, % right", table_problem, lambda trial: trial.score or 0.0),
)


@frozen
class Found:
    """The worth of the best trial so far after each trial, and milliseconds a trial."""

    worth: Sequence[float]
    milliseconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--early", type=int, default=60, help="trials of the slow samplers")
    parser.add_argument("--only", nargs="*", default=[], help="names of strategies")
    parser.add_argument("--tasks", nargs="*", default=[], help="beginnings of problems' names")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for task in TASKS:
        if arguments.tasks and not task.name.startswith(tuple(arguments.tasks)):
            continue
        console = Console(width=140)
        console.print(compared(task, arguments))
    return 0


def compared(task: Task, arguments: argparse.Namespace) -> Table:
    """Return the table of a problem."""
    early, trials, seeds = arguments.early, arguments.trials, arguments.seeds
    table = Table(title=f"{task.name}: the best, median and quartiles of {seeds} seeds")
    for column in ("strategy", f"after {early}", f"after {trials}", "ms a trial"):
        table.add_column(column)
    for entry in ENTRIES:
        if arguments.only and entry.name not in arguments.only:
            continue
        found = [search(task, entry, early if entry.early else trials, s) for s in range(seeds)]
        table.add_row(
            entry.label or entry.name,
            quartiles([each.worth[early - 1] for each in found]),
            "" if entry.early else quartiles([each.worth[trials - 1] for each in found]),
            f"{np.median([each.milliseconds for each in found]):.2f}",
        )
    return table


def search(task: Task, entry: Entry, trials: int, seed: int) -> Found:
    """Search once."""
    problem = task.problem(trials, seed)
    strategy = entry.build()
    started = time.process_time()
    events = [e for e in strategy.search(problem).events() if e.kind == "trial"]
    seconds = time.process_time() - started
    worth, best = [], None
    for event in events:
        if event.trial is not None:
            if best is None or (event.trial.score or 0.0) > (best.score or 0.0):
                best = event.trial
            worth.append(task.worth(best))
    return Found(worth, 1e3 * seconds / trials)


def quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
