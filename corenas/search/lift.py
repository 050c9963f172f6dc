"""The lift from ask-and-tell to a task: keeps every worker busy, and can stop at any event.

What is trained next, and how far, a `Scheduler` decides; `InFull` has every candidate trained in
full, as the sampler asks for it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import asdict, define, evolve, frozen

from corenas.errors import SearchError
from corenas.names import nearest
from corenas.protocols import Attentive, Job, Problem, Sampler, Search, SearchSpace, Strategy
from corenas.search._kept_states import states_in
from corenas.search._known import Known
from corenas.search.pareto import Front, directions
from corenas.search.scheduling import Gradual, Scheduler
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Failure, Outcome, Rejected
from corenas.values.fidelity import Proposal, Share
from corenas.values.plan import StagePlan
from corenas.values.quantity import Quantity
from corenas.values.ranking import ranked
from corenas.values.result import Result, State
from corenas.values.search_result import SearchResult
from corenas.values.trial import Event, Kind, Measurement, Trial

RANKED = 64
"""How many of the best architectures a search remembers for later stages."""

STALENESS = "staleness"
"""The scalar that says by how many tells a sampler had moved on between a trial's ask and its own.

While it has always been 0, as with one worker, nothing is said of it.
"""


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

    def sampler(self, problem: Problem) -> Sampler:
        return self.make(problem.space, problem.seed)

    def search(self, problem: Problem) -> Search:
        return SampledSearch(problem, self.sampler(problem))


class InFull:
    """A scheduler that knows one fidelity: what the sampler asks for is trained in full."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def propose(self, *, new: bool) -> Proposal | None:
        """Ask the sampler, as long as the budget allows."""
        return Proposal(self._sampler.ask()) if new else None

    def tell(self, trial: Trial) -> None:
        """Tell the sampler."""
        self._sampler.tell(trial)

    def drop(self, trial: Trial) -> None:
        """Tell a sampler that wants to know what was never measured."""
        if isinstance(self._sampler, Attentive):
            self._sampler.drop(trial)

    def open(self) -> Collection[int]:
        """Return nothing: no candidate is trained twice."""
        return ()

    def scalars(self) -> dict[str, float]:
        """Return the sampler's."""
        return self._sampler.scalars()

    def state(self) -> State:
        """Return the sampler's."""
        return self._sampler.state()

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._sampler.restore(state)


@define
class _Counters:
    asked: int = 0
    finished: int = 0
    rejected: int = 0
    failed: int = 0
    rejected_in_row: int = 0
    failed_in_row: int = 0
    promoted: int = 0
    repeated: int = 0
    stalest: int = 0

    @property
    def candidates(self) -> int:
        """How many new candidates have a finished trial."""
        return self.finished - self.promoted


class SampledSearch:
    """The task of a sampling search (Algorithm 1 of Lee et al. is one instance).

    A step is a candidate with a finished trial: a later trial of the same candidate, which goes on
    from an earlier one, is none. A rejected one is neither a step nor an update, a failed one is no
    step either. What was in flight when a state was taken is evaluated again after it is restored.

    Args:
        problem: What is searched.
        sampler: Draws candidates.
        schedule: Makes the scheduler around the sampler.
    """

    def __init__(
        self,
        problem: Problem,
        sampler: Sampler,
        schedule: Callable[[Sampler], Scheduler] = InFull,
    ) -> None:
        self._problem = problem
        self._scheduler = schedule(sampler)
        self._count = _Counters()
        self._in_flight: dict[int, Proposal] = {}
        self._ranking: list[Trial] = []
        self._front = Front(directions(self.quantities))
        self._states = states_in(problem.folder)
        self._known = Known()
        self._told_before: dict[int, int] = {}
        """Of each trial in flight, how many the sampler had been told of when it was asked for."""

    @property
    def quantities(self) -> Sequence[Quantity]:
        """Return what the evaluator measures."""
        return tuple(self._problem.evaluator.measures.values())

    def events(self) -> Iterator[Event]:
        """Ask, evaluate and tell until the budget's candidates are finished, and what follows them.

        Raises:
            SearchError: Too many rejections or failures in a row.
        """
        # Under the numbers that they had, so that they get the same seeds and warm-start weights.
        for number, proposal in self._in_flight.items():
            self._submit(number, proposal)
        executor, budget = self._problem.executor, self._problem.budget
        while True:
            yield from self._fill()
            if not self._in_flight:
                return
            event = self._conclude(*executor.next())
            yield event
            # After the event, so that the journal has the failure that was one too many.
            if self._count.failed_in_row >= budget.failures and event.trial:
                raise SearchError(
                    f"{self._count.failed_in_row} trials in a row failed, the last one with "
                    f"{event.trial.reason}"
                )

    def _fill(self) -> Iterator[Event]:
        """Propose until no worker is idle, or nothing is to be proposed now."""
        while self._problem.executor.idle:
            proposal = self._scheduler.propose(new=self._may_begin())
            if proposal is None:
                return
            yield self._start(proposal)

    def _may_begin(self) -> bool:
        # Never more in flight than the budget has left: others would be trained for nothing.
        begun = sum(proposal.is_new for proposal in self._in_flight.values())
        return self._count.candidates + begun < self._problem.budget.trials

    def _start(self, proposal: Proposal) -> Event:
        number = self._count.asked
        self._count.asked += 1
        trial = self._trial(number, proposal)
        known = self._known.repeat(trial)
        if known is not None:
            # Answered at once and without a job.
            self._count.repeated += 1
            self._count.rejected_in_row = 0
            return self._finish(known, proposal)
        reason = self._submit(number, proposal)
        if reason is not None:
            return self._reject(evolve(trial, status="rejected", reason=reason), proposal)
        # A rejection between two accepted ones is normal where a limit is tight.
        self._count.rejected_in_row = 0
        self._in_flight[number] = proposal
        self._told_before[number] = self._count.finished
        return self._event("started", architecture=trial.architecture, scalars=_begun(trial))

    def _trial(self, number: int, proposal: Proposal) -> Trial:
        return Trial(
            number,
            self._problem.space.canonical(proposal.architecture),
            rung=proposal.rung,
            fidelity=proposal.fidelity,
            continues=proposal.continues,
        )

    def _submit(self, number: int, proposal: Proposal) -> str | None:
        architecture = self._problem.space.canonical(proposal.architecture)
        first = number if proposal.first is None else proposal.first
        job = self._prepare(architecture, proposal, number, trial_seed(self._problem.seed, first))
        if isinstance(job, Rejected):
            return job.reason
        self._problem.executor.submit(number, job)
        return None

    def _prepare(
        self, architecture: Architecture, proposal: Proposal, number: int, seed: int
    ) -> Job | Rejected:
        evaluator, share = self._problem.evaluator, Share(proposal.fidelity)
        if proposal.is_new and share.is_full:
            return evaluator.prepare(architecture, number=number, seed=seed)
        if not isinstance(evaluator, Gradual):
            raise SearchError(f"{type(evaluator).__name__} trains no candidate to a share")
        if proposal.continues is not None:
            state = self._states.get(proposal.continues, architecture.id)
            share = evolve(share, state=state)
        share = evolve(share, annealed=proposal.annealed)
        return evaluator.prepare_share(architecture, share, number=number, seed=seed)

    def _reject(self, trial: Trial, proposal: Proposal) -> Event:
        self._scheduler.drop(evolve(trial, architecture=proposal.architecture))
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
        proposal = self._in_flight.pop(number)
        told_before = self._told_before.pop(number, self._count.finished)
        trial = self._trial(number, proposal)
        if isinstance(outcome, Failure):
            return self._fail(trial, proposal, f"{outcome.kind}: {outcome.message}")
        evaluator = self._problem.evaluator
        measurement = evaluator.measure(trial.architecture, outcome)
        try:
            score = self._score(measurement)
        # What an objective may raise for odd numbers: it costs the trial, never the run.
        except (KeyError, ValueError, ArithmeticError) as error:
            return self._fail(trial, proposal, str(error.args[0]))
        trial = evolve(trial, measurement=measurement, score=score)
        evaluator.collect(trial, outcome)
        event = self._finish(trial, proposal, staleness=self._count.finished - told_before)
        # After the scheduler knows the trial: most states are never needed.
        if outcome.state and number in self._scheduler.open():
            self._states.keep(number, trial.architecture.id, outcome.state)
        return event

    def _score(self, measurement: Measurement) -> float:
        try:
            score = self._problem.objective(measurement)
        except KeyError as error:
            name = str(error.args[0])
            raise KeyError(f"no metric {name!r}{nearest(name, measurement.metrics)}") from None
        if not math.isfinite(score):
            raise ValueError(f"the score is {score}")
        return score

    def _finish(self, trial: Trial, proposal: Proposal, *, staleness: int = 0) -> Event:
        # A policy learns from what it drew, inactive decisions included.
        self._scheduler.tell(evolve(trial, architecture=proposal.architecture))
        self._count.finished += 1
        self._count.promoted += not proposal.is_new
        self._count.failed_in_row = 0
        self._ranking = ranked(self._ranking, trial, most=RANKED)
        self._front.add(trial)
        if self._problem.remember:
            self._known.add(trial)
        scalars = self._scheduler.scalars()
        self._count.stalest = max(self._count.stalest, staleness)
        if self._count.stalest:
            scalars[STALENESS] = staleness
        return self._event("trial", trial, scalars=scalars)

    def _fail(self, trial: Trial, proposal: Proposal, reason: str) -> Event:
        failed = evolve(trial, status="failed", reason=reason)
        self._problem.evaluator.drop(trial.number)
        self._scheduler.drop(evolve(failed, architecture=proposal.architecture))
        self._count.failed += 1
        self._count.failed_in_row += 1
        return self._event("failed", failed)

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
            self._count.candidates,
            self._problem.budget.trials,
            scalars or {},
            trial.architecture if trial else architecture,
            trial,
        )

    def state(self) -> State:
        """Return counters, trials in flight, the best, and the states of scheduler and evaluator.

        Its size does not depend on how many trials there were, where the sampler's does not. States
        of candidates that neither this one nor the two before it need are removed.
        """
        self._states.settle(self._needed_states())
        return {
            "sampler": self._scheduler.state(),
            "evaluator": self._problem.evaluator.state(),
            "counters": asdict(self._count),
            "in_flight": {n: proposal.to_json() for n, proposal in self._in_flight.items()},
            "ranking": [t.to_json() for t in self._ranking],
            "front": [t.to_json() for t in self._front.trials],
            "told_before": dict(self._told_before),
        }

    def _needed_states(self) -> set[int]:
        # Those in flight need theirs until they have ended: a run that goes on submits them again.
        begun = (proposal.continues for proposal in self._in_flight.values())
        return {*self._scheduler.open(), *(number for number in begun if number is not None)}

    def restore(self, state: State) -> None:
        """Continue from a state; what was in flight is submitted again when `events` begins."""
        self._scheduler.restore(state["sampler"])
        self._problem.evaluator.restore(state["evaluator"])
        self._count = _Counters(**state["counters"])
        self._in_flight = {n: Proposal.from_json(p) for n, p in state["in_flight"].items()}
        self._ranking = [Trial.from_json(t) for t in state["ranking"]]
        for value in state["front"]:
            self._front.add(Trial.from_json(value))
        self._told_before = dict(state.get("told_before", {}))
        if self._problem.remember:
            # Not from the state: it would grow with the search, and the journal has them.
            self._known.add_all(self._problem.past())

    def result(self, folder: Path) -> Result:
        """Return the best trials, and the files that the evaluator hands over."""
        best, count = self._ranking, self._count
        counts = {"finished": count.finished, "rejected": count.rejected, "failed": count.failed}
        special = {"promoted": count.promoted, "repeated": count.repeated}
        return SearchResult(
            chosen=best[0].architecture if best else None,
            measurement=best[0].measurement if best else None,
            trials=tuple(best),
            front=tuple(self._front.trials),
            counts=counts | {name: number for name, number in special.items() if number},
            quantities=tuple(self.quantities),
            # Before the first result there is nothing that a later stage could start from.
            files=self._problem.evaluator.save(folder) if best else {},
        ).to_result()


def _begun(trial: Trial) -> dict[str, float]:
    """Return what the event of a trial's beginning says of it."""
    if trial.fidelity == 1:
        return {"number": trial.number}
    return {"number": trial.number, "rung": trial.rung, "fidelity": trial.fidelity}
