"""The run: whatever ends it, what is in its folder is enough to go on to the same end."""

import errno
import json
import os

import pytest
import torch

from corenas import CorenasError, Event, Result, ResumeError, Run, Stop
from corenas.runs import _checkpoint as checkpoints
from corenas.runs import run as run_module
from corenas.runs.journal import read
from corenas.search.lift import SampledSearch
from corenas.search.strategies.random import RandomSearch
from corenas.show.reporter import Quiet
from corenas.testing.surrogate import SurrogateSpace, surrogate_problem


class Crash(BaseException):
    """Stands for a kill: nothing catches it."""


class Counting:
    """A task whose events depend on random numbers, and whose state is a tensor."""

    def __init__(self, steps=6):
        self.steps = steps
        self.values = torch.zeros(0)
        self.generator = torch.Generator().manual_seed(3)

    def events(self):
        while len(self.values) < self.steps:
            draw = torch.rand(1, generator=self.generator)
            self.values = torch.cat([self.values, draw])
            yield Event("epoch", len(self.values), self.steps, {"draw": float(draw)})

    def state(self):
        return {"values": self.values, "generator": self.generator.get_state()}

    def restore(self, state):
        self.values = state["values"]
        self.generator.set_state(state["generator"])

    def result(self, folder):
        (folder / "sum.txt").write_text(str(float(self.values.sum())))
        return Result({"sum": float(self.values.sum())}, {"sum": "sum.txt"})


class Notes(Quiet):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


def open_run(folder, *, stop=None, reporter=None, observe=lambda run, event: None):
    return Run(folder, seed=0, stop=stop or Stop(), reporter=reporter or Quiet(), observe=observe)


@pytest.fixture(autouse=True)
def checkpoint_at_every_event(monkeypatch):
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))


def recipe(run):
    search = SampledSearch(surrogate_problem(8), RandomSearch(SurrogateSpace(), 1))
    first = run.stage("search", search)
    second = run.stage("count", Counting())
    return [t["number"] for t in first.values["trials"]], second.values


def lines(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def without_times(entries):
    return [{k: v for k, v in entry.items() if k not in ("time", "check")} for entry in entries]


def crash_at(count):
    seen = []

    def observe(run, event):
        seen.append(event)
        if len(seen) == count:
            raise Crash

    return observe


@pytest.mark.parametrize("share", [float("inf"), 1e-9], ids=["each event", "hardly ever"])
def test_resumed_journal_equals_uninterrupted(tmp_path, monkeypatch, share):
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", share)
    whole = open_run(tmp_path / "whole")
    expected = recipe(whole)
    whole.close()
    count = len(lines(tmp_path / "whole"))
    for cut in range(1, count + 1, 3):
        folder = tmp_path / f"cut-{cut}"
        crashed = open_run(folder, observe=crash_at(cut))
        with pytest.raises(Crash):
            recipe(crashed)
        crashed.close()
        again = open_run(folder)
        assert recipe(again) == expected
        again.close()
        assert without_times(lines(folder)) == without_times(lines(tmp_path / "whole"))
        assert (folder / "models" / "sum.txt").read_text() == (
            tmp_path / "whole" / "models" / "sum.txt"
        ).read_text()


def test_a_finished_stage_is_not_done_again(tmp_path):
    run = open_run(tmp_path)
    result = run.stage("count", Counting())
    run.close()

    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError(f"{name} was asked for")

    again = open_run(tmp_path)
    assert again.stage("count", Untouchable()) == result
    assert again.seconds["count"] == run.seconds["count"]
    again.close()


def test_a_stop_hands_over_the_best_so_far_and_the_stage_goes_on_later(tmp_path):
    stop = Stop()

    def observe(run, event):
        if event.step == 3:
            stop.request("interrupted")

    stopped = open_run(tmp_path, stop=stop, observe=observe)
    first = stopped.stage("count", Counting())
    untouched = stopped.stage("later", Counting())
    stopped.close()
    assert first.values["sum"] > 0
    assert untouched.values["sum"] == 0
    assert lines(tmp_path)[-1]["step"] == 3
    again = open_run(tmp_path)
    values = again.stage("count", Counting()).values
    again.close()
    whole = Counting()
    list(whole.events())
    assert values["sum"] == pytest.approx(float(whole.values.sum()), abs=0)


def test_a_torn_journal_is_cut_to_the_checkpoint_and_said(tmp_path):
    crashed = open_run(tmp_path, observe=crash_at(4))
    with pytest.raises(Crash):
        crashed.stage("count", Counting())
    crashed.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"kind": "epo')
    notes = Notes()
    again = open_run(tmp_path, reporter=notes)
    assert "damaged" in notes.said[0]
    again.stage("count", Counting())
    again.close()
    assert [e["step"] for e in lines(tmp_path)] == [0, 1, 2, 3, 4, 5, 6, 6]
    assert read(tmp_path / "journal.jsonl").damage == ""


@pytest.mark.parametrize("damaged", ["newest", "both"])
def test_a_damaged_checkpoint_costs_work_and_not_the_run(tmp_path, damaged):
    crashed = open_run(tmp_path, observe=crash_at(5))
    with pytest.raises(Crash):
        crashed.stage("count", Counting())
    crashed.close()
    files = list(checkpoints.candidates(tmp_path / "checkpoints" / "current.pt"))
    assert len(files) == 2
    for file in files[: 1 if damaged == "newest" else 2]:
        file.write_bytes(file.read_bytes()[:100])
    notes = Notes()
    again = open_run(tmp_path, reporter=notes)
    assert "damaged" in notes.said[0]
    again.stage("count", Counting())
    again.close()
    assert [e["step"] for e in lines(tmp_path)] == [0, 1, 2, 3, 4, 5, 6, 6]


def test_a_journal_shorter_than_its_checkpoint_is_believed(tmp_path):
    crashed = open_run(tmp_path, observe=crash_at(5))
    with pytest.raises(Crash):
        crashed.stage("count", Counting())
    crashed.close()
    os.truncate(tmp_path / "journal.jsonl", read(tmp_path / "journal.jsonl").ends[1])
    again = open_run(tmp_path)
    again.stage("count", Counting())
    again.close()
    assert [e["step"] for e in lines(tmp_path)] == [0, 1, 2, 3, 4, 5, 6, 6]


def test_a_stage_record_without_its_journal_is_dropped(tmp_path):
    run = open_run(tmp_path)
    run.stage("count", Counting())
    run.close()
    os.truncate(tmp_path / "journal.jsonl", 0)
    again = open_run(tmp_path)
    again.stage("count", Counting())
    again.close()
    assert len(lines(tmp_path)) == 8


def test_a_full_disk_is_said_with_the_way_on(tmp_path, monkeypatch):
    run = open_run(tmp_path)

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("corenas.runs.journal.os.write", full)
    with pytest.raises(CorenasError, match=r"No space left.*resume"):
        run.stage("count", Counting())
    monkeypatch.undo()
    run.close()
    again = open_run(tmp_path)
    assert again.stage("count", Counting()).values["sum"] > 0
    again.close()


def test_a_state_of_another_version_is_refused(tmp_path):
    crashed = open_run(tmp_path, observe=crash_at(3))
    with pytest.raises(Crash):
        crashed.stage("count", Counting())
    crashed.close()

    class Newer(Counting):
        def restore(self, state):
            raise KeyError("momentum")

    again = open_run(tmp_path)
    with pytest.raises(ResumeError, match="momentum"):
        again.stage("count", Newer())
    again.close()


def test_observers_are_told_that_the_journal_was_cut(tmp_path):
    crashed = open_run(tmp_path, observe=crash_at(3))
    with pytest.raises(Crash):
        crashed.stage("count", Counting())
    crashed.close()
    told = []
    open_run(tmp_path, observe=lambda run, event: told.append(event)).close()
    assert "resumed after" in told[0].message


def test_checkpoints_take_two_percent_of_the_time_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", 0.02)
    now = [0.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])
    saves = []

    def slow_save(path, checkpoint):
        saves.append(now[0])
        now[0] += 3.0

    monkeypatch.setattr(checkpoints, "save", slow_save)

    class Slow(Counting):
        def events(self):
            for event in super().events():
                now[0] += 1.0
                yield event

    open_run(tmp_path).stage("count", Slow(2000))
    spent = 3.0 * len(saves)
    assert len(saves) > 5
    assert spent / now[0] < 0.021


def test_kill_after_the_last_event_leaves_no_trace_in_the_journal(tmp_path):
    whole = open_run(tmp_path / "whole")
    whole.stage("count", Counting())
    whole.close()

    class Killed(Counting):
        def result(self, folder):
            raise Crash

    crashed = open_run(tmp_path / "killed")
    with pytest.raises(Crash):
        crashed.stage("count", Killed())
    crashed.close()
    again = open_run(tmp_path / "killed")
    again.stage("count", Counting())
    again.close()
    expected = without_times(lines(tmp_path / "whole"))
    assert without_times(lines(tmp_path / "killed")) == expected


def test_stop_before_the_first_step_hands_over_what_was_saved(tmp_path):
    crashed = open_run(tmp_path, observe=crash_at(4))
    with pytest.raises(Crash):
        crashed.stage("count", Counting())
    crashed.close()
    stop = Stop()
    stop.request("time budget")
    stopped = open_run(tmp_path, stop=stop)
    assert stopped.stage("count", Counting()).values["sum"] > 0
    assert stopped.stopped
    stopped.close()


def test_only_a_stage_that_was_left_open_makes_a_run_a_stopped_one(tmp_path):
    stop = Stop()
    run = open_run(tmp_path, stop=stop)
    run.stage("count", Counting())
    stop.request("interrupted")
    assert not run.stopped
    run.stage("count", Counting())
    assert not run.stopped
    run.stage("more", Counting(), folder="more")
    assert run.stopped
    run.close()


def test_stop_between_two_stages_leaves_the_run_open(tmp_path):
    stop = Stop()
    run = open_run(tmp_path, stop=stop)
    run.stage("count", Counting())
    assert not run.stopping()
    assert not run.stopped
    stop.request("interrupted")
    assert run.stopping()
    assert run.stopped
    run.close()


def test_full_disk_while_results_are_written_is_said(tmp_path):
    class Full(Counting):
        def result(self, folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = open_run(tmp_path)
    with pytest.raises(CorenasError, match=r"No space left.*resume"):
        run.stage("count", Full())
    run.close()


def test_what_a_kill_left_of_an_atomic_write_is_removed(tmp_path):
    torn = tmp_path / "checkpoints" / ".current.pt.x1~"
    torn.parent.mkdir()
    torn.write_bytes(b"half")
    open_run(tmp_path).close()
    assert not torn.exists()


def test_finished_stages_come_back_in_their_order(tmp_path):
    run = open_run(tmp_path)
    for name in ("search", "fresh", "a-last-one"):
        run.stage(name, Counting(), folder=name)
    run.close()
    again = open_run(tmp_path)
    assert list(again.seconds) == ["search", "fresh", "a-last-one"]
    again.close()
