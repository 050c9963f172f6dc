"""How long a stage has been going on, and how long it may."""

from __future__ import annotations

import time

from attrs import frozen


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
