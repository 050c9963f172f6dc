"""How far a run is, as its checkpoints and records keep it, against all events read again."""

import hashlib
import io
from pathlib import Path

import pytest
import torch

from corenas import Event, Run, Stop
from corenas.runs import _checkpoint as checkpoints
from corenas.runs import journal
from corenas.runs import run as run_module
from corenas.runs.recovery import checkpoint_file, read_progress, recover
from corenas.search.lift import SampledSearch
from corenas.search.rungs._climb import Climb
from corenas.search.rungs.asha import Asha
from corenas.search.rungs.ladder import Ladder
from corenas.search.strategies.random import RandomSearch
from corenas.show.progress import Standing
from corenas.show.reporter import Quiet
from corenas.testing.surrogate import SurrogateSpace, surrogate_problem
from corenas.values.architecture import Architecture


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class Epochs:
    """A training that names an architecture now and then, as a one-shot search does."""

    def __init__(self):
        self.done = 0

    def events(self):
        while self.done < 5:
            self.done += 1
            known = Architecture("space", {"a": str(self.done)}) if self.done % 2 else None
            yield Event("epoch", self.done, 5, {"loss": 1 / self.done}, known, message="learning")

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        return run_module.Result({"done": self.done})


def work(run):
    sampler = RandomSearch(SurrogateSpace(), 1)
    problem = surrogate_problem(9, limit=7.5e9)  # refuses some
    search = SampledSearch(problem, sampler, lambda s: Asha(Climb(Ladder(3, 3), s), 9))
    run.stage("search", search, quantities=search.quantities)
    run.stage("train", Epochs())


def killed_after(folder: Path, events: int) -> bool:
    """Do the work until so many events are journaled; return whether there were as many."""
    seen = 0

    def observe(run: Run, event: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            raise Killed

    try:
        run = Run(folder, seed=0, stop=Stop(), reporter=Quiet(), observe=observe)
        work(run)
        run.close()
    except Killed:
        return True
    return False


def replayed(folder: Path) -> Standing:
    standing = Standing()
    for event in journal.read(folder / "journal.jsonl").events:
        standing.take(event)
    return standing


@pytest.fixture(params=["every event", "never"])
def checkpointing(request, monkeypatch):
    seconds = 0.0 if request.param == "every event" else float("inf")
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", seconds)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))


@pytest.mark.usefixtures("checkpointing")
def test_what_is_kept_is_what_all_events_say(tmp_path):
    number = 1
    while killed_after(tmp_path / str(number), number):
        folder = tmp_path / str(number)
        expected = replayed(folder).to_json()
        found = read_progress(folder)
        assert found.standing.to_json() == expected
        assert found.damage == ""
        # Opened, the journal is cut to what has a state behind it.
        recovered = recover(folder, print)
        read = journal.read(folder / "journal.jsonl")
        kept = [
            event
            for event, end in zip(read.events, read.ends, strict=True)
            if end <= recovered.offset
        ]
        assert recovered.events == len(kept)
        cut = Standing()
        for event in kept:
            cut.take(event)
        assert recovered.standing.to_json() == cut.to_json()
        number += 3
    whole = replayed(tmp_path / str(number)).stages
    assert number > 30
    assert [stage.name for stage in whole] == ["search", "train"]
    assert whole[0].counts["rejected"] > 0
    assert len(whole[0].rungs) == 3
    again = Standing.from_json(replayed(tmp_path / str(number)).to_json()).stages
    assert [list(stage.tally()) for stage in again] == [list(stage.tally()) for stage in whole]
    assert whole[1].latest.architecture == Architecture("space", {"a": "5"})


@pytest.mark.usefixtures("checkpointing")
def test_run_goes_on_to_the_same_end_after_it_was_looked_at(tmp_path):
    assert not killed_after(tmp_path / "whole", 1000)
    for number in (4, 17, 30):
        folder = tmp_path / str(number)
        assert killed_after(folder, number)
        assert not killed_after(folder, 1000)
        expected = read_progress(tmp_path / "whole").standing.to_json()
        assert read_progress(folder).standing.to_json() == expected


def test_damaged_journal_is_not_hidden_by_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))
    assert killed_after(tmp_path, 20)
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b"score", b"scope").replace(b"number", b"numbed")
    path.write_bytes(b"".join(lines))
    found = read_progress(tmp_path)
    assert "line 8 is damaged" in found.damage
    assert found.standing.to_json() == replayed(tmp_path).to_json()


def test_checkpoint_of_an_earlier_version_is_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))
    assert not killed_after(tmp_path / "whole", 1000)
    folder = tmp_path / "killed"
    assert killed_after(folder, 20)
    for file in checkpoints.candidates(checkpoint_file(folder)):
        write_as_version_1(file, checkpoints.load(file))
    assert read_progress(folder).standing.to_json() == replayed(folder).to_json()
    assert not killed_after(folder, 1000)
    expected = read_progress(tmp_path / "whole").standing.to_json()
    assert read_progress(folder).standing.to_json() == expected


def write_as_version_1(file, checkpoint):
    names = ("stage", "offset", "seconds", "state", "journal")
    buffer = io.BytesIO()
    torch.save({name: getattr(checkpoint, name) for name in names}, buffer)
    payload = buffer.getvalue()
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest().encode()
    file.write_bytes(b"corenas checkpoint 1 " + digest + b"\n" + payload)


def test_parts_of_a_journal_are_read_as_the_whole_is(tmp_path):
    assert not killed_after(tmp_path, 1000)
    path = tmp_path / "journal.jsonl"
    contents = journal.read(path)
    for event, end in zip(contents.events, contents.ends, strict=True):
        assert journal.event_before(path, end) == event
    for stage in ("search", "train", "none"):
        of_stage = [event for event in contents.events if event.stage == stage]
        assert list(journal.read_stage(path, stage)) == of_stage
    outline = journal.outline(path)
    assert tuple(outline.ends) == contents.ends
    pairs = list(zip(contents.events, contents.ends, strict=True))
    finished = [(e.stage, end) for e, end in pairs if e.message == "finished"]
    assert list(outline.finished) == finished
    trials = [(event, end) for event, end in pairs if event.kind == "trial"]
    numbers = list(journal.trial_numbers(path))
    assert len(numbers) == len(trials) > 9
    for (stage, trial, end), (event, its_end) in zip(numbers, trials, strict=True):
        assert (stage, end) == (event.stage, its_end)
        assert trial.architecture.choices == ()
        expected = {**event.trial.to_json(), "architecture": trial.architecture.to_json()}
        assert trial.to_json() == expected
