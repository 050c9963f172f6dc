"""The run: a folder, and the only loop. Every stage of every recipe goes through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corenas.devices import default_workers
from corenas.errors import CorenasError, Diverged, ResumeError, Stopped
from corenas.protocols import Task
from corenas.runs import _checkpoint as checkpoints
from corenas.runs import journal
from corenas.runs._checkpoint import Checkpoint
from corenas.runs._facts import Facts
from corenas.runs._records import Record
from corenas.runs._stage_files import StageFiles, writing
from corenas.runs.recovery import checkpoint_file, recover
from corenas.runs.search import Parts, search
from corenas.search.config import SearchConfig
from corenas.search.executors.attempt import is_out_of_memory
from corenas.show.progress import Standing
from corenas.stopping import Clock, Stop
from corenas.values.architecture import Decision
from corenas.values.quantity import Quantity
from corenas.values.result import Result
from corenas.values.search_result import SearchResult
from corenas.values.seeds import derive_seed
from corenas.values.trial import Event, Trial

if TYPE_CHECKING:
    from corenas.show.reporter import Reporter  # draws with rich, which would slow every start down

# Never more than one a second, nor more than 2 % of the time, however large the state is.
CHECKPOINT_SECONDS = 1.0
CHECKPOINT_SHARE = 0.02

_AFTER_DIVERGING = (
    "a resumed run does the same again: begin one with other options, such as clipped gradients "
    "where the training has them"
)
_AFTER_MEMORY = (
    "out of memory; close other programs and 'corenas resume {}', or begin a run with a smaller "
    "batch or patch"
)


class Run:
    """One job in one folder: takes events, journals and shows them, saves, resumes, stops.

    Args:
        folder: Holds everything that the run writes; what is there already is continued.
        seed: What all random numbers of the run derive from.
        stop: Asked after every event.
        reporter: Shows events.
        observe: Called with the run and each event after it is journaled.
        workers: How many candidates may be evaluated at once; None for as many as have room.
        files: Files and folders that jobs read.
        devices: torch devices; the first one is for what runs in this process.
        moved: Options that say where data lie, and now say something else than at the beginning.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        stop: Stop,
        reporter: Reporter,
        observe: Callable[[Run, Event], None] = lambda run, event: None,
        workers: int | None = 1,
        files: Sequence[Path] = (),
        devices: Sequence[str] = ("cpu",),
        moved: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.stop = stop
        self.devices = tuple(devices)
        self.asked_workers = workers
        self.workers = workers or default_workers(self.devices)
        self.files = tuple(files)
        self.where: Callable[[], Mapping[str, int]] = dict  # see `Executor.where`
        self.seconds: dict[str, float] = {}
        self.decisions: dict[str, Sequence[Decision]] = {}
        """What each search decides, by its stage; for observers, whom trials tell only choices."""
        self.unconfirmed = tuple(moved)
        """Options that `confirm` has not found to be right yet."""
        self.stopped = False  # whether something was left undone because a stop was requested
        self._reporter = reporter
        self._observe = observe
        self._journal_file = folder / "journal.jsonl"
        self._finished: dict[str, Result] = {}
        self._files = StageFiles(folder / "models")
        self._checkpoint: Checkpoint | None = None
        self._standing = Standing()
        self.begun = self._open()
        """Whether the folder held events when it was opened."""
        self._facts = Facts(folder / "checkpoints", known=self.begun)

    @property
    def device(self) -> str:
        """The device for work in this process."""
        return self.devices[0]

    @property
    def models(self) -> Path:
        """Folder of finished models."""
        return self._make_folder("models")

    @property
    def images(self) -> Path:
        """Folder of pictures."""
        return self._make_folder("images")

    def _make_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def writing(self) -> AbstractContextManager[None]:
        """Return a context that says of a failed write what it means for the run."""
        return writing(self.folder)

    def seed_for(self, *names: str) -> int:
        """Return the seed of what the names stand for, such as ``"train-x2", "weights"``.

        It derives from the run's seed by `corenas.values.seeds.derive_seed`.
        """
        return derive_seed(self.seed, *names)

    def events(self, stage: str) -> list[Event]:
        """Return all events of a stage so far, those of earlier sessions too."""
        return list(journal.read_stage(self._journal_file, stage))

    def trials(self, stage: str) -> list[Trial]:
        """Return the trials of a stage that were measured so far, in the order of their events."""
        return journal.finished_trials(self.events(stage)).get(stage, [])

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a small fact: made at first, and found again whenever the run goes on.

        Args:
            name: The fact's own among those of the run, fit for a file's name.
            make: Returns a JSON value. A run that never came to its first event makes it anew.

        Raises:
            ResumeError: The file that holds it is damaged.
        """
        if not self._facts.has(name):
            self._facts.keep(name, make())
        return self._facts.get(name)

    def confirm(self, name: str, value: Any) -> None:
        """Check that something is what it was when the run began, such as a digest of its images.

        It lets the run go on with data that lie elsewhere now, and tells a comparison of runs
        whether their data are the same.

        Args:
            name: The fact's own among those of the run; see `remember`.
            value: A JSON value that tells the data apart from all others.

        Raises:
            ResumeError: It is another one than at the beginning, or nobody knows.
        """
        if self.unconfirmed and not self._facts.has(name):
            raise ResumeError(
                f"{', '.join(self.unconfirmed)}: the run does not know what was there when it "
                "began, so it cannot go on with data from elsewhere"
            )
        if not self._facts.has(name):
            self._facts.keep(name, value, of_data=True)
        if self._facts.get(name) != value:
            raise ResumeError(f"{self.folder}: the {name} is not what it was when the run began")
        self.unconfirmed = ()

    def file(self, result: Result | SearchResult, purpose: str) -> Path:
        """Return where a file lies that a stage handed over.

        Args:
            result: What `stage` returned.
            purpose: What the result calls the file.

        Raises:
            KeyError: The result has no such file.
            ResumeError: The file is missing, or is not the one that the stage wrote.
        """
        return self._files.path(result.files[purpose])

    def stopping(self) -> bool:
        """Return whether nothing more shall be begun.

        A stop between two stages then leaves the run open, as one within a stage does.
        """
        self.stopped = self.stopped or self.stop.requested
        return self.stopped

    def say(self, message: str) -> None:
        """Tell the user something that stays on the screen."""
        self._reporter.say(message)

    def search(
        self,
        name: str,
        config: SearchConfig,
        *,
        data: Any = None,
        seed: int | None = None,
        change: Callable[[Parts], Parts] = lambda parts: parts,
        seconds: float | None = None,
    ) -> SearchResult:
        """Search as the stage ``name``, or return what it gave when it is done already.

        Its files are in a folder of that name below `models`.

        Args:
            name: The stage's.
            config: What is searched, how, and how long.
            data: Where examples come from: for the evaluator, and for strategies that train
                something themselves.
            seed: What the search's random numbers derive from; by default ``seed_for(name)``.
            change: Replaces a component by another one than the options name.
            seconds: See `stage`.

        Raises:
            ConfigError: The objective needs what the evaluator does not measure.
            SearchError: Too many candidates in a row were rejected, or failed.
        """
        return search(self, name, config, data=data, seed=seed, change=change, seconds=seconds)

    def stage(
        self,
        name: str,
        task: Task,
        *,
        quantities: Iterable[Quantity] = (),
        folder: str = "",
        seconds: float | None = None,
    ) -> Result:
        """Do a task, or return what it gave when it is done already.

        A task that was begun continues. After a stop was requested nothing more is done: the result
        is the task's best so far, and the stage stays open for the next resume.

        Args:
            name: The stage's own among those of the run.
            task: The work.
            quantities: What its trials measure; kept in the journal for whoever reads it.
            folder: The one below `models` that its files go to; `models` itself by default. The
                names in the result's files are relative to `models`.
            seconds: What the stage may take, earlier sessions included. At the first event after
                that it counts as done, with the best so far as its result.

        Raises:
            CorenasError: The task hands over a file that another, finished stage handed over.
            ResumeError: A file that the finished stage handed over is missing or was changed.
        """
        if self.unconfirmed:
            raise ResumeError(
                f"{', '.join(self.unconfirmed)}: may not change, since the recipe does not check "
                "that the data are the same"
            )
        if name in self._finished:
            self._files.check_stage(name)
            self._reporter.stage(name, "already done")
            return self._finished[name]
        before = self._restore(name, task)
        # Handed over from what was restored, without an event: the journal stays as it is.
        if self.stop.requested:
            self.stopped = True
            return self._hand_over(name, task, folder)
        self._begin(name, tuple(quantities), resumed=before is not None)
        started = time.monotonic() - (before or 0.0)
        clock = Clock(started, seconds)
        self.stopped = not self._work(name, task, clock)
        self.seconds[name] = time.monotonic() - started
        if self.stopped:
            self._save(name, task, self.seconds[name])
            return self._hand_over(name, task, folder)
        result = self._hand_over(name, task, folder)
        last = self._standing.of(name)
        # The files come first, then this event, then the record. A kill between two of them leaves
        # a stage whose end is not proven: it goes on from its last checkpoint.
        self._record(Event("stage", last.step, last.total, message="finished", stage=name))
        self._finish(name, result)
        return result

    def _restore(self, name: str, task: Task) -> float | None:
        """Restore a task that was begun; return the seconds that it took, None for a new one."""
        checkpoint = self._checkpoint
        if checkpoint is None or checkpoint.stage != name:
            return None
        try:
            task.restore(checkpoint.state)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise ResumeError(
                f"{self.folder}: the state of stage {name} does not fit this version ({error})"
            ) from error
        return checkpoint.seconds

    def _begin(self, name: str, quantities: tuple[Quantity, ...], *, resumed: bool) -> None:
        if resumed:
            self._reporter.stage(name, "resumed")
        else:
            self._reporter.stage(name)
            self._record(Event("stage", message="started", stage=name, quantities=quantities))

    def _work(self, name: str, task: Task, clock: Clock) -> bool:
        """Do the task and say what its errors mean; return whether it came to its end."""
        try:
            self._drive(name, task, clock)
        except Stopped:
            return False
        except Diverged as error:
            raise Diverged(f"stage {name}: {error}; {_AFTER_DIVERGING}") from error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise CorenasError(f"stage {name}: {_AFTER_MEMORY.format(self.folder)}") from error
        return not self.stop.requested

    def _drive(self, name: str, task: Task, clock: Clock) -> None:
        """Record the task's events and save its state now and then, until it ends or is to stop."""
        saved, cost = time.monotonic(), 0.0
        for event in task.events():
            self._record(event.at(name))
            if self.stop.requested:
                return
            if clock.spent:  # at the last step, too: candidates may still be trained further
                if event.step < event.total:
                    self.say(f"{name}: its {clock.limit:.0f} s are spent; what it has is taken")
                return
            now = time.monotonic()
            # The more the last one cost, the longer until the next.
            if now - saved >= max(CHECKPOINT_SECONDS, cost / CHECKPOINT_SHARE):
                self._save(name, task, clock.seconds)
                saved = time.monotonic()
                cost = saved - now

    def _hand_over(self, name: str, task: Task, folder: str) -> Result:
        with writing(self.folder):
            return self._files.hand_over(name, task, folder)

    def _record(self, event: Event) -> None:
        """Journal an event, then show it, then tell the observers."""
        with writing(self.folder):
            self._journal.append(event)
        self._standing.take(event)
        self._reporter.event(event)
        # Last: an observer may read the journal, and finds the event there.
        self._observe(self, event)

    def _save(self, name: str, task: Task, seconds: float) -> None:
        with writing(self.folder):
            self._journal.sync()  # a checkpoint must never point behind the journal's end
            end = self._journal
            checkpoint = Checkpoint(
                name, end.offset, seconds, task.state(), end.digest, self._standing, self.where()
            )
            checkpoints.save(checkpoint_file(self.folder), checkpoint)
        self._reporter.checkpoint()

    def _finish(self, name: str, result: Result) -> None:
        with writing(self.folder):
            # The record says where the journal ends; it must not know more than the disk.
            self._journal.sync()
            end, files, seconds = self._journal, self._files.finish(name), self.seconds[name]
            record = Record(name, end.offset, end.digest, seconds, result, files, self._standing)
            record.write(self.folder)
            checkpoints.remove(checkpoint_file(self.folder))
        self._finished[name] = result

    def _open(self) -> bool:
        """Take in what is there, cut the journal to it, and return whether there were events."""
        with writing(self.folder):
            (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            found = recover(self.folder, self.say)
        for name, record in found.records.items():
            self._finished[name], self.seconds[name] = record.result, record.seconds
            self._files.add(name, record.digests)
        self._checkpoint = found.checkpoint
        self._standing = found.standing
        # A copy: both take in the events to come.
        self._reporter.recall(Standing.from_json(found.standing.to_json()).stages)
        with writing(self.folder):
            self._journal = journal.Journal(self._journal_file, found.offset)
        begun = bool(found.events or found.dropped)
        if begun:
            message = f"resumed after {found.events} events; {found.dropped} later ones are"
            self._observe(self, Event("stage", message=f"{message} done again"))
        return begun

    def close(self) -> None:
        """Sync and close the journal."""
        with writing(self.folder):
            self._journal.close()
