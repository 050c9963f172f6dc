"""A search problem without training, for tests and benchmarks of strategies.

Twenty decisions like those of the published space of super-resolution cells: ten nodes, each with
one of sixteen operations and the cell's input or an earlier node as its source. The score plays the
part of a PSNR: better operations cost more, chains of nodes help, and there is a limit to the cost.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from corenas.errors import InputError
from corenas.protocols import Budget, IndependentJobs, Job, Objective, Problem
from corenas.search.objectives import MetricObjective
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas.values.evaluation import Outcome, Rejected, Report
from corenas.values.fidelity import FULL_TRAINING, Share
from corenas.values.quantity import MULT_ADDS, Quantity
from corenas.values.trial import Measurement

if TYPE_CHECKING:
    from torch import nn

NODES = 10

POSITIONS = 640 * 360
"""Where mult-adds are counted: the input of a x2 network with 1280x720 output."""

FIXED_MULT_ADDS = 2160
"""Mult-adds of what is not searched, per position."""

OPERATIONS: Mapping[str, tuple[int, float]] = {
    "conv1": (256, 0.00),
    "conv3": (2304, 0.05),
    "conv5": (6400, 0.07),
    "conv7": (12544, 0.08),
    "gconv3": (576, 0.02),
    "gconv5": (1600, 0.03),
    "gconv7": (3136, 0.04),
    "dsep3": (400, 0.03),
    "dsep5": (656, 0.04),
    "dsep7": (1040, 0.04),
    "inv3": (1312, 0.04),
    "inv5": (1824, 0.05),
    "inv7": (2592, 0.05),
    "se": (0, -0.01),
    "ca": (0, -0.01),
    "identity": (0, -0.03),
}
"""Mult-adds per position of each operation, and its made-up worth in dB."""

BASE_SCORE = 35.2
DEPTH_WORTH = 0.02
NOISE = 0.02
"""Standard deviation of the score of one architecture, in dB."""
EARLY_LOSS = 1.0
EARLY_NOISE = 0.1
"""How much lower the score is before any training, and its further standard deviation, in dB."""

MAX_MULT_ADDS = 14.0e9

PSNR = Quantity("psnr", "higher", "dB", "made up, with noise")


class SurrogateSpace:
    """The search space; its networks are placeholders, because nothing is trained."""

    name = "surrogate"

    @cached_property
    def decisions(self) -> Sequence[Decision]:
        """``op_1``, ``in_1``, ``op_2``, …; the source ``0`` is the cell's input."""
        return tuple(
            decision
            for node in range(1, NODES + 1)
            for decision in (
                Decision(f"op_{node}", tuple(OPERATIONS), "operation"),
                Decision(f"in_{node}", tuple(map(str, range(node))), "input"),
            )
        )

    @property
    def known(self) -> Mapping[str, Architecture]:
        """A plain chain of convolutions."""
        return {"surrogate/chain": self.parse([["conv3", str(node)] for node in range(NODES)])}

    def build(self, architecture: Architecture) -> nn.Module:
        """Return a placeholder."""
        from torch import nn  # the surrogate itself does without torch

        return nn.Identity()

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return all decisions: each of them matters."""
        return self.decisions

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the same choices in the order of the decisions."""
        choices = {d.name: architecture[d.name] for d in self.decisions}
        return Architecture(self.name, choices)

    def parse(self, value: Any) -> Architecture:
        """Read a list with an operation and a source for each node."""
        try:
            pairs = [(str(operation), str(source)) for operation, source in value]
        except (TypeError, ValueError):
            raise InputError(f"expected pairs of operation and source, got {value!r}") from None
        options = [option for pair in pairs for option in pair]
        if len(options) != len(self.decisions):
            raise InputError(f"expected {NODES} nodes, got {len(pairs)}")
        named = {d.name: option for d, option in zip(self.decisions, options, strict=True)}
        architecture = Architecture(self.name, named)
        if reason := self.check(architecture):
            raise InputError(reason)
        return architecture

    def format(self, architecture: Architecture) -> Any:
        """Return a list with an operation and a source for each node."""
        nodes = range(1, NODES + 1)
        return [[architecture[f"op_{node}"], architecture[f"in_{node}"]] for node in nodes]


def mult_adds(architecture: Architecture) -> int:
    """Return the mult-adds of a whole network with 1280x720 output at x2."""
    costs = (OPERATIONS[architecture[f"op_{node}"]][0] for node in range(1, NODES + 1))
    return (FIXED_MULT_ADDS + sum(costs)) * POSITIONS


def expected_score(architecture: Architecture) -> float:
    """Return the score without its noise, in dB: worths add up, and the longest chain counts."""
    depths = [0]
    worth = 0.0
    for node in range(1, NODES + 1):
        worth += OPERATIONS[architecture[f"op_{node}"]][1]
        depths.append(depths[int(architecture[f"in_{node}"])] + 1)
    return BASE_SCORE + worth + DEPTH_WORTH * max(depths)


@frozen
class SurrogateJob:
    """Measures one candidate; its noise depends on the seed alone.

    After a share of the training the score is lower, and noisier: luck that fades.
    """

    architecture: Architecture
    seed: int
    share: Share = FULL_TRAINING

    def run(self, device: str, report: Report) -> Outcome:
        """Return the noisy score as ``psnr``, and what it drew as the state."""
        noise, luck = json.loads(self.share.state) if self.share.state else self._draw()
        missing = 1 - self.share.fidelity
        psnr = expected_score(self.architecture) + NOISE * noise
        psnr += missing * (EARLY_NOISE * luck - EARLY_LOSS)
        state = b"" if self.share.is_full else json.dumps([noise, luck]).encode()
        return Outcome({"psnr": psnr}, state=state)

    def _draw(self) -> list[float]:
        return [float(each) for each in np.random.default_rng(self.seed).standard_normal(2)]


class SurrogateEvaluator(IndependentJobs):
    """Refuses what costs more than ``limit`` mult-adds, and scores the rest."""

    continues = True

    def __init__(self, limit: float = MAX_MULT_ADDS) -> None:
        self._limit = limit

    @property
    def measures(self) -> Mapping[str, Quantity]:
        """Return the score and the cost."""
        return {"psnr": PSNR, "mult_adds": MULT_ADDS}

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        """Return the job, or the reason why the candidate is too expensive."""
        return self.prepare_share(architecture, FULL_TRAINING, number=number, seed=seed)

    def prepare_share(
        self, architecture: Architecture, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        """Return the job for a share of the training."""
        cost = mult_adds(architecture)
        if cost > self._limit:
            reason = f"{cost / 1e9:.2f} G mult-adds, more than {self._limit / 1e9:.2f} G"
            return Rejected(reason, {"mult_adds": cost})
        return SurrogateJob(architecture, seed, share)

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        """Return the score and the cost."""
        return Measurement({**outcome.metrics, "mult_adds": mult_adds(architecture)})


class InlineExecutor:
    """Runs jobs in this process, in the order of submission, each when its outcome is asked for.

    With several ``slots`` it behaves like as many workers: outcomes come back late.
    """

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        self._waiting: deque[tuple[int, Job]] = deque()

    @property
    def idle(self) -> bool:
        """Whether a slot is free."""
        return len(self._waiting) < self._slots

    def submit(self, key: int, job: Job) -> None:
        """Keep the job until its turn comes."""
        self._waiting.append((key, job))

    def next(self) -> tuple[int, Outcome]:
        """Run the oldest job; what it raises passes through."""
        key, job = self._waiting.popleft()
        return key, job.run("cpu", lambda step, value: False)

    def check(self, files: Sequence[Path]) -> None:
        """Find nothing wrong."""

    def where(self) -> Mapping[str, int]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Forget the jobs that have not run."""
        self._waiting.clear()


psnr_score: Objective = MetricObjective("psnr", 1)
"""The objective of the surrogate."""


def surrogate_problem(
    trials: int, *, seed: int = 0, slots: int = 1, limit: float = MAX_MULT_ADDS
) -> Problem:
    """Return the surrogate as a `Problem` with so many trials."""
    return Problem(
        SurrogateSpace(),
        SurrogateEvaluator(limit),
        psnr_score,
        InlineExecutor(slots),
        Budget(trials),
        seed,
    )
