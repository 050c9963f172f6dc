"""What lifting Optuna's samplers costs: a tell and an ask, beside the same sampler bare.

    python benchmarks/optuna_overhead.py [--rounds 7]

Twenty decisions, one worker. Ours is the plugin's sampler with its history; Optuna's is ask with
the same distributions, and tell. Both are driven for so many trials that the sampler has begun to
learn; CPU time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

import optuna
import torch
from attrs import evolve
from optuna.distributions import CategoricalDistribution
from timing import Row, interleaved_medians, print_rows

from corenas import Trial
from corenas.testing.surrogate import expected_score, surrogate_problem
from corenas_optuna.config import GeneticConfig, GpConfig, ReferenceConfig, TpeConfig
from corenas_optuna.strategy import OptunaStrategy, gp, nsga2, nsga3, tpe

BAR = 1.15
PROBLEM = surrogate_problem(1)
DISTRIBUTIONS = {
    each.name: CategoricalDistribution(each.options) for each in PROBLEM.space.decisions
}
SAMPLERS: dict[str, tuple[Callable[..., OptunaStrategy], int]] = {
    "tpe": (partial(tpe, TpeConfig()), 200),
    "nsga2": (partial(nsga2, GeneticConfig()), 300),
    "nsga3": (partial(nsga3, ReferenceConfig()), 300),
    "gp": (partial(gp, GpConfig()), 16),
}
"""Strategies by name, and how many trials each is driven for."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed searches of each kind")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return print_rows(
        "a tell and an ask",
        [compared(name, arguments.rounds) for name in SAMPLERS],
    )


def compared(name: str, rounds: int) -> Row:
    """Compare one sampler with itself, both with the same seeds."""
    make, trials = SAMPLERS[name]
    strategy = make()
    seeds = {"ours": iter(range(1000)), "bare": iter(range(1000))}
    functions = {
        "ours": lambda: lifted(strategy, next(seeds["ours"]), trials),
        "bare": lambda: bare(strategy, next(seeds["bare"]), trials),
    }
    seconds = interleaved_medians(functions, rounds=rounds, warmup=1)
    own, other = (1e3 * seconds[who] / trials for who in ("ours", "bare"))
    return Row(f"{name}, {trials} trials", own / other, BAR, f"{own:.2f} / {other:.2f} ms")


def lifted(strategy: OptunaStrategy, seed: int, trials: int) -> None:
    """Ask and tell through the plugin."""
    sampler = strategy.sampler(evolve(PROBLEM, seed=seed))
    for number in range(trials):
        architecture = sampler.ask()
        sampler.tell(Trial(number, architecture, score=expected_score(architecture)))


def bare(strategy: OptunaStrategy, seed: int, trials: int) -> None:
    """Ask and tell Optuna."""
    study = optuna.create_study(sampler=strategy.make(seed), direction="maximize")
    space = PROBLEM.space
    for _ in range(trials):
        trial = study.ask(DISTRIBUTIONS)
        architecture = evolve(next(iter(space.known.values())), choices=tuple(trial.params.items()))
        study.tell(trial, expected_score(architecture))


if __name__ == "__main__":
    sys.exit(main())
