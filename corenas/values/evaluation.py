"""Where candidates are evaluated: the protocol between the search and its workers."""

from __future__ import annotations

from typing import Literal, Protocol

from attrs import frozen

from corenas.evaluator import Job, Outcome

Order = Literal["completion", "submission"]


@frozen
class Failure:
    """Why a job gave no outcome. It costs one trial, never the run."""

    kind: Literal["error", "killed", "timeout", "memory", "diverged"]
    message: str


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
            Interrupted: A stop was requested meanwhile; the jobs in flight are lost.
        """

    def close(self) -> None:
        """Stop every worker at once."""
