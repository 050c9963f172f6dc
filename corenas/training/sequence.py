"""Several tasks one after the other in one stage, such as five trainings of one network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from attrs import asdict, evolve, field, frozen
from torch import Tensor

from corenas.errors import CorenasError, Stopped
from corenas.files import atomic_write
from corenas.protocols import Task
from corenas.values.result import Result, State
from corenas.values.trial import Event


@frozen
class Part:
    """One task of a sequence.

    ``name`` is no other part's and serves as a folder's name; ``build`` makes the task when its
    turn comes; ``steps`` is the total of the task's events.
    """

    name: str
    build: Callable[[], Task]
    steps: int


@frozen
class _EndedPart:
    """What is left of a part: the result with its files' contents, or why it failed.

    ``files`` are paths by purpose, ``contents`` bytes by path, uint8 of shape (N,).
    """

    name: str
    values: Mapping[str, Any] = field(factory=dict)
    files: Mapping[str, str] = field(factory=dict)
    contents: Mapping[str, Tensor] = field(factory=dict)
    failed: str = ""

    @classmethod
    def of(cls, name: str, task: Task) -> _EndedPart:
        """Take over the result of a task that came to its end."""
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            result = task.result(folder)
            contents = {
                path.relative_to(folder).as_posix(): torch.from_numpy(np.fromfile(path, np.uint8))
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
        return cls(name, result.values, result.files, contents)

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the files into the part's own folder in ``folder``; return the rest as JSON."""
        for path, content in self.contents.items():
            with atomic_write(folder / self.name / path) as file:
                file.write(content.numpy().tobytes())
        return {
            "name": self.name,
            "values": dict(self.values),
            "files": {purpose: f"{self.name}/{path}" for purpose, path in self.files.items()},
            "failed": self.failed,
        }


class TaskSequence:
    """A task made of others, done in order; one that fails is recorded and passed over.

    Until the end, the files of a part that is done live in the state, so they should be small.

    Raises:
        ValueError: Two parts have the same name.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        names = [part.name for part in parts]
        if len(set(names)) < len(names):
            raise ValueError(f"each part needs a name of its own, got {names}")
        self._parts = tuple(parts)
        self._total = sum(part.steps for part in parts)
        self._ended: list[_EndedPart] = []
        self._task: Task | None = None

    def events(self) -> Iterator[Event]:
        """Pass on the parts' events, counted through; messages begin with the part's name.

        A part's failure is an event of the kind ``failed`` at the last step it would have done.

        Raises:
            CorenasError: All parts failed; it is the last one's error.
        """
        while len(self._ended) < len(self._parts):
            part = self._parts[len(self._ended)]
            try:
                for event in self._task_of(part).events():
                    yield self._renumber(part, event)
            # A CorenasError too, and no failure of the part.
            except Stopped:
                raise
            except CorenasError as error:
                if self._have_all_others_failed():
                    raise
                ended = _EndedPart(part.name, failed=str(error))
            else:
                ended = _EndedPart.of(part.name, self._task_of(part))
            self._ended.append(ended)
            self._task = None
            if ended.failed:
                failure = Event("failed", part.steps, message=ended.failed)
                yield self._renumber(part, failure)

    def _task_of(self, part: Part) -> Task:
        """Return the task in progress: the one that was restored, or else a new one."""
        if self._task is None:
            self._task = part.build()
        return self._task

    def _have_all_others_failed(self) -> bool:
        """Tell whether the part in progress is the last one, and all before it failed."""
        before = len(self._parts) - 1
        return len(self._ended) == before and all(ended.failed for ended in self._ended)

    def _renumber(self, part: Part, event: Event) -> Event:
        before = sum(each.steps for each in self._parts[: self._parts.index(part)])
        message = f"{part.name}: {event.message}" if event.message else part.name
        return evolve(event, step=before + event.step, total=self._total, message=message)

    def state(self) -> State:
        """Return what the ended parts left, and the state of the one in progress."""
        return {
            "ended": [asdict(ended, recurse=False) for ended in self._ended],
            "current": None if self._task is None else self._task.state(),
        }

    def restore(self, state: State) -> None:
        """Continue inside the part that was in progress."""
        self._ended = [_EndedPart(**saved) for saved in state["ended"]]
        if state["current"] is not None:
            self._task_of(self._parts[len(self._ended)]).restore(state["current"])

    def result(self, folder: Path) -> Result:
        """Return the parts that have ended, and write the files of each into its own folder.

        The value ``members`` is a list that says of each part, in order: ``name``, ``values``,
        ``files`` (paths in ``folder`` by purpose), ``failed`` (the reason, or an empty string).
        The result's files are the parts' files ``model``, by part.
        """
        parts = [ended.write(folder) for ended in self._ended]
        models = {p["name"]: p["files"]["model"] for p in parts if "model" in p["files"]}
        return Result({"members": parts}, models)
