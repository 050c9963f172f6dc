"""Optuna's samplers as a `corenas.Sampler`: a study in memory, whose state is its history."""

from __future__ import annotations

from collections import Counter
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture
from corenas.values.result import State
from corenas.values.seeds import derive_seed
from corenas.values.trial import Trial
from corenas_optuna._aims import Aims
from corenas_optuna._steering import MakeSampler, Steering, distributions_of

_SEEDS = 2**32
"""How many seeds Optuna's samplers tell apart."""

_STATES = {
    "running": TrialState.RUNNING,
    "finished": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "rejected": TrialState.PRUNED,
}


class OptunaSampler:
    """Asks an Optuna study for architectures, and tells it how every one of them ended.

    For each ask Optuna's sampler is a new one, with a seed from the search's and the number of the
    ask. So all that the next candidate depends on is the study's history: what was asked, how it
    ended, and the marks that Optuna made on trials and study, such as generations.

    Args:
        make: Makes Optuna's sampler.
        aims: What counts.
        space: What is searched.
        seed: The search's.
    """

    def __init__(self, make: MakeSampler, aims: Aims, space: SearchSpace, seed: int) -> None:
        self._make = make
        self._aims = aims
        self._space = space
        self._seed = seed
        self._distributions: dict[str, BaseDistribution] = distributions_of(space)
        self._positions = {
            each.name: {option: number for number, option in enumerate(each.options)}
            for each in space.decisions
        }
        self._begin()

    def _begin(self) -> None:
        """Begin an empty study."""
        self._history: list[dict[str, Any]] = []
        self._open: dict[int, Architecture] = {}
        self._counts: Counter[str] = Counter()
        self._steering = Steering(self._make, self._space)
        self._storage = InMemoryStorage()
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell its random name
        try:
            self._study = optuna.create_study(
                storage=self._storage, sampler=self._steering, directions=self._aims.directions
            )
        finally:
            optuna.logging.set_verbosity(level)
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)

    def ask(self) -> Architecture:
        """Let Optuna's sampler draw, knowing of all trials in flight."""
        number = len(self._history)
        self._steering.begin(derive_seed(self._seed, "ask", str(number)) % _SEEDS)
        self._study.ask(self._distributions)
        architecture = self._steering.drawn
        marks = self._storage.get_trial_system_attrs(self._id(number))
        self._remember(architecture, marks)
        self._open[number] = architecture
        return architecture

    def tell(self, trial: Trial) -> None:
        """Tell the study what was measured; what it has not asked for is added to it.

        Where a quantity that counts is missing, the study has it as a failed trial.

        Raises:
            ValueError: The trial has no score.
        """
        if trial.score is None:
            raise ValueError(f"trial {trial.number} is {trial.status} and has no score")
        values = self._aims.values(trial)
        self._conclude(trial, "finished" if values else "failed", values)

    def drop(self, trial: Trial) -> None:
        """Tell the study that a candidate was rejected, or that its evaluation failed."""
        self._conclude(trial, trial.status, [])

    def _conclude(self, trial: Trial, status: str, values: list[float]) -> None:
        number = self._find_open(trial.architecture)
        excess = self._aims.excess(trial)
        if number is None:
            self._remember(trial.architecture, {}, status=status, values=values, excess=excess)
            self._add(self._history[-1])
            self._counts[status] += 1
            return
        end = {"status": status, "values": values, "excess": excess}
        self._history[number] = {**self._history[number], **end}
        del self._open[number]
        # Optuna sets a constraint on a trial that it made itself, which a resumed one is not.
        for key, mark in _constraint_marks(excess).items():
            self._storage.set_trial_system_attr(self._id(number), key, mark)
        self._study.tell(number, values or None, _STATES[status])
        self._counts[status] += 1

    def _find_open(self, architecture: Architecture) -> int | None:
        """Return the oldest ask for an architecture that has not been answered."""
        return next((n for n, asked in self._open.items() if asked == architecture), None)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _remember(
        self,
        architecture: Architecture,
        marks: dict[str, Any],
        *,
        status: str = "running",
        values: list[float] | None = None,
        excess: dict[str, float] | None = None,
    ) -> None:
        self._history.append(
            {
                "options": [self._positions[name][option] for name, option in architecture.choices],
                "marks": dict(marks),
                "status": status,
                "values": values or [],
                "excess": excess or {},
            }
        )

    def _add(self, record: dict[str, Any]) -> None:
        """Add a trial to the study as it stands in the history."""
        self._study.add_trial(
            create_trial(
                state=_STATES[record["status"]],
                values=record["values"] or None,
                params=dict(self._architecture(record).choices),
                distributions=self._distributions,
                system_attrs=dict(record["marks"]),
                constraints=record["excess"],
            )
        )

    def _architecture(self, record: dict[str, Any]) -> Architecture:
        chosen = zip(self._space.decisions, record["options"], strict=True)
        return Architecture(self._space.name, {d.name: d.options[n] for d, n in chosen})

    def scalars(self) -> dict[str, float]:
        """Return how many candidates were finished, rejected and failed, as the study has them."""
        return {
            f"study_{status}": float(self._counts[status])
            for status in ("finished", "rejected", "failed")
        }

    def state(self) -> State:
        """Return the history: what was asked, in which order, and how it ended."""
        marks = self._storage.get_study_system_attrs(self._study_id)
        return {"seed": self._seed, "history": list(self._history), "marks": dict(marks)}

    def restore(self, state: State) -> None:
        """Continue from a state: a new study is given the history."""
        self._begin()
        self._seed = state["seed"]
        for record in state["history"]:
            if record["status"] == "running":
                self._open[len(self._history)] = self._architecture(record)
            self._counts[record["status"]] += 1
            self._history.append(record)
            self._add(record)
        for key, mark in state["marks"].items():
            self._storage.set_study_system_attr(self._study_id, key, mark)


def _constraint_marks(excess: dict[str, float]) -> dict[str, Any]:
    """Return the marks by which Optuna knows a trial's constraints."""
    if not excess:
        return {}
    return create_trial(state=TrialState.FAIL, constraints=excess).system_attrs
