"""The journal: whatever damages its tail costs the tail, and is said."""

import json
import os
import random

import pytest

from corenas import Architecture, Event, Measurement, Trial
from corenas.runs.journal import Journal, decode, encode, read


def events(count):
    architecture = Architecture("space", {"a": "1", "b": "2"})
    for number in range(count):
        trial = Trial(number, architecture, Measurement({"psnr": 30.0 + number}, 1.5), 30.0)
        yield Event("trial", number, count, {"entropy": 0.5}, architecture, trial).at("search")


def written(path, count):
    journal = Journal(path)
    for event in events(count):
        journal.append(event)
    journal.close()
    return path


def test_events_come_back_equal(tmp_path):
    contents = read(written(tmp_path / "journal.jsonl", 5))
    assert contents.events == tuple(events(5))
    assert contents.damage == ""
    assert contents.size == (tmp_path / "journal.jsonl").stat().st_size


def test_every_line_is_json_with_a_checksum(tmp_path):
    for line in written(tmp_path / "j", 3).read_bytes().splitlines(keepends=True):
        assert set(json.loads(line)) > {"time", "kind", "check"}
        assert "check" not in decode(line)


def test_a_missing_journal_is_empty(tmp_path):
    assert read(tmp_path / "none").events == ()


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_torn_last_line_is_cut_and_said(tmp_path, cut):
    path = written(tmp_path / "j", 4)
    os.truncate(path, path.stat().st_size - cut)
    contents = read(path)
    assert contents.events == tuple(events(4))[:3]
    assert "line 4 is damaged" in contents.damage


def test_any_changed_byte_is_noticed(tmp_path):
    path = written(tmp_path / "j", 3)
    whole = path.read_bytes()
    ends = read(path).ends
    for position in random.Random(0).sample(range(len(whole)), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        line = sum(end <= position for end in ends)
        assert len(read(path).events) == line


def test_appending_from_an_offset_cuts_what_lies_behind_it(tmp_path):
    path = written(tmp_path / "j", 4)
    journal = Journal(path, read(path).ends[1])
    journal.append(Event("epoch", 7, stage="train"))
    journal.close()
    assert [event.step for event in read(path).events] == [0, 1, 7]


def test_numbers_that_json_lacks_are_left_out():
    value = Event("epoch", 1, 2, {"loss": float("nan"), "rate": 1.0}, stage="s").to_json()
    assert value["scalars"] == {"rate": 1.0}
    assert decode(encode(value)) == value


def test_appended_events_reach_the_disk_without_waiting_for_more(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("corenas.runs.journal.SYNC_SECONDS", 0.05)
    monkeypatch.setattr("corenas.runs.journal.os.fsync", synced.append)
    journal = Journal(tmp_path / "j")
    journal.append(Event("epoch", 1, stage="s"))
    timer = journal._timer
    assert timer is not None
    timer.join(5)
    assert len(synced) == 1
    journal.close()
