"""The tracker ``wandb``: a run of Weights & Biases."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from corenas.runs.journal import Entry
from corenas.tracking.tracker import State, Tracked, flat_numbers, numbers_of
from corenas_trackers.config import WandbConfig


class WandbTracker:
    """Logs a run; after a resume it goes on under the same id.

    Each stage has its own axis of steps. What a killed process logged behind its last mark, at most
    what came since a checkpoint, is sent once more: the service cannot take anything back.
    """

    def __init__(self, config: WandbConfig) -> None:
        if config.mode == "offline":
            # Its service reports errors and usage to its makers, whatever the mode of a run.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._config = config
        self._stages: set[str] = set()

    def begin(self, run: Tracked) -> None:
        """Begin the run, or go on with it."""
        run.place.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self._config.project,
            entity=self._config.entity or None,
            name=run.folder.resolve().name,
            id=hashlib.sha256(run.identity.encode()).hexdigest()[:16],
            resume="allow",
            dir=str(run.place),
            mode=self._config.mode,
            config={**run.parameters, "recipe": run.info["recipe"], "seed": run.info["seed"]},
            # It would take the terminal over, and look at the machine and the user's repository.
            settings=wandb.Settings(
                console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True
            ),
        )

    def log(self, entry: Entry) -> None:
        """Log the numbers of an event with its stage's step."""
        stage, numbers = entry.event.stage, numbers_of(entry)
        if not numbers:
            return
        axis = f"{stage}/step"
        if stage not in self._stages:
            self._run.define_metric(axis)
            self._run.define_metric(f"{stage}/*", step_metric=axis)
            self._stages.add(stage)
        self._run.log({axis: entry.event.step, **{f"{stage}/{k}": v for k, v in numbers.items()}})

    def picture(self, name: str, file: Path) -> None:
        """Log a picture."""
        self._run.log({f"images/{name}": wandb.Image(str(file))})

    def flush(self) -> None:
        """Do nothing: a process of the library's own writes what was logged."""

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Write the results, and wait until all is on disk or sent."""
        self._run.summary.update({"state": state, **flat_numbers(summary)})
        self._run.finish(exit_code=0 if state != "failed" else 1)
