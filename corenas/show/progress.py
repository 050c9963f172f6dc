"""How far a run is, told from its events, and numbers as people read them."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, define

from corenas.values.fidelity import format_share
from corenas.values.quantity import Quantity
from corenas.values.ranking import ranked
from corenas.values.trial import Event, Trial

BEST = 5
"""How many of the best trials a stage remembers."""

DETAIL = "/"
"""In the names of scalars that are journaled for plots and not shown, such as ``path/0001``."""

# So the rate follows a change of speed, and one slow trial does not make it jump.
_RECENT_EVENTS = 50
_SI_UNITS = ((1e3, "K", 1), (1e6, "M", 2), (1e9, "G", 2), (1e12, "T", 2))
_TIME_UNITS = ((1, "s"), (60, "min"), (3600, "h"))


@define
class StageProgress:
    """What is known of one stage so far. Times are seconds of any one clock.

    ``counts`` holds the trials by status; ``running`` the numbers of those that have begun only;
    ``rungs`` the finished ones by their share of the full training; ``repeated`` is how many have
    an earlier one's measurement; ``latest`` is the last epoch that named an architecture;
    ``quantities`` what is known of the numbers that they measure, by name.
    """

    name: str
    note: str = ""
    began: float = 0.0
    ended: float | None = None
    step: int = 0
    total: int = 0
    finished: bool = False
    scalars: dict[str, float] = Factory(dict)
    message: str = ""
    best: list[Trial] = Factory(list)
    counts: Counter[str] = Factory(Counter)
    running: set[int] = Factory(set)
    rungs: Counter[float] = Factory(Counter)
    repeated: int = 0
    failure: str = ""
    latest: Event | None = None
    quantities: dict[str, Quantity] = Factory(dict)
    _recent: deque[tuple[float, int]] = Factory(lambda: deque(maxlen=_RECENT_EVENTS))

    def begin(self, note: str, now: float) -> None:
        """Begin in this session: rate and time count from here."""
        self.note, self.began, self.ended = note, now, None
        self._recent.append((now, self.step))

    def take(self, event: Event, now: float) -> bool:
        """Take in an event; return whether its trial is the best so far."""
        self.step, self.total = event.step, event.total or self.total
        if event.kind == "stage":
            self.finished = event.message == "finished"
            self.ended = now if self.finished else None
            self.quantities |= {quantity.name: quantity for quantity in event.quantities}
        elif event.kind == "started":
            self.running.add(int(event.scalars.get("number", event.step)))
        elif event.kind == "failed" and event.trial is None:
            self.counts["failed"] += 1
            self.failure = event.message
        else:
            self.scalars.update({n: v for n, v in event.scalars.items() if DETAIL not in n})
            # What an epoch says holds until the next one, which may have nothing to say.
            if event.message or event.kind == "epoch":
                self.message = event.message
            if event.kind == "epoch" and event.architecture is not None:
                self.latest = event
        if event.trial is not None:
            self._add_trial(event.trial)
        # Not before `begin`: events of earlier sessions took their time then.
        if self._recent:
            self._recent.append((now, self.step))
        return event.trial is not None and self.best[:1] == [event.trial]

    def _add_trial(self, trial: Trial) -> None:
        self.running.discard(trial.number)
        self.counts[trial.status] += 1
        if trial.status == "failed":
            self.failure = f"trial {trial.number}: {trial.reason}"
        if trial.status == "finished":
            self.rungs[trial.fidelity] += 1
            self.repeated += trial.repeats is not None
        if trial.status == "finished" and trial.score is not None:
            self.best = ranked(self.best, trial, most=BEST)

    def rate(self) -> float | None:
        """Return the recent steps per second; None before there are any."""
        if not self._recent:
            return None
        (since, first), (until, last) = self._recent[0], self._recent[-1]
        return (last - first) / (until - since) if until > since and last > first else None

    def seconds_left(self, now: float) -> float | None:
        """Return the time until the last step at the recent rate; None where it is unknown."""
        rate = self.rate()
        if rate is None or not self.total:
            return None
        # Less what has passed since the last event, so that the clock runs between two of them.
        return max(0.0, (self.total - self.step) / rate - (now - self._recent[-1][0]))

    @property
    def worked(self) -> bool:
        """Whether anything happened in this session."""
        return len(self._recent) > 1

    def position(self) -> str:
        """Return ``412/1000``, or the step alone where there is no last one."""
        return f"{self.step}/{self.total}" if self.total else str(self.step)

    def tally(self) -> Iterator[tuple[int, str]]:
        """Iterate over how many trials ended in which way, and how many are running."""
        for status in ("finished", "rejected", "failed"):
            if self.counts[status]:
                yield self.counts[status], status
        if self.repeated:
            yield self.repeated, "of them repeated"
        if self.running and not self.finished and self.ended is None:
            yield len(self.running), "running"

    def climbed(self) -> str:
        """Return ``27 at 1/9, 9 at 1/3, 3 at all``; nothing where all trials were in full."""
        if all(fidelity >= 1 for fidelity in self.rungs):
            return ""
        return ", ".join(f"{self.rungs[f]} at {format_share(f)}" for f in sorted(self.rungs))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` turns back into this progress, but for the times.

        Its size does not depend on how many events there were.
        """
        return {
            "name": self.name,
            "step": self.step,
            "total": self.total,
            "finished": self.finished,
            "scalars": {n: value for n, value in self.scalars.items() if math.isfinite(value)},
            "message": self.message,
            "best": [trial.to_json() for trial in self.best],
            "counts": dict(self.counts),
            "running": sorted(self.running),
            "rungs": list(self.rungs.items()),
            "repeated": self.repeated,
            "failure": self.failure,
            "latest": self.latest and self.latest.to_json(),
            "quantities": [quantity.to_json() for quantity in self.quantities.values()],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StageProgress:
        """Read what `to_json` wrote."""
        quantities = map(Quantity.from_json, value["quantities"])
        return cls(
            value["name"],
            step=value["step"],
            total=value["total"],
            finished=value["finished"],
            scalars=dict(value["scalars"]),
            message=value["message"],
            best=list(map(Trial.from_json, value["best"])),
            counts=Counter(value["counts"]),
            running=set(value["running"]),
            rungs=Counter(dict(value["rungs"])),
            repeated=value["repeated"],
            failure=value["failure"],
            latest=value["latest"] and Event.from_json(value["latest"]),
            quantities={quantity.name: quantity for quantity in quantities},
        )


class Standing:
    """How far each stage of a run is, in the order in which they began."""

    def __init__(self, stages: Iterable[StageProgress] = ()) -> None:
        self._stages = {stage.name: stage for stage in stages}

    @property
    def stages(self) -> list[StageProgress]:
        """The stages that had an event."""
        return list(self._stages.values())

    def take(self, event: Event) -> None:
        """Take in an event."""
        # No clock: what counts here is the state, not the pace.
        self.of(event.stage).take(event, 0.0)

    def of(self, stage: str) -> StageProgress:
        """Return the progress of a stage, which may not have begun."""
        return self._stages.setdefault(stage, StageProgress(stage))

    def to_json(self) -> list[dict[str, Any]]:
        """Return what `from_json` turns back into an equal one."""
        return [stage.to_json() for stage in self._stages.values()]

    @classmethod
    def from_json(cls, value: Iterable[Mapping[str, Any]]) -> Standing:
        """Read what `to_json` wrote."""
        return cls(map(StageProgress.from_json, value))


@define
class RunProgress:
    """The stages of a run, in the order in which they began in this session."""

    stages: list[StageProgress] = Factory(list)
    current: StageProgress | None = None
    _known: dict[str, StageProgress] = Factory(dict)

    def recall(self, earlier: Iterable[StageProgress]) -> None:
        """Take in what earlier sessions did; from here on it is this object's own."""
        self._known |= {stage.name: stage for stage in earlier}

    def begin(self, name: str, note: str, now: float) -> StageProgress:
        """Begin a stage; the one before it is over."""
        self.end(now)
        stage = self._stage_named(name)
        stage.begin(note, now)
        self.current = stage
        self.stages = [s for s in self.stages if s is not stage] + [stage]
        return stage

    def end(self, now: float) -> StageProgress | None:
        """End the stage in progress and return it."""
        stage, self.current = self.current, None
        if stage is not None and stage.ended is None:
            stage.ended = now
        return stage

    def take(self, event: Event, now: float) -> bool:
        """Take in an event; return whether its trial is the best one of the stage in progress."""
        stage = self._stage_named(event.stage)
        return stage.take(event, now) and stage is self.current

    def _stage_named(self, name: str) -> StageProgress:
        return self._known.setdefault(name, StageProgress(name))


def trial_numbers(trial: Trial) -> dict[str, str]:
    """Return score and metrics of a trial as text, in the order of the measurement."""
    metrics = trial.measurement.metrics if trial.measurement else {}
    return {name: format_number(value) for name, value in {"score": trial.score, **metrics}.items()}


def format_number(value: float | None) -> str:
    """Return a number as people read it: ``13.95 G``, ``60.8 K``, ``34.12``, ``1.5e-05``.

    From 10^4 on it has an SI suffix. Below that an integer stays whole, and anything else has four
    significant digits. None is a dash.
    """
    if value is None:
        return "–"
    size = abs(value)
    if 1e4 <= size < 1e15:
        return _with_suffix(value)
    # Neither infinity nor NaN is below it, so int() cannot fail.
    if size < 1e4 and value == int(value):
        return str(int(value))
    return f"{value:#.4g}".rstrip(".") if 1e-3 <= size < 1e4 else f"{value:.4g}"


def _with_suffix(value: float) -> str:
    fitting = (unit for unit in _SI_UNITS if abs(round(value / unit[0], unit[2])) < 1000)
    factor, suffix, digits = next(fitting, _SI_UNITS[-1])
    return f"{value / factor:.{digits}f} {suffix}"


def format_duration(seconds: float) -> str:
    """Return ``12 s``, ``3:12``, ``1:03:12`` or ``2 d 3 h``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 86400} d {whole // 3600 % 24} h"


def format_rate(per_second: float) -> str:
    """Return a rate in the smallest unit of time that makes it at least one: ``3.1/min``."""
    fitting = (unit for unit in _TIME_UNITS if per_second * unit[0] >= 1)
    seconds, name = next(fitting, _TIME_UNITS[-1])
    value = per_second * seconds
    # From there on one decimal would be rounded to 10.0.
    return f"{value:.0f}/{name}" if value >= 9.95 else f"{value:.1f}/{name}"
