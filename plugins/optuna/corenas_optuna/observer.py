"""The observer ``optuna-storage``: a run's trials in a storage that optuna-dashboard shows.

Where trials go says the environment variable ``CORENAS_OPTUNA_STORAGE``: a URL such as
``sqlite:///runs.db``, or the path of a journal file. Without it nothing happens, and Optuna is not
imported.
"""

from __future__ import annotations

import os
import uuid
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from corenas.values.trial import Event

if TYPE_CHECKING:
    from corenas.runs.run import Run
    from corenas_optuna.storage import Mirror, Stage

VARIABLE = "CORENAS_OPTUNA_STORAGE"


class StorageObserver:
    """Observes one run.

    Args:
        address: Where its trials go.
        run: The run; its folder keeps the name of its studies, which is another one for each run.
    """

    def __init__(self, address: str, run: Run) -> None:
        from corenas_optuna.storage import Mirror

        self._run = run
        self._name = run.remember("optuna-study", partial(_new_name, run.folder.name))
        self._mirror: Mirror = Mirror(address, run.say)
        self._stages: dict[str, Stage] = {}

    def observe(self, event: Event) -> None:
        """Take in an event; a stage's first trial brings those that the journal has already."""
        if event.trial is None:
            return
        if event.stage not in self._stages:
            self._stages[event.stage] = self._begin(event.stage)
        self._mirror.add(self._stages[event.stage], event.trial)

    def _begin(self, name: str) -> Stage:
        from corenas_optuna.storage import Stage

        decisions = self._run.decisions.get(name, ())
        stage = Stage(f"{self._name}/{name}", decisions, partial(self._run.events, name))
        self._mirror.begin(stage)
        return stage

    def close(self) -> None:
        """Wait until all is written."""
        self._mirror.close()


def _new_name(folder: str) -> str:
    return f"{folder}-{uuid.uuid4().hex[:8]}"


_observers: dict[Run, StorageObserver] = {}
"""By their runs, of which a process has one or a few."""


def observe(run: Run, event: Event) -> None:
    """Show an event to the observer of its run, where there is one."""
    address = os.environ.get(VARIABLE, "")
    if not address or event.trial is None:
        return
    if find_spec("optuna") is None:
        raise ModuleNotFoundError(f"{VARIABLE} is set, and needs corenas[optuna]")
    if run not in _observers:
        _observers[run] = StorageObserver(address, run)
    _observers[run].observe(event)
