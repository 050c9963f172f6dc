"""The lift from ask-and-tell to a task: keeps every worker busy, and can stop at any event."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import asdict, define, evolve, frozen

from corenas.errors import SearchError
from corenas.names import nearest
from corenas.protocols import Problem, Sampler, Search, SearchSpace, Strategy
from corenas.search.pareto import Front, directions
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Failure, Outcome, Rejected
from corenas.values.plan import StagePlan
from corenas.values.quantity import Quantity
from corenas.values.ranking import ranked
from corenas.values.result import Result, State
from corenas.values.search_result import SearchResult
from corenas.values.trial import Event, Kind, Measurement, Trial

RANKED = 64
"""How many of the best architectures a search remembers for later stages."""


def trial_seed(seed: int, number: int) -> int:
    """Return a trial's own seed, a hash of the run's: its result does not depend on timing."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    # 63 bits: torch and TOML have signed integers of 64.
    return int.from_bytes(digest[:8], "big") >> 1


def sampled(make: Callable[[SearchSpace, int], Sampler]) -> Strategy:
    """Lift a sampler to a strategy; ``make`` is called with the space and the run's seed."""
    return _SampledStrategy(make)


@frozen
class _SampledStrategy:
    make: Callable[[SearchSpace, int], Sampler]

    def check(self, problem: Problem) -> None:
        problem.evaluator.check()

    def plan(self, problem: Problem) -> StagePlan | None:
        one, trials = problem.evaluator.plan(problem.device), problem.budget.trials
        if one is None:
            return None
        return evolve(
            one,
            steps=one.steps * trials,
            workers=problem.workers,
            extra_seconds=one.extra_seconds * trials / problem.workers,
        )

    def search(self, problem: Problem) -> Search:
        return SampledSearch(problem, self.make(problem.space, problem.seed))


@define
class _Counters:
    asked: int = 0
    finished: int = 0
    rejected: int = 0
    failed: int = 0
    rejected_in_row: int = 0
    failed_in_row: int = 0


class SampledSearch:
    """The task of a sampling search (Algorithm 1 of Lee et al. is one instance).

    A rejected candidate is neither a step nor an update; a failed one is no step either. Candidates
    that were in flight when a state was taken are evaluated again after it is restored.
    """

    def __init__(self, problem: Problem, sampler: Sampler) -> None:
        self._problem = problem
        self._sampler = sampler
        self._count = _Counters()
        self._in_flight: dict[int, Architecture] = {}
        self._ranking: list[Trial] = []
        self._front = Front(directions(self.quantities))

    @property
    def quantities(self) -> Sequence[Quantity]:
        """Return what the evaluator measures."""
        return tuple(self._problem.evaluator.measures.values())

    def events(self) -> Iterator[Event]:
        """Ask, evaluate and tell until the budget's number of trials is finished.

        Raises:
            SearchError: Too many rejections or failures in a row.
        """
        # Under the numbers that they had, so that they get the same seeds and warm-start weights.
        for number, asked in self._in_flight.items():
            self._submit(number, self._problem.space.canonical(asked))
        executor, budget = self._problem.executor, self._problem.budget
        while self._count.finished < budget.trials:
            # Never more in flight than the budget has left: others would be trained for nothing.
            while executor.idle and self._count.finished + len(self._in_flight) < budget.trials:
                yield self._ask()
            event = self._conclude(*executor.next())
            yield event
            # After the event, so that the journal has the failure that was one too many.
            if self._count.failed_in_row >= budget.failures and event.trial:
                raise SearchError(
                    f"{self._count.failed_in_row} trials in a row failed, the last one with "
                    f"{event.trial.reason}"
                )

    def _ask(self) -> Event:
        asked = self._sampler.ask()
        architecture = self._problem.space.canonical(asked)
        number = self._count.asked
        self._count.asked += 1
        reason = self._submit(number, architecture)
        if reason is not None:
            return self._reject(Trial(number, architecture, status="rejected", reason=reason))
        # A rejection between two accepted ones is normal where a limit is tight.
        self._count.rejected_in_row = 0
        self._in_flight[number] = asked
        return self._event("started", scalars={"number": number}, architecture=architecture)

    def _submit(self, number: int, architecture: Architecture) -> str | None:
        seed = trial_seed(self._problem.seed, number)
        job = self._problem.evaluator.prepare(architecture, number=number, seed=seed)
        if isinstance(job, Rejected):
            return job.reason
        self._problem.executor.submit(number, job)
        return None

    def _reject(self, trial: Trial) -> Event:
        self._count.rejected += 1
        self._count.rejected_in_row += 1
        if self._count.rejected_in_row >= self._problem.budget.rejections:
            raise SearchError(
                f"{self._count.rejected_in_row} candidates in a row were rejected, the last one "
                f"because {trial.reason}; the limit leaves too little of the space"
            )
        return self._event("rejected", trial)

    def _conclude(self, number: int, outcome: Outcome | Failure) -> Event:
        """Measure, score, collect and tell; whatever fails makes the trial a failed one."""
        asked = self._in_flight.pop(number)
        architecture = self._problem.space.canonical(asked)
        if isinstance(outcome, Failure):
            return self._fail(number, architecture, f"{outcome.kind}: {outcome.message}")
        evaluator = self._problem.evaluator
        measurement = evaluator.measure(architecture, outcome)
        try:
            score = self._score(measurement)
        # What an objective may raise for odd numbers: it costs the trial, never the run.
        except (KeyError, ValueError, ArithmeticError) as error:
            return self._fail(number, architecture, str(error.args[0]))
        trial = Trial(number, architecture, measurement, score)
        evaluator.collect(trial, outcome)
        # A policy learns from what it drew, inactive decisions included.
        self._sampler.tell(evolve(trial, architecture=asked))
        self._count.finished += 1
        self._count.failed_in_row = 0
        self._ranking = ranked(self._ranking, trial, most=RANKED)
        self._front.add(trial)
        return self._event("trial", trial, scalars=self._sampler.scalars())

    def _score(self, measurement: Measurement) -> float:
        try:
            score = self._problem.objective(measurement)
        except KeyError as error:
            name = str(error.args[0])
            raise KeyError(f"no metric {name!r}{nearest(name, measurement.metrics)}") from None
        if not math.isfinite(score):
            raise ValueError(f"the score is {score}")
        return score

    def _fail(self, number: int, architecture: Architecture, reason: str) -> Event:
        self._problem.evaluator.drop(number)
        self._count.failed += 1
        self._count.failed_in_row += 1
        trial = Trial(number, architecture, status="failed", reason=reason)
        return self._event("failed", trial)

    def _event(
        self,
        kind: Kind,
        trial: Trial | None = None,
        *,
        architecture: Architecture | None = None,
        scalars: Mapping[str, float] | None = None,
    ) -> Event:
        return Event(
            kind,
            self._count.finished,
            self._problem.budget.trials,
            scalars or {},
            trial.architecture if trial else architecture,
            trial,
        )

    def state(self) -> State:
        """Return counters, trials in flight, the best, and the states of sampler and evaluator."""
        return {
            "sampler": self._sampler.state(),
            "evaluator": self._problem.evaluator.state(),
            "counters": asdict(self._count),
            "in_flight": {n: a.to_json() for n, a in self._in_flight.items()},
            "ranking": [t.to_json() for t in self._ranking],
            "front": [t.to_json() for t in self._front.trials],
        }

    def restore(self, state: State) -> None:
        """Continue from a state; what was in flight is submitted again when `events` begins."""
        self._sampler.restore(state["sampler"])
        self._problem.evaluator.restore(state["evaluator"])
        self._count = _Counters(**state["counters"])
        self._in_flight = {n: Architecture.from_json(a) for n, a in state["in_flight"].items()}
        self._ranking = [Trial.from_json(t) for t in state["ranking"]]
        for value in state["front"]:
            self._front.add(Trial.from_json(value))

    def result(self, folder: Path) -> Result:
        """Return the best trials, and the files that the evaluator hands over."""
        best, count = self._ranking, self._count
        return SearchResult(
            chosen=best[0].architecture if best else None,
            measurement=best[0].measurement if best else None,
            trials=tuple(best),
            front=tuple(self._front.trials),
            counts={
                "finished": count.finished,
                "rejected": count.rejected,
                "failed": count.failed,
            },
            quantities=tuple(self.quantities),
            # Before the first result there is nothing that a later stage could start from.
            files=self._problem.evaluator.save(folder) if best else {},
        ).to_result()
