"""A one-shot search as a task: phases of training, and then perhaps a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import torch
from attrs import evolve

from corenas import (
    MULT_ADDS,
    PARAMS,
    Architecture,
    Chosen,
    Event,
    Measurement,
    Quantity,
    Relaxable,
    Result,
    ResumeError,
    SearchResult,
    SearchSpace,
    State,
    Supernet,
    choose,
)
from corenas.cost import count
from corenas.supernets.supervision import Part, Supervision
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas.training.step import Stream
from corenas.values.seeds import derive_seed
from corenas_oneshot.relaxing.logits import Logits
from corenas_oneshot.search.plan import PhasePlan, SearchPlan
from corenas_oneshot.search.ranking import Ranking
from corenas_oneshot.search.stage import Stage, TrainingStage
from corenas_oneshot.search.step import OneShotStep, module_of
from corenas_oneshot.search.terms import Terms

RANKING = "ranking"
"""The name of the stage that follows the phases, where paths are ranked."""


class OneShotSearch:
    """Phases of training and a ranking, one after the other, as one task.

    The architecture at any time is that of the largest logits, or the best one ranked; the result
    is its network, with the weights that it has in the supernet.

    Args:
        space: Offers the supernet.
        plan: What is done.
        seed: Everything that is random derives from it.
        device: Where to train.
    """

    def __init__(self, space: SearchSpace, plan: SearchPlan, *, seed: int, device: str) -> None:
        self._space = space
        self._plan = plan
        self._seed = seed
        self._device = device
        self._sizes = {phase.name: phase.steps for phase in plan.phases if phase.steps}
        if plan.ranking is not None:
            self._sizes[RANKING] = plan.ranking.candidates
        self._name = ""
        self._stage: Stage | None = None

    @cached_property
    def _supernet(self) -> Supernet:
        assert isinstance(self._space, Relaxable)  # the strategy has refused all others
        with seeded(derive_seed(self._seed, "weights")):
            return self._space.supernet()

    @cached_property
    def _logits(self) -> Logits:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "logits"))
        return Logits(self._space, self._plan.relaxing, generator=generator, fixed=self._plan.fixed)

    @cached_property
    def _terms(self) -> Terms:
        return self._plan.terms(self._space, self._supernet)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Describe the costs of the network chosen, and what is known of it in the supernet."""
        protocol = self._plan.supervision.protocol
        return (
            evolve(MULT_ADDS, protocol=protocol),
            PARAMS,
            Quantity(
                "expected_cost",
                "lower",
                protocol=self._plan.counted_for or protocol,
                summary="mult-adds of the mixture",
            ),
            Quantity("loss", "lower", summary="in the supernet, summed over the points of a step"),
        )

    def events(self) -> Iterator[Event]:
        """Train, then rank; yield an ``epoch`` event every so many steps or candidates.

        Raises:
            Diverged: A loss or the architecture left the finite numbers.
            SearchError: There is no path to rank.
        """
        current = self._begin()
        names = list(self._sizes)
        for name in names[names.index(self._name) :]:
            # A restored stage is under way already: making it anew would lose what it has learned.
            if name != self._name:
                current = self._make(name)
            for event in current.events():
                yield self._describe(current, event)

    def _begin(self) -> Stage:
        """Return the stage under way; begin the first one where there is none."""
        return self._stage or self._make(next(iter(self._sizes)))

    def _describe(self, stage: Stage, event: Event) -> Event:
        """Return a stage's event as one of the whole search, with the architecture so far."""
        step, total = self._before() + event.step, sum(self._sizes.values())
        architecture, message = stage.architecture(), event.message or self._name
        rejected = self._plan.refuse(architecture) if architecture and step == total else None
        if rejected is not None:
            message += f"; the evaluator would refuse this network: {rejected.reason}"
        return evolve(
            event,
            step=step,
            total=total,
            scalars={**event.scalars, **stage.scalars()},
            architecture=architecture,
            message=message,
        )

    def _before(self) -> int:
        """Return how many steps the stages before this one have."""
        names = list(self._sizes)
        return sum(self._sizes[name] for name in names[: names.index(self._name)])

    def _make(self, name: str) -> Stage:
        self._name = name
        phases = {phase.name: phase for phase in self._plan.phases}
        self._stage = self._make_phase(phases[name]) if name in phases else self._make_ranking()
        return self._stage

    def _make_phase(self, phase: PhasePlan) -> Stage:
        step = OneShotStep(
            self._supernet,
            self._logits,
            phase.supervision,
            self._terms,
            self._plan.learning,
            steps=phase.steps if phase.learns else None,
            learning_rate=phase.learning_rate,
            seed=derive_seed(self._seed, phase.name, "draws"),
            device=self._device,
        )
        # What the architecture learns from must be new to the weights, also before it learns.
        parts: tuple[Part, ...] = ("weights", "architecture") if phase.learns else ("weights",)
        training = Training(
            step,
            [self._stream(phase.supervision, part, phase.name) for part in parts],
            steps=phase.steps,
            schedule=phase.schedule,
            report_every=phase.report_every,
            threads=phase.threads,
        )
        return TrainingStage(step, training, None if self._plan.ranking else self._logits)

    def _make_ranking(self) -> Stage:
        assert self._plan.ranking is not None  # it is among the stages
        module_of(self._supernet).to(self._device).train()
        return Ranking(
            self._space,
            self._supernet,
            self._plan.supervision,
            self._terms,
            self._plan.ranking,
            self._plan.refuse,
            self._stream(self._plan.supervision, "architecture", RANKING),
            seed=derive_seed(self._seed, RANKING),
            device=self._device,
        )

    def _stream(self, supervision: Supervision, part: Part, stage: str) -> Stream:
        return supervision.stream(
            part,
            split=derive_seed(self._seed, "halves"),
            seed=derive_seed(self._seed, stage, part, "patches"),
            device=self._device,
        )

    def state(self) -> State:
        """Return the name and the state of the stage under way; tensors are not copied."""
        stage = self._begin()
        return {"stage": self._name, "state": stage.state()}

    def restore(self, state: State) -> None:
        """Continue inside the stage that the state is of.

        Raises:
            ResumeError: The state is of a version that had other stages.
        """
        if state.get("stage") not in self._sizes:
            raise ResumeError(
                "the checkpoint is of another version of this search, and cannot be continued; "
                "begin anew in another folder, with --out, or finish it with the version of "
                "CoreNAS that began it"
            )
        self._make(state["stage"]).restore(state["state"])

    def result(self, folder: Path) -> Result:
        """Return the architecture so far, and its network as ``inherited``.

        There are no trials. The loss is the last one reported. It is that of the supernet's
        mixture, summed over the points of a step, and not of this network alone, unless it was
        ranked.
        """
        stage = self._stage
        if stage is None:
            return SearchResult(counts={"steps": 0}, quantities=self.quantities).to_result()
        counts, architecture = stage.counts(), stage.architecture()
        found = SearchResult(
            counts={**counts, "steps": self._before() + counts["steps"]},
            quantities=self.quantities,
        )
        if architecture is None:
            return found.to_result()
        return evolve(
            found,
            chosen=architecture,
            measurement=self._measurement(stage, architecture),
            files=self._save(architecture, folder),
        ).to_result()

    def _measurement(self, stage: Stage, architecture: Architecture) -> Measurement:
        with torch.device("meta"):
            network = self._space.build(architecture)
        cost = count(network, self._plan.supervision.shape)
        numbers = {"mult_adds": cost.mult_adds, "params": cost.params, **stage.measurement()}
        return Measurement(numbers)

    def _save(self, architecture: Architecture, folder: Path) -> dict[str, str]:
        name = f"{self._space.name}-inherited.safetensors"
        self._plan.supervision.save(
            folder / name,
            self._supernet.inherit(architecture),
            space=chosen_space(self._space),
            architecture=architecture,
        )
        return {"inherited": name}


def chosen_space(space: SearchSpace) -> Chosen:
    """Return a built space as it is chosen in a configuration: a model file needs that.

    Raises:
        UnknownName: No component has the space's name.
    """
    chosen = choose("search_spaces", space.name)
    return evolve(chosen, config=getattr(space, "config", chosen.config))
