"""REINFORCE over decisions (Eq. 3 and Algorithm 1 of Lee et al., arXiv:2007.04356)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch

from corenas.protocols import Strategy
from corenas.search.lift import sampled
from corenas.values.architecture import Architecture, Decision
from corenas.values.result import State
from corenas.values.trial import Trial
from corenas_tpsr.policy._controller import Controller
from corenas_tpsr.policy.config import ReinforceConfig
from corenas_tpsr.policy.reward import MovingAverage

SMOOTHING = 0.95
"""Decay of the average reward that `Reinforce.scalars` shows."""


class Reinforce:
    """Samples architectures from a policy and reinforces those that score well.

    The update uses log-probabilities under the policy of that moment, not of the time when the
    architecture was drawn (Eq. 3): trials may come back late and in any order.

    Note:
        An inactive decision is drawn and reinforced like any other, which leaves the expected
        gradient unbiased; architectures are therefore not reduced to their canonical form.

    Args:
        config: The options.
        decisions: What the policy decides, in this order.
        space: Name of the space that its architectures belong to.
        seed: Seed of the initial policy and of what is drawn from it.
    """

    def __init__(
        self, config: ReinforceConfig, decisions: Sequence[Decision], space: str, seed: int
    ) -> None:
        self._decisions = tuple(decisions)
        self._space = space
        # One generator of its own: trainings in the same process draw from the global one.
        self._generator = torch.Generator().manual_seed(seed)
        self._controller = Controller(
            [len(decision.options) for decision in decisions],
            self._generator,
            hidden=config.hidden,
            temperature=config.temperature,
            bound=config.bound,
            feedback=config.feedback,
        )
        self._optimiser = torch.optim.Adam(self._controller.parameters(), lr=config.learning_rate)
        self._regulariser = config.entropy_regulariser
        self._reward = config.reward.build()
        self._average_reward = MovingAverage(SMOOTHING)
        self._scalars: dict[str, float] = {}

    def ask(self) -> Architecture:
        """Draw an architecture from the policy."""
        choices = self._controller.sample(self._generator)
        return Architecture(
            self._space,
            {d.name: d.options[i] for d, i in zip(self._decisions, choices, strict=True)},
        )

    def tell(self, trial: Trial) -> None:
        """Take one step on -R log pi(architecture), R being the reward of the trial's score.

        Raises:
            ValueError: The trial has no finite score; the policy has not changed.
        """
        if trial.score is None:
            raise ValueError(f"trial {trial.number} is {trial.status} and has no score")
        # Scored anew, not as it was drawn: with several workers the policy has moved on since.
        log_p, entropies = self._controller(
            [d.index(trial.architecture[d.name]) for d in self._decisions]
        )
        entropy = entropies.sum()
        reward = self._reward(trial.score, entropy.item())
        loss = -reward * log_p.sum() - self._regulariser * entropy
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._scalars = {
            "entropy": entropy.item(),
            "reward": reward,
            "reward_average": self._average_reward(reward),
        }

    def scalars(self) -> dict[str, float]:
        """Return the policy's entropy in nats, the last reward and its moving average."""
        return dict(self._scalars)

    def state(self) -> State:
        """Return policy, optimiser, reward and random state, all copied."""
        return {
            "controller": deepcopy(self._controller.state_dict()),
            "optimiser": deepcopy(self._optimiser.state_dict()),
            "reward": self._reward.state(),
            "generator": self._generator.get_state(),
            "scalars": self.scalars(),
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._controller.load_state_dict(state["controller"])
        # Copied, because Adam updates the tensors that it is given.
        self._optimiser.load_state_dict(deepcopy(state["optimiser"]))
        self._reward.restore(state["reward"])
        self._generator.set_state(state["generator"])
        self._scalars = dict(state["scalars"])
        self._average_reward.value = self._scalars.get("reward_average")


def reinforce(config: ReinforceConfig) -> Strategy:
    """Build the strategy ``reinforce``."""
    return sampled(lambda space, seed: Reinforce(config, space.decisions, space.name, seed))
