"""Options of the one-shot strategies (no torch here)."""

from __future__ import annotations

from typing import Literal, get_args

from attrs import frozen

from corenas.options.structuring import option, section

Method = Literal["sparsestmax", "sparsemax", "softmax", "gumbel", "uniform"]
Center = Literal["simplex", "support"]

Mixing = Literal["sparsestmax", "sparsemax", "softmax", "gumbel"]
"""The methods that learn."""


@frozen
class WarmUpConfig:
    """Options of a phase in which the weights of a supernet are trained."""

    steps: int = option(1000, "steps; 0 leaves the phase out", ge=0)
    learning_rate: float = option(1e-3, "step size of Adam for the weights", gt=0)
    schedule: Literal["constant", "cosine"] = option(
        "constant", "how that step size falls: never, or along half a cosine"
    )
    report_every: int = option(100, "steps from one event to the next", ge=1)
    threads: int = option(
        1, "CPU threads; more than one pays only where nothing else wants the cores", ge=1
    )


@frozen
class SearchPhaseConfig(WarmUpConfig):
    """Options of the phase in which a search takes place."""

    steps: int = option(4000, "steps", ge=1)
    schedule: Literal["constant", "cosine"] = option(
        "cosine", "how that step size falls: never, or along half a cosine"
    )


@frozen
class KindsConfig:
    """Which relaxation a kind of decision has, where it is another than the strategy's."""

    operation: Mixing | None = option(None, "of operations; unset: as the strategy's name says")
    input: Mixing | None = option(None, "of where inputs come from; unset: as the name says")
    path: Mixing | None = option(None, "of ways through the network; unset: as the name says")
    width: Mixing | None = option(None, "of numbers of channels; unset: as the name says")
    depth: Mixing | None = option(None, "of numbers of blocks; unset: as the name says")
    other: Mixing | None = option(None, "of all other decisions; unset: as the name says")


@frozen
class LogitsConfig:
    """Options of the logits: how they become weights, and how they learn."""

    learning_rate: float = option(3e-4, "step size of Adam for the logits", paper="3e-4", gt=0)
    betas: tuple[float, float] = option(
        (0.5, 0.999), "decay of that Adam's two averages", paper="0.5, 0.999", ge=0, lt=1
    )
    temperature: float = option(1.0, "of the Gumbel-softmax, where options are drawn by it", gt=0)
    center: Center = option(
        "simplex",
        "what sparsestmax keeps away from: the center of all options, or of those that sparsemax "
        "leaves",
        choices=get_args(Center),
    )
    initial: float = option(1e-3, "standard deviation of the logits at the start", ge=0)


@frozen
class OneShotConfig:
    """Options of the strategies that learn weights and architecture together in a supernet."""

    warmup: WarmUpConfig = section(WarmUpConfig, "weights alone, on half of the examples")
    search: SearchPhaseConfig = section(
        SearchPhaseConfig, "weights on that half and the architecture on the other, in turn"
    )
    architecture: LogitsConfig = section(LogitsConfig, "the logits")
    kinds: KindsConfig = section(KindsConfig, "another relaxation for a kind of decision")
    alternate: Literal["weights-first", "architecture-first"] = option(
        "weights-first", "whose turn is first in a step"
    )
    sandwich: bool = option(
        False, "sum the losses with the widths drawn, the widest and the narrowest in each step"
    )
    clip: float = option(5.0, "largest norm of the weights' gradient", paper="5", gt=0)
    cost: float = option(
        0.0,
        "weight in the architecture's loss of the expected mult-adds, as a share of those of the "
        "uniform mixture; 0: costs do not count",
        ge=0,
    )


@frozen
class DartsConfig(OneShotConfig):
    """Options of ``darts``."""

    alternate: Literal["weights-first", "architecture-first"] = option(
        "architecture-first",
        "whose turn is first in a step",
        paper="architecture first",
    )


@frozen
class SinglePathConfig:
    """Options of ``single-path``."""

    training: SearchPhaseConfig = section(
        SearchPhaseConfig, "weights alone, in each step on one random path"
    )
    candidates: int = option(
        1000, "paths that are ranked by the shared weights", paper="1000", ge=1
    )
    batches: int = option(8, "batches of the other half of the examples that rank them", ge=1)
    report_every: int = option(100, "candidates from one event to the next", ge=1)
    clip: float = option(5.0, "largest norm of the weights' gradient", gt=0)
