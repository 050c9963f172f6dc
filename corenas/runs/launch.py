"""From a recipe and its configuration to a finished run folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen
from filelock import FileLock, Timeout

from corenas.devices import cpu_threads, default_workers, pick_devices
from corenas.errors import InputError, ResumeError, Stopped
from corenas.files import write_json
from corenas.names import printable_lines
from corenas.options.structuring import Chosen, places
from corenas.plugins.hookspecs import Recipe
from corenas.plugins.registry import Registry, load_attribute
from corenas.runs._stage_files import writing
from corenas.runs.identity import (
    RunOptions,
    check_same,
    other_versions,
    read_info,
    read_summary,
    what_runs,
    write_identity,
    write_places,
)
from corenas.runs.run import Run
from corenas.show.reporter import Reporter
from corenas.stopping import Stop
from corenas.tracking.session import Tracking, build_trackers, tracking
from corenas.values.plan import StagePlan
from corenas.values.trial import Event

_PROBE_SECONDS = 1.0

_FAILURE = "failure.json"
"""Why the last start failed, beside ``run.json``; not there where it did not."""


@frozen
class Launched:
    """What became of a run: its folder, what ``summary.json`` holds, and why it was stopped.

    ``stopped`` is empty where the run is finished.
    """

    folder: Path
    summary: Mapping[str, Any]
    stopped: str = ""


def launch(
    recipe: Recipe,
    config: Any,
    *,
    registry: Registry,
    options: RunOptions,
    reporter: Reporter,
    trackers: Sequence[Chosen] = (),
) -> Launched:
    """Begin or continue a run and carry it to its end, with trackers that show it elsewhere.

    Raises:
        Stopped: It was stopped by a signal; it is saved and the best so far handed over.
        ResumeError: The folder holds another run, or one that is being worked on.
    """
    built = build_trackers(trackers)
    folder = options.out or _new_folder(recipe.name)
    _make_folder(folder)
    with _locked(folder):
        _write_or_check_identity(folder, recipe, config, registry, options, reporter)
        try:
            with tracking(folder, built, reporter) as tracked:
                # Asked under the lock: another process may have finished it a moment ago.
                before = read_summary(folder)
                if before.get("finished"):
                    reporter.say(f"{folder}: this run is finished; there is nothing left to do")
                    launched = Launched(folder, before)
                else:
                    launched = _work(folder, recipe, config, registry, options, tracked)
                tracked.end("stopped" if launched.stopped else "finished", launched.summary)
        except KeyboardInterrupt:
            raise Stopped(f"left at once; {_advise_resume(folder)}") from None
    if launched.stopped == "interrupted":
        raise Stopped(f"stopped; {_advise_resume(folder)}")
    return launched


def _work(
    folder: Path,
    recipe: Recipe,
    config: Any,
    registry: Registry,
    options: RunOptions,
    tracked: Tracking,
) -> Launched:
    """Do what is left of a run until it is finished or told to stop."""
    (folder / _FAILURE).unlink(missing_ok=True)
    with Stop(options.max_time).installed() as stop:
        try:
            launched = _carry_out(folder, recipe, config, registry, options, tracked, stop)
        except Exception as error:
            # A full disk may be what it failed by: then the reason is told now, and not later.
            with suppress(OSError):
                write_json(
                    folder / _FAILURE, {"state": "failed", "error": printable_lines(str(error))}
                )
            _report(folder, registry, tracked, "failed", str(error))
            raise
        _report(folder, registry, tracked, "stopped" if launched.stopped else "finished")
    return launched


def _advise_resume(folder: Path) -> str:
    return f"continue with 'corenas resume {folder}'"


def _carry_out(
    folder: Path,
    recipe: Recipe,
    config: Any,
    registry: Registry,
    options: RunOptions,
    reporter: Tracking,
    stop: Stop,
) -> Launched:
    """Do the recipe and write the summary."""

    def observe(run: Run, event: Event) -> None:
        registry.observe(run, event)
        reporter.observe(run, event)

    devices = pick_devices(options.device)
    work = load_attribute(recipe.run, f"the recipe {recipe.name!r}")
    reporter.start(f"{recipe.name} {options.preset}".strip(), folder)
    try:
        run = Run(
            folder,
            seed=options.seed,
            stop=stop,
            reporter=reporter,
            observe=observe,
            workers=options.workers,
            files=_existing_files(config),
            devices=devices,
            moved=options.moved,
        )
        try:
            _check_owner(run)
            # What a run gives must not depend on how many cores there are, nor on whether something
            # was trained in this process before it was measured. Trainings have their own option.
            with cpu_threads(1):
                summary = work(run, config)
        # Stopped before it had anything to hand over. Without a request, that is an error.
        except Stopped as nothing_yet:
            if not run.stopped:
                raise
            run.say(str(nothing_yet))
            summary = {}
        finally:
            run.close()
    finally:
        reporter.close()
    # A stop that came after the last stage left nothing undone: the run is finished.
    stopped = (stop.reason or "") if run.stopped else ""
    with writing(folder):
        # Only once the recipe has found the data to be the same: a wrong place is forgotten.
        if options.moved and not run.unconfirmed:
            write_places(folder, config, registry)
        summary = _summarise(folder, recipe, options, run.seconds, summary, stopped)
        write_json(folder / "summary.json", summary)
    return Launched(folder, summary, stopped)


def _existing_files(config: Any) -> list[Path]:
    """Return the files and folders that the options name as places of data, and that are here."""
    values = places(config).values()
    named = [name for value in values for name in (value if isinstance(value, tuple) else [value])]
    paths = [Path(str(name)).expanduser().absolute() for name in named if name]
    return [path for path in paths if path.exists()]


def _report(
    folder: Path, registry: Registry, reporter: Reporter, state: str, failure: str = ""
) -> None:
    """Write the run's report; where that fails it is said, and costs the run nothing."""
    journal = folder / "journal.jsonl"
    if not journal.exists() or journal.stat().st_size == 0:  # nothing has happened yet
        return
    try:
        # Imported here: nothing of it is needed before.
        from corenas.report.page import write_report

        path = write_report(folder, registry=registry, state=state, failure=failure)
        reporter.say(f"report: {path}")
    except Exception as error:
        reporter.say(f"the report of the run is not written: {error}")


def _check_owner(run: Run) -> None:
    """Refuse checkpoints and a journal that lie in another run's folder."""
    created = read_info(run.folder)["created"]
    if run.remember("created", lambda: created) != created:
        raise ResumeError(
            f"{run.folder}: run.json is that of another run than the files beside it; "
            "bring the right one back from a copy"
        )


def check(recipe: Recipe, config: Any, options: RunOptions) -> Sequence[StagePlan]:
    """Check data, weights and costs, and estimate each stage, without making a run."""
    if not recipe.check:
        return []
    devices = pick_devices(options.device)
    plans: Sequence[StagePlan] = load_attribute(recipe.check, f"the recipe {recipe.name!r}")(
        config, devices=devices, workers=options.workers or default_workers(devices)
    )
    return plans


def is_finished(folder: Path) -> bool:
    """Return whether the run in a folder came to its end."""
    return bool(read_summary(folder).get("finished"))


def _new_folder(recipe: str) -> Path:
    base = Path("runs") / f"{recipe}-{datetime.now():%Y-%m-%d-%H%M}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: may not be written to")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time work in a run folder."""
    # A lock of the system, which a kill releases; a file with a process number would stay.
    # Another process that asks `is_locked` has it for a moment: that one is waited for.
    lock = FileLock(folder / ".lock", timeout=_PROBE_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise ResumeError(f"{folder}: another process is working on this run") from error
    except NotImplementedError as error:
        raise InputError(f"{folder}: lies on a file system without locks") from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return whether a process is working in a run folder; False where that cannot be found out."""
    if not (folder / ".lock").exists():
        return False
    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def state_of(folder: Path) -> str:
    """Return whether a run is ``running``, ``finished``, ``failed`` or ``stopped``."""
    if is_locked(folder):
        return "running"
    if is_finished(folder):
        return "finished"
    return "failed" if _read_failure(folder) is not None else "stopped"


def failure_of(folder: Path) -> str:
    """Return why a run failed at its last start; empty where it did not, or where it goes on."""
    return (_read_failure(folder) or "") if state_of(folder) == "failed" else ""


def _read_failure(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / _FAILURE).read_bytes())["error"])
    # A run whose reason cannot be read is a stopped one: it goes on in the same way.
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_or_check_identity(
    folder: Path,
    recipe: Recipe,
    config: Any,
    registry: Registry,
    options: RunOptions,
    reporter: Reporter,
) -> None:
    """Write what the run is, or check that the folder holds this very run."""
    if not _holds_work(folder):
        with writing(folder):
            write_identity(folder, recipe, config, registry, options)
        return
    check_same(folder, recipe, config, registry, options)
    for change in other_versions(folder):
        reporter.say(f"{change}: results may differ from those of the version that it began with")


def _holds_work(folder: Path) -> bool:
    """Return whether a folder holds work to protect; a run without an event has none.

    Raises:
        ResumeError: The folder holds something other than a run.
    """
    if (folder / "run.json").exists():
        journal = folder / "journal.jsonl"
        worked = journal.exists() and journal.stat().st_size > 0
        # Without its journal, a folder may still hold what cannot be made again.
        return worked or any(folder.glob("checkpoints/*.finished.json")) or is_finished(folder)
    # A start that was killed at once leaves its lock and temporary files, and no run.
    if any(p.name != ".lock" and not p.name.endswith("~") for p in folder.iterdir()):
        raise ResumeError(f"{folder}: is neither empty nor a run folder")
    return False


def _summarise(
    folder: Path,
    recipe: Recipe,
    options: RunOptions,
    seconds: Mapping[str, float],
    values: Mapping[str, Any],
    stopped: str,
) -> dict[str, Any]:
    return {
        "run": what_runs(read_info(folder)),
        "recipe": recipe.name,
        "preset": options.preset,
        "finished": not stopped,
        "stopped": stopped,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        **values,
    }
