"""The lift from ask-and-tell to a task: keeps every worker busy, and can stop at any event."""

from __future__ import annotations

import hashlib
import math
from bisect import insort
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import asdict, define, evolve, frozen

from corenas.errors import SearchError
from corenas.names import nearest
from corenas.protocols import Problem, Sampler, SearchSpace, Strategy, Task
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Failure, Outcome, Rejected
from corenas.values.result import Result, State
from corenas.values.trial import Event, Kind, Measurement, Trial

RANKED = 64
"""How many of the best architectures a search remembers for later stages."""


def trial_seed(seed: int, number: int) -> int:
    """Return a trial's own seed, a hash of the run's: its result does not depend on timing."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def sampled(make: Callable[[SearchSpace, int], Sampler]) -> Strategy:
    """Lift a sampler to a strategy; ``make`` is called with the space and the run's seed."""
    return _SampledStrategy(make)


@frozen
class _SampledStrategy:
    make: Callable[[SearchSpace, int], Sampler]

    def search(self, problem: Problem) -> Task:
        return SampledSearch(problem, self.make(problem.space, problem.seed))


@define
class _Counters:
    asked: int = 0
    finished: int = 0
    rejected: int = 0
    failed: int = 0
    rejected_in_row: int = 0
    failed_in_row: int = 0


def _rank_key(trial: Trial) -> tuple[float, int]:
    return -(trial.score or 0.0), trial.number


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

    def events(self) -> Iterator[Event]:
        """Ask, evaluate and tell until the budget's number of trials is finished.

        Raises:
            SearchError: Too many rejections or failures in a row.
        """
        for number, asked in self._in_flight.items():
            self._submit(number, self._problem.space.canonical(asked))
        executor, budget = self._problem.executor, self._problem.budget
        while self._count.finished < budget.trials:
            while executor.idle and self._count.finished + len(self._in_flight) < budget.trials:
                yield self._ask()
            event = self._settle(*executor.next())
            yield event
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

    def _settle(self, number: int, outcome: Outcome | Failure) -> Event:
        asked = self._in_flight.pop(number)
        architecture = self._problem.space.canonical(asked)
        if isinstance(outcome, Failure):
            return self._fail(number, architecture, f"{outcome.kind}: {outcome.message}")
        evaluator = self._problem.evaluator
        measurement = evaluator.measure(architecture, outcome)
        try:
            score = self._score(measurement)
        except (KeyError, ValueError, ArithmeticError) as error:
            return self._fail(number, architecture, str(error.args[0]))
        trial = Trial(number, architecture, measurement, score)
        evaluator.collect(trial, outcome)
        # A policy learns from what it drew, inactive decisions included.
        self._sampler.tell(evolve(trial, architecture=asked))
        self._count.finished += 1
        self._count.failed_in_row = 0
        self._rank(trial)
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

    def _rank(self, trial: Trial) -> None:
        """Keep the best trial of each architecture, best first; of equals the earlier one."""
        insort(self._ranking, trial, key=_rank_key)
        same = [known for known in self._ranking if known.architecture == trial.architecture]
        for worse in same[1:]:
            self._ranking.remove(worse)
        del self._ranking[RANKED:]

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
        """Return counters, trials in flight, ranking, and the states of sampler and evaluator."""
        return {
            "sampler": self._sampler.state(),
            "evaluator": self._problem.evaluator.state(),
            "counters": asdict(self._count),
            "in_flight": {n: a.to_json() for n, a in self._in_flight.items()},
            "ranking": [t.to_json() for t in self._ranking],
        }

    def restore(self, state: State) -> None:
        """Continue from a state; what was in flight is submitted again when `events` begins."""
        self._sampler.restore(state["sampler"])
        self._problem.evaluator.restore(state["evaluator"])
        self._count = _Counters(**state["counters"])
        self._in_flight = {n: Architecture.from_json(a) for n, a in state["in_flight"].items()}
        self._ranking = [Trial.from_json(t) for t in state["ranking"]]

    def result(self, folder: Path) -> Result:
        """Return the best trials, best first, and the files that the evaluator hands over."""
        return Result(
            {"best": [t.to_json() for t in self._ranking], **asdict(self._count)},
            self._problem.evaluator.save(folder) if self._ranking else {},
        )
