"""Jobs that take time and do nothing with it.

Apart from what runs them: each of a hundred worker processes imports this, and torch alone would
take 280 MB of memory in each.
"""

from __future__ import annotations

import os
import time

from attrs import evolve, frozen

from corenas import Job, Outcome, Report

SPAN = ("began", "ended", "process")
"""Names of the metrics that `Sleeping` adds."""


@frozen
class Sleeping:
    """A job that takes its time first, and says when and where it was."""

    job: Job
    seconds: float

    def run(self, device: str, report: Report) -> Outcome:
        began = time.time()
        time.sleep(self.seconds)
        outcome = self.job.run(device, report)
        span = dict(zip(SPAN, (began, time.time(), float(os.getpid())), strict=True))
        return evolve(outcome, metrics={**outcome.metrics, **span})


@frozen
class NoOp:
    """A job of no length."""

    def run(self, device: str, report: Report) -> Outcome:
        return Outcome({})
