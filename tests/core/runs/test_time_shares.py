"""A stage with a share of the time: it ends at the first event after that, and stays done."""

import json

import pytest

from corenas import Event, Result, Run, Stop
from corenas.show.reporter import Quiet


class Said(Quiet):
    def __init__(self):
        super().__init__()
        self.lines = []

    def say(self, message):
        self.lines.append(message)


class Counting:
    """Counts to a hundred; each number takes a second of a clock of our own."""

    def __init__(self, clock):
        self._clock = clock
        self.number = 0

    def events(self):
        while self.number < 100:
            self._clock[0] += 1.0
            self.number += 1
            yield Event("epoch", self.number, 100)

    def state(self):
        return {"number": self.number}

    def restore(self, state):
        self.number = state["number"]

    def result(self, folder):
        return Result({"number": self.number})


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_stage_ends_when_its_share_is_spent(tmp_path, clock):
    said = Said()
    run = Run(tmp_path, seed=0, stop=Stop(), reporter=said)
    result = run.stage("count", Counting(clock), seconds=10)
    assert result.values == {"number": 10}
    assert not run.stopped
    assert said.lines == ["count: its 10 s are spent; what it has is taken"]
    # The next stage has a clock of its own, and one that ends in time says nothing.
    assert run.stage("again", Counting(clock), seconds=1000).values == {"number": 100}
    run.close()
    again = Run(tmp_path, seed=0, stop=Stop(), reporter=said)
    assert again.stage("count", Counting(clock), seconds=1000).values == {"number": 10}
    again.close()
    events = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [e["message"] for e in events if "message" in e] == ["started", "finished"] * 2


def test_a_share_counts_what_earlier_sessions_took(tmp_path, clock):
    stop = Stop()
    run = Run(tmp_path, seed=0, stop=stop, reporter=Quiet())
    events = Counting(clock)
    original = events.events

    def interrupted():
        for event in original():
            if event.step == 6:
                stop.request("interrupted")
            yield event

    events.events = interrupted
    assert run.stage("count", events, seconds=10).values == {"number": 6}
    assert run.stopped
    run.close()
    again = Run(tmp_path, seed=0, stop=Stop(), reporter=Quiet())
    assert again.stage("count", Counting(clock), seconds=10).values == {"number": 10}
    assert not again.stopped
    again.close()
