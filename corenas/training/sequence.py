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
class Member:
    """One task of a series.

    ``name`` is no other member's and serves as a folder's name; ``build`` makes the task when its
    turn comes; ``steps`` is the total of the task's events.
    """

    name: str
    build: Callable[[], Task]
    steps: int


@frozen
class _Ended:
    """What is left of a member: the result with its files' contents, or why it failed.

    ``files`` are paths by purpose, ``contents`` bytes by path, uint8 of shape (N,).
    """

    name: str
    values: Mapping[str, Any] = field(factory=dict)
    files: Mapping[str, str] = field(factory=dict)
    contents: Mapping[str, Tensor] = field(factory=dict)
    failed: str = ""

    @classmethod
    def of(cls, name: str, task: Task) -> _Ended:
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
        """Write the files into the member's own folder in ``folder``; return the rest as JSON."""
        for path, content in self.contents.items():
            with atomic_write(folder / self.name / path) as file:
                file.write(content.numpy().tobytes())
        return {
            "name": self.name,
            "values": dict(self.values),
            "files": {purpose: f"{self.name}/{path}" for purpose, path in self.files.items()},
            "failed": self.failed,
        }


class Series:
    """A task made of others, done in order; one that fails is recorded and passed over.

    Until the end, the files of a member that is done live in the state, so they should be small.

    Raises:
        ValueError: Two members have the same name.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        names = [member.name for member in members]
        if len(set(names)) < len(names):
            raise ValueError(f"each member needs a name of its own, got {names}")
        self._members = tuple(members)
        self._total = sum(member.steps for member in members)
        self._ended: list[_Ended] = []
        self._task: Task | None = None

    def events(self) -> Iterator[Event]:
        """Pass on the members' events, counted through; messages begin with the member's name.

        A member's failure is an event of the kind ``failed`` at the last step it would have done.

        Raises:
            CorenasError: All members failed; it is the last one's error.
        """
        while len(self._ended) < len(self._members):
            member = self._members[len(self._ended)]
            try:
                for event in self._begun(member).events():
                    yield self._counted_through(member, event)
            except Stopped:
                raise
            except CorenasError as error:
                if self._is_last_hope():
                    raise
                ended = _Ended(member.name, failed=str(error))
            else:
                ended = _Ended.of(member.name, self._begun(member))
            self._ended.append(ended)
            self._task = None
            if ended.failed:
                failure = Event("failed", member.steps, message=ended.failed)
                yield self._counted_through(member, failure)

    def _begun(self, member: Member) -> Task:
        """Return the task in progress: the one that was restored, or else a new one."""
        if self._task is None:
            self._task = member.build()
        return self._task

    def _is_last_hope(self) -> bool:
        """Tell whether the member in progress is the last one, and all before it failed."""
        before = len(self._members) - 1
        return len(self._ended) == before and all(ended.failed for ended in self._ended)

    def _counted_through(self, member: Member, event: Event) -> Event:
        before = sum(each.steps for each in self._members[: self._members.index(member)])
        message = f"{member.name}: {event.message}" if event.message else member.name
        return evolve(event, step=before + event.step, total=self._total, message=message)

    def state(self) -> State:
        """Return what the ended members left, and the state of the one in progress."""
        return {
            "ended": [asdict(ended, recurse=False) for ended in self._ended],
            "current": None if self._task is None else self._task.state(),
        }

    def restore(self, state: State) -> None:
        """Continue inside the member that was in progress."""
        self._ended = [_Ended(**saved) for saved in state["ended"]]
        if state["current"] is not None:
            self._begun(self._members[len(self._ended)]).restore(state["current"])

    def result(self, folder: Path) -> Result:
        """Return the members that have ended, and write the files of each into its own folder.

        The values of ``members`` are a list, in order: ``name``, ``values``, ``files`` (paths in
        ``folder`` by purpose), ``failed`` (the reason, or an empty string). The result's files are
        the members' files ``model``, by member.
        """
        members = [ended.write(folder) for ended in self._ended]
        models = {m["name"]: m["files"]["model"] for m in members if "model" in m["files"]}
        return Result({"members": members}, models)
