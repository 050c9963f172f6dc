"""The one training loop: order, schedule, guard against NaN, events, and resume inside a stage.

A training can end at a share of its steps, and go on from there in another process.
"""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from attrs import asdict, frozen
from torch import Tensor, nn

from corenas.devices import cpu_threads
from corenas.errors import Diverged
from corenas.training.config import TrainingConfig
from corenas.training.schedules import Pace, Schedule, schedule_of
from corenas.training.step import Stream, TrainingStep
from corenas.values.fidelity import Share
from corenas.values.result import Result, State, finite
from corenas.values.trial import Event

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Measures a network; returns numbers by name."""

Save = Callable[[nn.Module, Path], Mapping[str, str]]
"""Writes a network into a folder; returns file names by purpose."""

Score = Callable[[Mapping[str, float]], float]
"""Turns the values of a validation into a number that is higher for a better network."""


@frozen
class _Kept:
    """The network as it was when a validation gave its highest score so far."""

    score: float
    step: int
    scalars: Mapping[str, float]
    tensors: Mapping[str, Tensor]


class Training:
    """A training as a task: draws batches, drives a `TrainingStep`, reports mean scalars.

    Args:
        step: What is trained, and how.
        streams: One batch of each goes into every step.
        steps: How many optimiser steps.
        schedule: Steers the learning rates of all optimisers.
        report_every: Steps from one event to the next.
        validate: Measures the deliverable, every ``validate_every`` steps and at the end.
        validate_every: 0 means only at the end.
        save: Writes the deliverable into a folder; returns file names by purpose.
        keep: Scores each validation. The result is then the network that scored highest, of equals
            the earliest; before any did, and without ``keep``, it is the newest one.
        threads: How many CPU threads torch may use while it trains and validates; between two
            events it is as many as outside.
        pace: Fits the steps into a time: they are then those of a plan, of which each that is done
            counts for more or less than one.
    """

    def __init__(
        self,
        step: TrainingStep,
        streams: Sequence[Stream],
        *,
        steps: int,
        schedule: Schedule,
        report_every: int = 100,
        validate: Validate = lambda module: {},
        validate_every: int = 0,
        save: Save = lambda module, folder: {},
        keep: Score | None = None,
        threads: int = 1,
        pace: Pace | None = None,
    ) -> None:
        self._threads = threads
        self._timed = pace
        self._step = step
        self._streams = streams
        self._steps = steps
        self._schedule = schedule
        self._report_every = report_every
        self._validate = validate
        self._validate_every = validate_every
        self._save = save
        self._keep = keep
        self._done = 0
        self._pace = 1.0
        self._scalars: dict[str, float] = {}
        self._kept: _Kept | None = None

    @classmethod
    def of(
        cls,
        config: TrainingConfig,
        step: TrainingStep,
        streams: Sequence[Stream],
        *,
        validate: Validate = lambda module: {},
        save: Save = lambda module, folder: {},
        keep: Score | None = None,
        pace: Pace | None = None,
    ) -> Training:
        """Return a training as the options say; the rest is as above.

        Batch size and learning rate are not read here: the streams and the step have them already.
        """
        return cls(
            step,
            streams,
            steps=config.steps,
            schedule=schedule_of(config),
            report_every=config.report_every,
            validate=validate,
            validate_every=config.validate_every,
            save=save,
            keep=keep,
            threads=config.threads,
            pace=pace,
        )

    @property
    def steps(self) -> int:
        """How many optimiser steps the full training has."""
        return self._steps

    @property
    def updates(self) -> int:
        """How many steps were done."""
        return self._done

    def events(self, until: int | None = None, *, annealed: bool = False) -> Iterator[Event]:
        """Train; yield an ``epoch`` event every so many steps.

        Args:
            until: The step to train up to; by default the last one. Called again, the training goes
                on from there.
            annealed: Whether the schedule comes to its end at that step; by default it is followed
                as far as that.

        Raises:
            Diverged: The scalars since the last event are not all finite.
        """
        last = self._steps if until is None else min(until, self._steps)
        self._pace = self._steps / last if annealed else 1.0
        while self._at < last:
            with cpu_threads(self._threads):
                remark = self._train_and_measure(last)
            yield Event("epoch", self._at, self._steps, self._scalars, message=remark)

    @property
    def _at(self) -> int:
        """The step of the plan that the training is at."""
        # Rounded: a sum of parts may be a little less than the last step.
        return self._done if self._timed is None else math.floor(self._timed.position + 1e-6)

    def _train_and_measure(self, last: int) -> str:
        """Do the work up to the next event; return the step's remark on it."""
        first = self._at
        if self._timed is not None:
            self._timed.begin()
        self._scalars = self._train(min(last, first + self._report_every))
        remark = self._step.remark(self._scalars)
        if self._validation_due(first):
            self._measure()
        if self._timed is not None:
            self._timed.end()
        return remark

    def _train(self, until: int) -> dict[str, float]:
        """Train up to a step; return the mean of each scalar, read from the device once."""
        first, begun = self._at, self._done
        sums: dict[str, Tensor] = {}
        while self._at < until:
            self._set_rates(self._schedule(self._position * self._pace))
            scalars = self._step.step([stream.next_batch() for stream in self._streams])
            for name, value in scalars.items():
                # Summed on the device: reading each step's value would make a GPU wait.
                sums[name] = sums[name] + value if name in sums else value
            self._done += 1
            if self._timed is not None:
                self._timed.step()
        means = {name: float(total) / (self._done - begun) for name, total in sums.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise Diverged(
                    f"{name} became {mean} between steps {first} and {until}; a smaller "
                    "learning_rate may help"
                )
        return means

    @property
    def _position(self) -> float:
        return self._done if self._timed is None else self._timed.position

    def _set_rates(self, factor: float) -> None:
        for optimiser in self._step.optimisers:
            for group in optimiser.param_groups:
                rate = group["initial_lr"] * factor
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)  # a captured CUDA graph reads it from there
                else:
                    group["lr"] = rate

    def _validation_due(self, first: int) -> bool:
        every = self._validate_every
        # An event may end between two multiples; the first event at or after one is due.
        return self._at == self._steps or bool(every and self._at // every > first // every)

    def _measure(self) -> None:
        """Validate the deliverable, and keep it if it is the best so far."""
        with torch.no_grad():
            values = self._validate(self._step.deliverable())
        self._scalars |= values
        if self._keep is None:
            return
        score = self._keep(values)
        if score > (self._kept.score if self._kept else -math.inf):
            state = self._step.deliverable().state_dict()
            # A copy, as the next step writes into these tensors; on the CPU, to spare the GPU's.
            tensors = {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}
            self._kept = _Kept(score, self._at, self._scalars, tensors)

    def deliverable(self) -> nn.Module:
        """Return the network that the training is for, as it is now."""
        return self._step.deliverable()

    def state(self) -> State:
        """Return the states of step and streams, how far the training is, and what is kept."""
        state = {
            "done": self._done,
            "scalars": self._scalars,
            "step": self._step.state(),
            "streams": [stream.state() for stream in self._streams],
        }
        if self._timed is not None:
            state["pace"] = self._timed.state()
        return state if self._kept is None else {**state, "kept": asdict(self._kept, recurse=False)}

    def restore(self, state: State) -> None:
        """Continue from a state, to the same result as without the interruption."""
        self._done = state["done"]
        self._scalars = state["scalars"]
        self._step.restore(state["step"])
        for stream, saved in zip(self._streams, state["streams"], strict=True):
            stream.restore(saved)
        if self._timed is not None:
            self._timed.restore(state["pace"])
        self._kept = _Kept(**state["kept"]) if "kept" in state else None

    def result(self, folder: Path) -> Result:
        """Return the scalars of the network that counts, and its files.

        Without ``keep`` it is the newest one. With it, ``kept_step`` tells of which step it is.
        With a pace, steps are those of its plan, and ``updates`` is how many were done for them.
        """
        values: dict[str, Any] = {"steps": self._at, "scalars": finite(self._scalars)}
        if self._timed is not None:
            values["updates"] = self._done
        if self._kept is None:
            return Result(values, self._save(self._step.deliverable(), folder))
        values |= {"kept_step": self._kept.step, "scalars": finite(self._kept.scalars)}
        # A copy, because a result may be asked for at any event, and the training goes on after it.
        network = copy.deepcopy(self._step.deliverable())
        network.load_state_dict(self._kept.tensors)
        return Result(values, self._save(network, folder))


class Stoppable(Protocol):
    """A training that can end before its last step: `Training` and `PhasedTraining` are two."""

    @property
    def steps(self) -> int:
        """How many optimiser steps the full training has."""

    def events(self, until: int | None = None, *, annealed: bool = False) -> Iterator[Event]:
        """Train up to a step; see `Training.events`."""

    def state(self) -> State:
        """Return everything that the next step depends on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


def train_share(training: Stoppable, share: Share) -> Iterator[Event]:
    """Train up to a share, from what an earlier job left or else from the beginning.

    On the CPU both give the same weights bit for bit, unless the share is annealed.

    Args:
        training: A new one, of the full number of steps.
        share: How far, and from where.
    """
    if share.state:
        training.restore(_read(share.state))
    yield from training.events(share.steps(training.steps), annealed=share.annealed)


def what_is_left(training: Stoppable, share: Share) -> bytes:
    """Return what a later job goes on from, for `Outcome.state`; nothing after a full training."""
    if share.is_full:
        return b""
    buffer = io.BytesIO()
    torch.save(training.state(), buffer)
    return buffer.getvalue()


def _read(state: bytes) -> State:
    # To the CPU: the device it was on may be another worker's.
    loaded: State = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    return loaded
