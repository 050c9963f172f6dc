"""Options of TPSR's policy and of its rewards."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, component, option


@frozen
class RewardConfig:
    """Options of ``no-baseline``; the other rewards have them too."""

    entropy_weight: float = option(
        1e-4, "weight of the policy's entropy in the reward", paper="1e-4", ge=0
    )
    bounds: tuple[float, float] | None = option(
        None, "lowest and highest score for the normalisation; unset: those received so far"
    )

    def __attrs_post_init__(self) -> None:
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise ConfigError(f"bounds: the first must be less than the second, got {self.bounds}")


@frozen
class AverageConfig(RewardConfig):
    """Options of ``literal-ema``; ``advantage`` has them too."""

    decay: float = option(
        0.95, "decay of the moving average of normalised scores", paper="0.95", ge=0, lt=1
    )


@frozen
class AdvantageConfig(AverageConfig):
    """Options of ``advantage``."""

    order: Literal["update-then-use", "use-then-update"] = option(
        "update-then-use", "whether a score counts in the baseline that it is compared with"
    )
    entropy_in_baseline: bool = option(
        False, "average score and entropy together, as ENAS does, instead of the score alone"
    )


@frozen
class ReinforceConfig:
    """Options of the strategy ``reinforce``."""

    learning_rate: float = option(3.5e-4, "step size of Adam", paper="3.5e-4", gt=0)
    hidden: int = option(100, "width of the LSTM", paper="100", ge=1)
    temperature: float = option(5.0, "what the decoders' outputs are divided by", paper="5", gt=0)
    bound: float = option(
        2.5, "largest absolute logit, so that every option stays possible", paper="2.5", gt=0
    )
    feedback: Literal["embedding", "zeros"] = option(
        "embedding", "what a decision sees of those before it: the sampled options, or nothing"
    )
    entropy_regulariser: float = option(
        0.0, "weight of the entropy as a differentiable term of the loss, beside the reward's", ge=0
    )
    reward: Chosen = component("rewards", "advantage", "what scales the policy's update")
