"""What a policy learns from: a stateful view of the scores, owned by a policy sampler."""

from __future__ import annotations

from typing import Protocol

from corenas.values.result import State


class Reward(Protocol):
    """Turns each finished score into the number that scales a policy's update."""

    def __call__(self, score: float, entropy: float) -> float:
        """Take in one score and the policy's entropy in nats; return the reward."""

    def state(self) -> State:
        """Return everything that later rewards depend on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""
