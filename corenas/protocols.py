"""What a plugin implements: one page for whoever writes a space, a strategy or an evaluator.

From the smallest to the largest: a `SearchSpace` of decisions; the `Job` that measures one
candidate, and the `Evaluator` that prepares it; an `Objective`, which makes a score of what was
measured; a `Sampler` that asks and tells, with a `Reward` where it is a policy; an `Executor`,
where jobs run; a `Task`, which is any resumable work; a `Strategy`, which turns a `Problem` into a
`Search`.

Components are asked, never looked at: whoever holds one knows these methods and nothing of its
class. `IndependentJobs` answers for an evaluator what most of them would answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import frozen

from corenas.values.architecture import Architecture, Decision, Relaxation
from corenas.values.evaluation import Failure, Outcome, Rejected, Report
from corenas.values.plan import StagePlan
from corenas.values.quantity import Quantity
from corenas.values.result import Result, State
from corenas.values.trial import Event, Measurement, Trial

if TYPE_CHECKING:
    from torch import Tensor, nn


class SearchSpace(Protocol):
    """A finite product of decisions, and the network that each combination stands for."""

    @property
    def name(self) -> str:
        """The name that its architectures carry."""

    @property
    def decisions(self) -> Sequence[Decision]:
        """All decisions, in the order in which a policy makes them."""

    @property
    def known(self) -> Mapping[str, Architecture]:
        """Published architectures by name, such as ``tpsr/paper``."""

    def build(self, architecture: Architecture) -> nn.Module:
        """Return the freshly initialised network (torch's global random state is used)."""

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return the decisions that change the network, given the others."""

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the same network with every inactive decision at its first option."""

    def parse(self, value: Any) -> Architecture:
        """Read the form that a person writes; an `InputError` says what does not fit."""

    def format(self, architecture: Architecture) -> Any:
        """Return the JSON value that a person reads and `parse` takes."""


class Supernet(Protocol):
    """One network that holds every architecture of a space, mixed by a `Relaxation`."""

    def __call__(self, x: Tensor, point: Relaxation) -> Tensor:
        """Run the mixture; entries may be soft or one-hot."""

    def expected_cost(self, point: Relaxation) -> Tensor:
        """Return the differentiable cost of the mixture, in mult-adds."""

    def inherit(self, architecture: Architecture) -> nn.Module:
        """Return the derived network with the supernet's weights."""


@runtime_checkable
class Relaxable(Protocol):
    """A search space that offers a `Supernet`."""

    def supernet(self) -> Supernet:
        """Return a freshly initialised supernet."""


class Job(Protocol):
    """All that a worker sees: picklable and small; it names its data by configuration.

    A job may have a method ``get_ready(device)`` that loads its data beforehand, for it and later
    jobs of the same process. What that takes does not count against the time limit.
    """

    def run(self, device: str, report: Report) -> Outcome:
        """Train and measure on ``device``.

        Raises:
            Diverged: The training left the finite numbers.
            Stopped: ``report`` answered True.
        """


class Evaluator(Protocol):
    """E(s): prepares jobs and collects their outcomes, both in the main process."""

    @property
    def measures(self) -> Mapping[str, Quantity]:
        """Describe the numbers that every measurement has, by name; the first one matters most."""

    def check(self) -> None:
        """Refuse now what would fail only in the first job: missing weights, unusable data.

        Raises:
            CorenasError: The message says what, and what to change.
        """

    def plan(self, device: str) -> StagePlan | None:
        """Estimate one candidate from a few steps of a typical one; None where nothing is known.

        The plan's steps, seconds and memory are those of one job.
        """

    def advice(self, name: str) -> str:
        """Return which option has the number ``name`` measured as well, or an empty string.

        Such as ``evaluator.latency=[320,180]``, below the section of the search.
        """

    def from_scratch(self) -> Evaluator:
        """Return the same evaluator where no job profits from another one's training."""

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        """Check the cost, take warm-start weights and return the job.

        After a restore it is called again for each job in flight, and must return the same job.
        """

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        """Return what the outcome says of the candidate, its costs included."""

    def collect(self, trial: Trial, outcome: Outcome) -> None:
        """Take back what the job of a finished trial produced, in the executor's order."""

    def drop(self, number: int) -> None:
        """Forget the job, which failed."""

    def state(self) -> State:
        """Return everything that later jobs depend on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""

    def save(self, folder: Path) -> Mapping[str, str]:
        """Write what later stages start from into ``folder``; return file names by purpose."""


class IndependentJobs:
    """The empty half of an evaluator whose jobs learn nothing from each other.

    What is left to write is `measures`, `prepare` and `measure`.
    """

    def check(self) -> None:
        """Find nothing wrong."""

    def plan(self, device: str) -> StagePlan | None:
        """Know nothing of what a candidate takes."""
        return None

    def advice(self, name: str) -> str:
        """Have no advice."""
        return ""

    def from_scratch(self) -> Any:
        """Return itself: every job begins from scratch."""
        return self

    def collect(self, trial: Trial, outcome: Outcome) -> None:
        """Take nothing back."""

    def drop(self, number: int) -> None:
        """Forget nothing: nothing is kept for a job."""

    def state(self) -> State:
        """Return nothing: jobs do not depend on each other."""
        return {}

    def restore(self, state: State) -> None:
        """Take nothing over."""

    def save(self, folder: Path) -> Mapping[str, str]:
        """Write nothing."""
        return {}


class Objective(Protocol):
    """Turns a measurement into a score; stateless, higher is better."""

    @property
    def needs(self) -> Sequence[str]:
        """Names of all quantities that it reads, known before anything is measured."""

    def __call__(self, measurement: Measurement) -> float:
        """Return the score. A missing or non-finite one makes the trial a failed one.

        Raises:
            KeyError: The measurement lacks a quantity that the objective needs.
        """


class Reward(Protocol):
    """Turns each finished score into the number that scales a policy's update; has a state."""

    def __call__(self, score: float, entropy: float) -> float:
        """Take in one score and the policy's entropy in nats; return the reward."""

    def state(self) -> State:
        """Return everything that later rewards depend on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


class Sampler(Protocol):
    """Ask-and-tell: no input or output, no training. `corenas.sampled` lifts it to a strategy.

    A strategy that trains candidates in shares may wrap it: ``trial.fidelity`` is then below 1.
    """

    def ask(self) -> Architecture:
        """Draw a candidate."""

    def tell(self, trial: Trial) -> None:
        """Learn from a finished trial, in the executor's order."""

    def scalars(self) -> dict[str, float]:
        """Return what is worth watching, such as a policy's entropy in nats."""

    def state(self) -> State:
        """Return everything that the next `ask` depends on, random state included."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


@runtime_checkable
class Attentive(Protocol):
    """A `Sampler` that also learns which candidates were never measured."""

    def drop(self, trial: Trial) -> None:
        """Take in that a candidate was rejected, or that its evaluation failed.

        Args:
            trial: Has the architecture as it was asked for.
        """


class Executor(Protocol):
    """Runs jobs; gives them back in the order of completion or of submission."""

    @property
    def idle(self) -> bool:
        """Whether `submit` would start another job now."""

    def submit(self, key: int, job: Job) -> None:
        """Start a job; ``key`` comes back with its outcome."""

    def next(self) -> tuple[int, Outcome | Failure]:
        """Wait for the next outcome.

        Raises:
            Stopped: A stop was requested meanwhile; the jobs in flight are lost.
        """

    def check(self, files: Sequence[Path]) -> None:
        """Refuse now what would make every job fail; called before the first one.

        Args:
            files: Files and folders that jobs read, under the names that they have here.

        Raises:
            CorenasError: A machine with workers lacks one, say.
        """

    def where(self) -> Mapping[str, int]:
        """Return how many workers there are on which machine; nothing where all are on this one."""

    def close(self) -> None:
        """Stop every worker at once."""


class Task(Protocol):
    """Work whose events are journaled, and whose state at each event is enough to continue.

    A task is made, then restored if there is a state, then iterated once.
    """

    def events(self) -> Iterator[Event]:
        """Do the work, from the beginning or from what `restore` set."""

    def state(self) -> State:
        """Return what `restore` needs; called between two events."""

    def restore(self, state: State) -> None:
        """Continue from a state instead of from the beginning."""

    def result(self, folder: Path) -> Result:
        """Return the best so far, writing its files into ``folder``; callable at any event."""


class Search(Task, Protocol):
    """A search as a task. Its result is what `corenas.SearchResult.to_result` gives."""

    @property
    def quantities(self) -> Sequence[Quantity]:
        """Describe the numbers by which it measures candidates, or what it chooses."""


@frozen
class Budget:
    """How much a sampling search may spend, and when it gives up.

    ``trials`` counts candidates: finished trials, but for those that go on from an earlier one. So
    many rejections or failures in a row stop it.
    """

    trials: int
    rejections: int = 1000
    failures: int = 10


@frozen
class Problem:
    """What a search needs; a one-shot strategy may use space, seed, data and device alone.

    Args:
        space: What is searched.
        evaluator: How candidates are measured.
        objective: What makes one better than another.
        executor: Where candidates are trained, so many at once as there are ``workers``.
        budget: How much a sampling search may spend.
        seed: What the search's random numbers derive from.
        data: Where examples come from, for strategies that train something themselves. The core
            knows nothing of what it is.
        device: Where such strategies train it.
        workers: How many candidates are trained at once.
        folder: Where states of candidates are kept between two of their trainings, for this search
            alone; without it they are kept in memory.
        remember: Whether a candidate that was measured before, at the same fidelity, has the same
            measurement again instead of another training.
        past: Returns the finished trials of this search up to the state that it is restored from,
            the earliest first.
    """

    space: SearchSpace
    evaluator: Evaluator
    objective: Objective
    executor: Executor
    budget: Budget
    seed: int = 0
    data: Any = None
    device: str = "cpu"
    workers: int = 1
    folder: Path | None = None
    remember: bool = False
    past: Callable[[], Iterable[Trial]] = tuple


class Strategy(Protocol):
    """A way to search. What a component of the kind ``strategies`` builds."""

    def check(self, problem: Problem) -> None:
        """Refuse now what would fail only after hours, such as data that cannot be used.

        Raises:
            CorenasError: The message says what, and what to change.
        """

    def plan(self, problem: Problem) -> StagePlan | None:
        """Estimate the whole search from a few steps; None where nothing is known."""

    def search(self, problem: Problem) -> Search:
        """Return the search as resumable work; nothing is drawn or trained yet."""
