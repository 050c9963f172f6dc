"""Jobs that do next to nothing, for tests of executors; light, because workers import them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.errors import Stopped
from corenas.values.evaluation import Failure, Outcome, Report

PATIENCE = 60.0
"""Seconds after which a job that waits for another one gives up."""


@frozen
class Give:
    """Gives ``value`` as its only metric, and ``payload``."""

    value: float
    payload: bytes = b""

    def run(self, device: str, report: Report) -> Outcome:
        """Return the outcome."""
        return Outcome({"value": self.value}, payload=self.payload)


@frozen
class Raise:
    """Raises ``error``."""

    error: BaseException

    def run(self, device: str, report: Report) -> Outcome:
        """Fail."""
        raise self.error


@frozen
class WaitForFile:
    """Makes the file ``begun``, and is done when the file ``awaited`` exists; reports meanwhile."""

    begun: Path
    awaited: Path

    def run(self, device: str, report: Report) -> Outcome:
        """Wait; `TimeoutError` says that nobody made the file."""
        self.begun.touch()
        end = time.monotonic() + PATIENCE
        for step in range(1_000_000):
            if self.awaited.exists():
                return Outcome({})
            if report(step, 0.0):
                raise Stopped("told to stop")
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        raise TimeoutError(f"{self.awaited} was not made")


@frozen
class Hang:
    """Writes the process number into a file and never ends or reports."""

    pid_file: Path

    def run(self, device: str, report: Report) -> Outcome:
        """Sleep for ever."""
        partial = self.pid_file.with_suffix(".partial")
        partial.write_text(str(os.getpid()))
        partial.rename(self.pid_file)  # whoever sees the file sees the number
        while True:
            time.sleep(3600)


@frozen
class GetReadyFirst:
    """Gives nothing, at once, when the file ``awaited`` was there to get ready."""

    awaited: Path

    def get_ready(self, device: str) -> None:
        """Wait; `TimeoutError` says that nobody made the file."""
        end = time.monotonic() + PATIENCE
        while not self.awaited.exists():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.awaited} was not made")
            time.sleep(0.01)

    def run(self, device: str, report: Report) -> Outcome:
        """Report once, and return an empty outcome."""
        if report(0, 0.0):
            raise Stopped("told to stop")
        return Outcome({})


@frozen
class HangBeforehand:
    """Never begins: unpickling it, as importing what it needs may, never ends."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what hangs."""
        return time.sleep, (3600,)

    def run(self, device: str, report: Report) -> Outcome:
        """Do not come here."""
        raise NotImplementedError


@frozen
class Die:
    """Ends its own process by signal ``number``, as a crash or the system would."""

    number: int

    def run(self, device: str, report: Report) -> Outcome:
        """Do not return."""
        os.kill(os.getpid(), self.number)
        time.sleep(PATIENCE)
        return Outcome({})


@frozen
class DieWhileSending:
    """Gives an outcome of which only the first half leaves its process before that is killed."""

    def run(self, device: str, report: Report) -> Outcome:
        """Return the outcome, which never arrives whole."""

        def send_half(connection: Connection, message: bytes) -> None:
            os.write(connection.fileno(), message[: len(message) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        # No public place lies between a connection's lock and its bytes.
        Connection._send = send_half  # type: ignore[attr-defined]
        return Outcome({"value": 0.0}, payload=bytes(1000))


@frozen
class GiveUnpicklable:
    """Gives an outcome, or raises an error, that cannot leave its process."""

    raised: bool = False

    def run(self, device: str, report: Report) -> Outcome:
        """Return the outcome or raise the error."""
        if self.raised:
            raise ValueError(threading.Lock())
        return Outcome({"value": threading.Lock()})  # type: ignore[dict-item] # the point of it


@frozen
class Describe:
    """Gives where and how it runs as a JSON payload; see `description`."""

    with_torch: bool = False

    def run(self, device: str, report: Report) -> Outcome:
        """Return process number, device, and how many threads torch uses if it is asked."""
        found: dict[str, Any] = {"pid": os.getpid(), "device": device}
        if self.with_torch:
            import torch

            found["threads"] = torch.get_num_threads()
        return Outcome({}, payload=json.dumps(found).encode())


def description(outcome: Outcome | Failure) -> dict[str, Any]:
    """Return what `Describe` found.

    Raises:
        ValueError: The job failed.
    """
    if isinstance(outcome, Failure):
        raise ValueError(outcome.message)
    found: dict[str, Any] = json.loads(outcome.payload)
    return found
