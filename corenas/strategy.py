"""Searches: a strategy turns a problem into a task; a sampler is the ask-and-tell kind of one."""

from __future__ import annotations

from typing import Any, Protocol

from attrs import frozen

from corenas.evaluator import Evaluator
from corenas.objective import Objective
from corenas.values.architecture import Architecture, SearchSpace
from corenas.values.evaluation import Executor
from corenas.values.result import State, Task
from corenas.values.trial import Trial


@frozen
class Budget:
    """How much a sampling search may spend, and when it gives up.

    Only finished trials count towards ``trials``; so many rejections or failures in a row stop it.
    """

    trials: int
    rejections: int = 1000
    failures: int = 10


@frozen
class Problem:
    """What a search needs; a one-shot strategy may use space, seed, data and device alone.

    ``data`` says where images come from, for strategies that train something themselves, and
    ``device`` where they train it. The core knows nothing of what ``data`` is.
    """

    space: SearchSpace
    evaluator: Evaluator
    objective: Objective
    executor: Executor
    budget: Budget
    seed: int = 0
    data: Any = None
    device: str = "cpu"


class Strategy(Protocol):
    """A way to search. What a component of the kind ``strategies`` builds."""

    def search(self, problem: Problem) -> Task:
        """Return the search as resumable work; nothing is drawn or trained yet."""


class Sampler(Protocol):
    """Ask-and-tell: no input or output, no training. `corenas.sampled.Sampled` lifts it."""

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
