"""The tracker ``optuna-storage``: a run's trials in a storage that optuna-dashboard shows."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from corenas.errors import ConfigError, CorenasError
from corenas.runs.journal import Entry
from corenas.tracking.tracker import State, Tracked, flat_numbers
from corenas.values.architecture import Decision
from corenas.values.trial import Trial
from corenas_optuna.config import StorageConfig

NUMBER = "corenas:number"
"""The attribute that holds a trial's number in the run."""

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


class StorageTracker:
    """Copies trials into a storage, each once: what is there already is known by its number.

    Each search of a run is a study of its own, with the run's options and results as attributes.
    The mark names the searches that have one.
    """

    def __init__(self, config: StorageConfig) -> None:
        if not config.address:
            raise ConfigError(
                "track.optuna-storage.address: give a URL such as sqlite:///runs.db, or the path "
                "of a journal file"
            )
        self._address = config.address
        self._studies: dict[str, tuple[optuna.Study, set[int]]] = {}

    def begin(self, run: Tracked) -> None:
        """Remember the run, whose studies are named after it, and the searches that have one."""
        self._run = run
        self._stages = set[str](run.mark["stages"] if run.mark else ())
        # Not the folder alone: two runs may have one name.
        own = hashlib.sha256(run.identity.encode()).hexdigest()[:8]
        self._name = f"{run.folder.resolve().name}-{own}"

    def log(self, entry: Entry) -> None:
        """Write a trial.

        Raises:
            CorenasError: The storage fails.
        """
        trial, stage = entry.event.trial, entry.event.stage
        if trial is None:
            return
        with self._writing():
            study, known = self._open(stage)
            if trial.number not in known:
                study.add_trial(mirrored(trial, self._run.decisions(stage)))
                known.add(trial.number)

    def picture(self, name: str, file: Path) -> None:
        """Leave pictures out: Optuna has no place for those of a run."""

    def flush(self) -> dict[str, Any]:
        """Return the searches that have a study; every trial is written at once."""
        return {"stages": sorted(self._stages)}

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Write the results beside the options.

        Raises:
            CorenasError: The storage fails.
        """
        if state != "finished":
            return
        with self._writing():
            for stage in sorted(self._stages):
                self._open(stage)[0].set_user_attr("results", flat_numbers(summary))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except CorenasError:
            raise
        # Whatever a storage raises: a locked file, a lost server, a full disk.
        except Exception as error:
            raise CorenasError(
                f"{_hide_password(self._address)}: {type(error).__name__}: {_first_line(error)}"
            ) from error

    def _open(self, stage: str) -> tuple[optuna.Study, set[int]]:
        if stage not in self._studies:
            with _quiet():
                study = self._find_or_create(stage)
            known = {t.user_attrs[NUMBER] for t in study.get_trials(deepcopy=False)}
            self._studies[stage] = study, known
            self._stages.add(stage)
        return self._studies[stage]

    def _find_or_create(self, stage: str) -> optuna.Study:
        storage, name = open_storage(self._address), f"{self._name}/{stage}"
        there = name in optuna.get_all_study_names(storage)
        if stage in self._stages and not there:
            raise CorenasError(
                f"{_hide_password(self._address)}: the study {name!r} is no longer there; delete "
                f"{self._run.place}.json to have all written again"
            )
        if there and self._run.mark is None:
            # All is to come, so what is there may be of another journal.
            optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        study.set_user_attr("options", dict(self._run.parameters))
        return study


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
