"""Writes a run's trials into a storage of Optuna, in a thread of its own."""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from attrs import frozen
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from corenas.values.architecture import Decision
from corenas.values.trial import Event, Trial

NUMBER = "corenas:number"
"""The attribute that holds a trial's number in the run."""

LAST_WORDS = 30.0
"""Seconds that the process waits at its end for what is not written yet."""

_STATES = {
    "finished": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "rejected": TrialState.PRUNED,
}


def open_storage(address: str) -> BaseStorage:
    """Open ``sqlite:///runs.db``, another URL that SQLAlchemy knows, or a journal file's path."""
    if "://" in address:
        return RDBStorage(address)
    return JournalStorage(JournalFileBackend(address))


@frozen
class Stage:
    """A stage of a run, as the storage has it: a study of its own.

    Args:
        study: The study's name.
        decisions: Those of the space that is searched; none where they are not known.
        earlier: Returns the events that the journal has already.
    """

    study: str
    decisions: Sequence[Decision]
    earlier: Callable[[], Sequence[Event]]


class Mirror:
    """Copies trials into a storage: each once, also after a resume; a failing storage is left.

    Everything that touches the storage happens in one thread, so a slow one holds nobody up.

    Args:
        address: See `open_storage`.
        say: Tells the user that it is given up, and why; called once at most.
    """

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        self._address = address
        self._say = say
        self._waiting: queue.SimpleQueue[tuple[Stage, Trial | None] | None] = queue.SimpleQueue()
        self._studies: dict[str, tuple[optuna.Study, set[int]]] = {}
        self._failed = False
        # A daemon: a storage that hangs must not keep the process; `close` waits for the others.
        self._thread = threading.Thread(target=self._work, name="optuna-storage", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def begin(self, stage: Stage) -> None:
        """Have all that the stage's journal holds written, but for what is there already."""
        self._waiting.put((stage, None))

    def add(self, stage: Stage, trial: Trial) -> None:
        """Have a trial written."""
        self._waiting.put((stage, trial))

    def close(self, seconds: float = LAST_WORDS) -> None:
        """Wait until all is written, at most so many seconds."""
        atexit.unregister(self.close)
        self._waiting.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        """Write what is waiting; after a failure only take it away."""
        while (task := self._waiting.get()) is not None:
            if self._failed:
                continue
            try:
                self._write(*task)
            # Whatever a storage raises: a locked file, a lost server, a full disk.
            except Exception as error:
                self._failed = True
                self._say(
                    f"optuna-storage {_hide_password(self._address)}: nothing more is written "
                    f"there ({type(error).__name__}: {_first_line(error)}); the run goes on"
                )

    def _write(self, stage: Stage, trial: Trial | None) -> None:
        study, known = self._open(stage)
        trials = [trial] if trial else [e.trial for e in stage.earlier() if e.trial is not None]
        for each in trials:
            if each.number not in known:
                study.add_trial(mirrored(each, stage.decisions))
                known.add(each.number)

    def _open(self, stage: Stage) -> tuple[optuna.Study, set[int]]:
        if stage.study not in self._studies:
            with _quiet():
                study = optuna.create_study(
                    storage=open_storage(self._address),
                    study_name=stage.study,
                    direction="maximize",
                    load_if_exists=True,
                )
            known = {t.user_attrs[NUMBER] for t in study.get_trials(deepcopy=False)}
            self._studies[stage.study] = study, known
        return self._studies[stage.study]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling what it creates, among the lines of the live screen."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def mirrored(trial: Trial, decisions: Sequence[Decision]) -> FrozenTrial:
    """Return a trial as Optuna has it.

    Its value is the score, its parameters are the decisions, and what else is known of it are its
    attributes: number, architecture, metrics, seconds, and why it was rejected or failed.
    """
    distributions: Mapping[str, BaseDistribution] = {
        each.name: CategoricalDistribution(each.options) for each in decisions
    }
    attributes: dict[str, Any] = {NUMBER: trial.number, "architecture": trial.architecture.id}
    if trial.measurement is not None:
        attributes |= trial.measurement.to_json()["metrics"]
        attributes["seconds"] = trial.measurement.seconds
    if trial.reason:
        attributes["reason"] = trial.reason
    return create_trial(
        state=_STATES[trial.status],
        value=trial.score,
        params={name: trial.architecture[name] for name in distributions},
        distributions=dict(distributions),
        user_attrs=attributes,
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def _hide_password(address: str) -> str:
    """Return an address without what stands before its ``@``."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if separator and "@" in rest else address
