"""The tracker ``mlflow``: a run in a database or on a server."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from sqlalchemy import make_url

from corenas.errors import CorenasError
from corenas.runs.journal import Entry
from corenas.tracking.tracker import State, Tracked, flat_numbers, numbers_of
from corenas_trackers.config import MlflowConfig

OFFSET = "corenas.offset"
"""The tag that holds where in the journal the last of the metrics stood."""

IDENTITY = "corenas.run"
"""The tag that tells a run from all others."""

MOST_METRICS = 900
"""In a batch; a server takes a thousand."""

_LONGEST = 6000
_STATES = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MlflowTracker:
    """Logs a run; how much the store has already is found there in a tag, not in the mark.

    A database takes the same metric twice as one, so nothing is there twice whenever it stops.
    """

    def __init__(self, config: MlflowConfig) -> None:
        self._config = config
        self._metrics: list[Metric] = []

    def begin(self, run: Tracked) -> None:
        """Find the run in the store, or create it with the options.

        Raises:
            CorenasError: The store has it no longer.
        """
        for name in ("mlflow.store.db.utils", "alembic"):  # they tell of every table they make
            logging.getLogger(name).setLevel(logging.WARNING)
        address = self._config.address
        if address:
            artifacts = _place_beside(address)
        else:
            run.place.mkdir(parents=True, exist_ok=True)
            address = f"sqlite:///{run.place.resolve() / 'mlflow.db'}"
            artifacts = (run.place / "artifacts").resolve().as_uri()
        self._client = MlflowClient(address)
        experiment = self._experiment(artifacts)
        # Quotes end a string of the filter, and none is in an identity: its parts are names.
        found = self._client.search_runs(
            [experiment], f"tags.`{IDENTITY}` = '{run.identity}'", max_results=1
        )
        known = found[0] if found else None
        if known is None and run.mark is not None:
            raise CorenasError(
                f"the run {run.mark['run']} is no longer in the store; delete {run.place}.json to "
                "have all written again"
            )
        if known is not None and run.mark is None:
            # All is to come, so what is there may be of another journal. MLflow can restore it.
            self._client.delete_run(known.info.run_id)
            known = None
        if known is not None:
            self._id = known.info.run_id
            self._offset = int(known.data.tags.get(OFFSET, 0))
            self._client.update_run(self._id, status="RUNNING")
            logged = known.data.params
        else:
            name = run.folder.resolve().name
            made = self._client.create_run(experiment, tags={IDENTITY: run.identity}, run_name=name)
            self._id, self._offset, logged = made.info.run_id, 0, {}
        # A store never takes another value for one that it has: those of the first start stay.
        params = [
            Param(key, str(value)[:_LONGEST])
            for key, value in ((_key(name), value) for name, value in run.parameters.items())
            if key not in logged
        ]
        for start in range(0, len(params), 100):
            self._client.log_batch(self._id, params=params[start : start + 100])

    def _experiment(self, artifacts: str | None) -> str:
        name = self._config.experiment
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    def log(self, entry: Entry) -> None:
        """Keep the numbers of an event until `flush`."""
        if entry.end <= self._offset:
            return
        self._offset = entry.end
        at = round(1000 * datetime.fromisoformat(entry.time).timestamp())
        for name, value in numbers_of(entry).items():
            key = _key(f"{entry.event.stage}/{name}")
            self._metrics.append(Metric(key, value, at, entry.event.step))
        if len(self._metrics) >= MOST_METRICS:
            self.flush()

    def picture(self, name: str, file: Path) -> None:
        """Store a picture among the run's artifacts."""
        self._client.log_artifact(self._id, str(file), "images")

    def flush(self) -> dict[str, Any]:
        """Send what was kept, and with the last of it how far that is."""
        sent = self._metrics
        for start in range(0, len(sent), MOST_METRICS):
            self._client.log_batch(self._id, metrics=sent[start : start + MOST_METRICS])
        self._metrics = []
        self._client.log_batch(self._id, tags=[RunTag(OFFSET, str(self._offset))])
        return {"run": self._id}

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Log the results, and say how the run ended."""
        found = flat_numbers(summary) if state == "finished" else {}
        at = round(1000 * datetime.now().timestamp())
        self._metrics += [Metric(_key(f"results/{k}"), v, at, 0) for k, v in found.items()]
        self.flush()
        self._client.set_terminated(self._id, _STATES[state])


def _place_beside(address: str) -> str | None:
    """Return where pictures go: beside a database in a file; None for where a server has them.

    MLflow would take a folder below the current one. All runs of an experiment have one place, so
    it cannot be in the folder of a run.
    """
    if not address.startswith("sqlite"):
        return None
    file = make_url(address).database or ""
    if file in ("", ":memory:") or file.startswith("file:"):
        return None
    return Path(file).with_suffix(".artifacts").resolve().as_uri()


def _key(name: str) -> str:
    """Return a name with what MLflow takes in one: others become underscores."""
    return re.sub(r"[^\w\-./ :]", "_", name, flags=re.ASCII)[:250]
