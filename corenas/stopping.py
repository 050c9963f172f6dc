"""How a run is asked to stop: by a signal, or because its time or a stage's share is spent."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

from attrs import frozen

from corenas.errors import Stopped

Reason = Literal["interrupted", "time budget"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HANG_UP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none


class Stop:
    """A request to stop, which whoever works asks for between two steps.

    No locks are taken: everything here may be called from a signal handler and from any thread.

    Args:
        seconds: Time budget from now on, on the monotonic clock; none by default.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        """The time budget in seconds, as it was given; None without one."""
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._reason: Reason | None = None
        self._callbacks: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Whether to stop now."""
        # No timer watches the clock: whoever waits knows by `remaining` how long.
        if self._reason is None and self.remaining() == 0.0:
            self.request("time budget")
        return self._reason is not None

    @property
    def reason(self) -> Reason | None:
        """The first reason to stop that was given; none while there is no request."""
        return self._reason if self.requested else None

    def remaining(self) -> float | None:
        """Return what is left of the time budget in seconds, at least 0; none without one."""
        if self._deadline is None:
            return None
        return max(self._deadline - time.monotonic(), 0.0)

    def request(self, reason: Reason) -> None:
        """Ask to stop; a second request changes nothing."""
        if self._reason is None:
            self._reason = reason
            # A copy, because a signal may come while another callback is being added.
            for callback in tuple(self._callbacks):
                callback()

    def on_request(self, callback: Callable[[], object]) -> None:
        """Call back, once or twice, when a stop is requested; at once if it was requested already.

        The callback may run inside a signal handler: it must neither wait nor raise.
        `queue.SimpleQueue.put` is safe. Nothing watches the clock: whoever waits must wake up
        after `remaining` seconds and ask for `requested`.
        """
        # Added before asking: a request in between then calls it, at worst twice.
        self._callbacks.append(callback)
        if self.requested:
            callback()

    def check(self) -> None:
        """Raise `Stopped` when a stop was requested."""
        if self.requested:
            raise Stopped(f"stopped: {self._reason}")

    @contextmanager
    def installed(self) -> Iterator[Stop]:
        """Let the first SIGINT, SIGTERM or SIGHUP request a stop, and each later one interrupt.

        A terminal that is closed may hang up more than once: that is one request. Where hanging up
        is ignored, as below ``nohup``, it stays so.

        The later ones raise `KeyboardInterrupt` in the main thread. The handlers before are put
        back at the end. In other threads, where Python allows no handlers, nothing is installed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        received: list[int] = []

        def handle(number: int, _: FrameType | None) -> None:
            # A closing terminal may hang up twice, which must not be taken for a second Ctrl-C.
            if number == _HANG_UP and self._reason is not None:
                return
            received.append(number)
            if len(received) > 1:
                raise KeyboardInterrupt
            self.request("interrupted")

        previous = {number: signal.signal(number, handle) for number in _signals_to_handle()}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _signals_to_handle() -> Iterator[int]:
    yield from _SIGNALS
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        yield _HANG_UP


@frozen
class Clock:
    """A stage's clock: when it started on the monotonic clock, and its limit in seconds."""

    started: float
    limit: float | None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def spent(self) -> bool:
        """Whether the limit, if there is one, is reached."""
        return self.limit is not None and self.seconds >= self.limit
