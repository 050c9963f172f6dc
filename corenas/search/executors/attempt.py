"""One attempt at a job: whatever goes wrong becomes a `Failure` of one line."""

from __future__ import annotations

import pickle
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

from corenas.errors import CorenasError, Diverged
from corenas.protocols import Job
from corenas.values.evaluation import Failure, Outcome, Report

# A library may put a whole tensor into a message, which every reader of the journal would get.
LONGEST_MESSAGE = 400

# Most of torch's allocators raise no type of their own: the CPU's, cuBLAS, a CUDA context that does
# not fit. `torch.OutOfMemoryError` is a RuntimeError as well, and its text says the first of these.
_OUT_OF_MEMORY = ("out of memory", "DefaultCPUAllocator", "ALLOC_FAILED")


def attempt(
    job: Job, device: str, report: Report, ready: Callable[[], object] = lambda: None
) -> Outcome | Failure:
    """Run the job; only what is meant for the whole process, such as KeyboardInterrupt, passes.

    Args:
        job: What is run.
        device: A torch device.
        report: Given to the job.
        ready: Called when the job has its data, and its time begins.
    """
    try:
        # Not isinstance of a protocol, which takes as long as a small job.
        get_ready: Callable[[str], None] | None = getattr(job, "get_ready", None)
        if get_ready is not None:
            get_ready(device)
        ready()
        outcome = job.run(device, report)
    # A library that calls sys.exit ends its own trial, not the search.
    except (Exception, SystemExit) as error:
        return failure(error)
    if not isinstance(outcome, Outcome):
        got = type(outcome).__name__
        return Failure("error", f"{type(job).__name__}.run returned {got}, not an Outcome")
    return outcome


def pickled(job: Job) -> bytes:
    """Return a job as bytes for a worker, at once: later changes do not reach it.

    Raises:
        CorenasError: It cannot be pickled. The fault is then the caller's, not a trial's.
    """
    try:
        return pickle.dumps(job)
    # Pickling runs the job's own code, which may raise anything.
    except Exception as error:
        message = f"{type(job).__name__}: the job cannot be sent to a worker: {error}"
        raise CorenasError(message) from error


def attempt_pickled(job: bytes, device: str, ready: Callable[[], object] = lambda: None) -> bytes:
    """Unpickle and run a job in a worker; return its pickled `Outcome` or `Failure`.

    Pickling on both sides here makes a failure of it the trial's alone, and lets weights travel as
    bytes. Reports are answered by no: a worker is never asked to stop, it is killed.

    Args:
        job: What `pickled` returned.
        device: A torch device.
        ready: Called when the job has its data, and its time begins.
    """
    try:
        return pickle.dumps(attempt(pickle.loads(job), device, _never_stop, ready))
    except Exception as error:  # unpickling and pickling run the job's own code
        return pickle.dumps(failure(error))


def _never_stop(step: int, value: float) -> bool:
    return False


def failure(error: BaseException) -> Failure:
    """Classify an exception, and say in one line what happened and where."""
    if isinstance(error, Diverged):
        return Failure("diverged", _describe(error))
    return Failure("memory" if is_out_of_memory(error) else "error", _describe(error))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, in this process or on a device."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def _describe(error: BaseException) -> str:
    text = textwrap.shorten(str(error), LONGEST_MESSAGE)
    if isinstance(error, CorenasError):
        return text  # written for the user; where it was raised says nothing more
    name = type(error).__name__
    described = f"{name}: {text}" if text else name
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return described
    # The innermost one: where it broke, most often in the plugin's own code.
    frame, line = frames[-1]
    return f"{described} ({Path(frame.f_code.co_filename).name}, line {line})"
