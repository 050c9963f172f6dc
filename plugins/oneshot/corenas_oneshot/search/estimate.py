"""How long a one-shot search takes, from a few steps of each of its stages."""

from __future__ import annotations

import time
from statistics import mean

from attrs import evolve

from corenas import Problem, StagePlan
from corenas.training.timing import peak_memory
from corenas_oneshot.search.plan import SearchPlan, refuse_nothing
from corenas_oneshot.search.search import RANKING, OneShotSearch

STEPS = 4
"""Steps of each stage in an estimate; the first one is slower and is not timed."""


def estimate(plan: SearchPlan, problem: Problem) -> StagePlan:
    """Time a few steps of each stage; those of a search cover the radius from 0 to 1."""
    timed = evolve(
        plan,
        phases=[
            evolve(phase, steps=min(STEPS, phase.steps), report_every=1) for phase in plan.phases
        ],
        # Refusals have nothing to do with how long a step takes.
        refuse=refuse_nothing,
        ranking=plan.ranking
        and evolve(plan.ranking, candidates=min(STEPS, plan.ranking.candidates), report_every=1),
    )
    search = OneShotSearch(problem.space, timed, seed=problem.seed, device=problem.device)
    seconds: dict[str, list[float]] = {}
    started = time.perf_counter()
    for event in search.events():
        seconds.setdefault(event.message, []).append(time.perf_counter() - started)
        started = time.perf_counter()
    steps = {phase.name: phase.steps for phase in plan.phases}
    if plan.ranking is not None:
        steps[RANKING] = plan.ranking.candidates
    means = {name: mean(each[1:] or each) for name, each in seconds.items()}
    total = sum(steps[name] * means[name] for name in means)
    return StagePlan(
        "search",
        sum(steps.values()),
        total / sum(steps.values()),
        memory=peak_memory(problem.device),
        note=", ".join(f"{value:.3g} s a step of {name}" for name, value in means.items()),
    )
