"""Trackers: each event once, whatever happens to the run; the run as without, whatever they do."""

from __future__ import annotations

import csv
import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from corenas import cli
from corenas.runs.journal import Entry, entries
from corenas.testing.installed import InstallPlugin
from corenas.tracking import session
from corenas.tracking._cursor import Cursor
from corenas.tracking._pump import Pump
from corenas.tracking.tracker import numbers_of


def journal_of(folder: Path) -> list[Entry]:
    """Return the lines of a run's journal."""
    file = folder / "journal.jsonl"
    return list(entries(file, 0, file.stat().st_size))


RUN = ("run", "tracked", "--out")


def rows(folder: Path, name: str = "events.csv", **options: Any) -> list[dict[str, str]]:
    with (folder / "tracking" / "csv" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, **options))


def check_events(folder: Path) -> None:
    """Check that the table has every number of every event of the journal once, in its order."""
    expected = [
        (str(entry.number), entry.time, entry.event.stage, str(entry.event.step), name, str(value))
        for entry in journal_of(folder)
        for name, value in (numbers_of(entry) or {"": ""}).items()
    ]
    found = [
        (row["event"], row["time"], row["stage"], row["step"], row["name"], row["value"])
        for row in rows(folder)
    ]
    assert found == expected
    assert len(journal_of(folder)) > 20


def test_tables_have_options_events_and_results(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.main([*RUN, str(out), "--track", "csv", "--set", "track.csv.separator=;"]) == 0
    with (out / "tracking" / "csv" / "events.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file, delimiter=";"))) > 20
    options = {r["name"]: r["value"] for r in rows(out, "parameters.csv", delimiter=";")}
    assert options["search.steps"] == "8"
    assert options["search.strategy"] == "random"
    assert options["recipe"] == "tracked"
    results = {r["name"]: r["value"] for r in rows(out, "summary.csv", delimiter=";")}
    assert results["state"] == "finished"
    best = json.loads((out / "summary.json").read_text())["models"][0]["psnr"]
    assert float(results["models.net.psnr"]) == best


def test_every_event_is_there_once(tmp_path: Path) -> None:
    assert cli.main([*RUN, str(tmp_path / "run"), "--track", "csv"]) == 0
    check_events(tmp_path / "run")


@pytest.mark.abuse("a tracked run is killed, and resumed")
@pytest.mark.parametrize(
    ("moments", "save_always"),
    [(("first 3",), True), (("second 1",), False), (("first 5", "first 7", "second 8"), False)],
)
def test_after_a_kill_every_event_is_there_once(
    command: Any, tmp_path: Path, moments: tuple[str, ...], save_always: bool
) -> None:
    out = tmp_path / "run"
    for moment in moments:
        words = ("run", "tracked", "--out", out, "--track", "csv")
        done = command(*words, env={"KILL_AT": moment}, save_always=save_always)
        assert done.status == -signal.SIGKILL, done.err
    done = command("resume", out, "--track", "csv")
    assert done.status == 0, done.err
    check_events(out)


@pytest.mark.abuse("a tracked run dies between what is logged and its cursor")
def test_what_was_logged_without_its_cursor_is_not_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    written = []
    real = Cursor.write

    def write(cursor: Cursor, path: Path) -> None:
        written.append(cursor.events)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        real(cursor, path)

    with monkeypatch.context() as patch:
        patch.setattr(Cursor, "write", write)
        patch.setenv("STOP_AT", "second 2")
        assert cli.main([*RUN, str(out), "--track", "csv"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("tracker 'csv' is given up") == 1
    assert "No space left" in shown
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    check_events(out)


def test_a_stopped_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setenv("STOP_AT", "second 2")
        assert cli.main([*RUN, str(out), "--track", "csv"]) == 0
        stopped = len(rows(out))
        assert stopped > 10
        patch.setenv("STOP_AT", "second 4")
        assert cli.main(["resume", str(out)]) == 0
    assert "'--track csv' goes on with it" in capsys.readouterr().out
    assert len(rows(out)) == stopped
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    check_events(out)


def test_a_run_may_be_tracked_when_it_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.main([*RUN, str(out)]) == 0
    for _ in range(2):  # the second time there is nothing left
        assert cli.main(["resume", str(out), "--track", "csv"]) == 0
        check_events(out)
    assert len(rows(out, "summary.csv")) > 1


@pytest.mark.abuse("the journal of a tracked run is damaged")
def test_a_journal_that_was_cut_is_logged_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setenv("STOP_AT", "second 4")
        assert cli.main([*RUN, str(out), "--track", "csv"]) == 0
    journal = out / "journal.jsonl"
    content = bytearray(journal.read_bytes())
    content[len(content) // 3] ^= 1
    journal.write_bytes(content)
    capsys.readouterr()
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    assert "it is logged again from its beginning" in capsys.readouterr().out
    check_events(out)


@pytest.mark.abuse("a tracker's own file was cut")
def test_a_table_that_was_cut_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setenv("STOP_AT", "second 2")
        assert cli.main([*RUN, str(out), "--track", "csv"]) == 0
    table = out / "tracking" / "csv" / "events.csv"
    table.write_text("")
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    assert "is shorter than what was written into it" in capsys.readouterr().out
    (out / "tracking" / "csv.json").unlink()
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    check_events(out)


def test_other_options_are_for_all_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert cli.main([*RUN, str(out), "--track", "csv", "--set", "track.csv.separator=;"]) == 0
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    assert "options are not those" in capsys.readouterr().out
    check_events(out)


def notes(folder: Path, name: str) -> list[list[str]]:
    text = (folder / "tracking" / name / "notes.txt").read_text()
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("_strangers")
def test_a_strangers_tracker_is_told_everything(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.main([*RUN, str(out), "--track", "plain"]) == 0
    told = notes(out, "plain")
    assert told[0] == ["begin", "8"]
    assert [n for w, n, *_ in told if w == "event"] == [str(e.number) for e in journal_of(out)]
    assert sorted(words[1] for words in told if words[0] == "picture") == ["first", "second"]
    assert told[-1] == ["end", "finished", "1", "20"]


@pytest.mark.usefixtures("_strangers")
@pytest.mark.parametrize(
    ("name", "said"),
    [("raising", "ConnectionError: no route to [bold]host[/bold];"), ("leaving", "SystemExit: 7;")],
)
def test_a_tracker_that_fails_is_said_once_and_the_run_is_as_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert cli.main([*RUN, str(tmp_path / "alone")]) == 0
    capsys.readouterr()
    assert cli.main([*RUN, str(tmp_path / "run"), "--track", name, "--track", "plain"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(f"tracker {name!r} is given up: {said} the run goes on") == 1
    one, other = (
        [e.event.to_json() for e in journal_of(tmp_path / each)] for each in ("alone", "run")
    )
    assert one == other
    assert notes(tmp_path / "run", "plain")[-1][0] == "end"


@pytest.mark.usefixtures("_strangers")
def test_a_tracker_that_hangs_is_waited_for_only_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "LAST_WORDS", 0.3)
    monkeypatch.setattr(session, "SILENCE", 0.0)
    out = tmp_path / "run"
    assert cli.main([*RUN, str(out), "--track", "hanging"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("has not answered for 0 s") == 1
    count = len(journal_of(out))
    assert shown.count(f"is not done after 0.3 s: {count} events are not logged") == 1
    assert f"corenas resume {out} --track hanging" in shown


@pytest.mark.usefixtures("_strangers")
def test_a_slow_tracker_holds_nobody_up_and_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a file that the recipe writes at its end: a run that waited would never end."""
    monkeypatch.setenv("RELEASE", str(tmp_path / "released"))
    out = tmp_path / "run"
    assert cli.main([*RUN, str(out), "--track", "slow"]) == 0
    told = notes(out, "slow")
    assert len([words for words in told if words[0] == "event"]) == len(journal_of(out))
    assert told[-1][:2] == ["end", "finished"]


@pytest.mark.usefixtures("_strangers")
def test_a_tracker_that_comes_back_after_its_session_does_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then another session has the run, which logs it whole."""
    out, first = tmp_path / "run", tmp_path / "first"
    monkeypatch.setattr(session, "LAST_WORDS", 0.3)
    monkeypatch.setenv("HELD", str(first))
    assert cli.main([*RUN, str(out), "--track", "held"]) == 0
    (thread,) = (each for each in threading.enumerate() if each.name == "track-held")
    monkeypatch.setattr(session, "LAST_WORDS", 30.0)
    monkeypatch.setenv("HELD", str(tmp_path))
    assert cli.main(["resume", str(out), "--track", "held"]) == 0
    cursor = (out / "tracking" / "held.json").read_bytes()
    told = notes(out, "held")
    assert [n for w, *n in told if w == "event"] == [[str(each.number)] for each in journal_of(out)]
    assert told[-1][:2] == ["end", "finished"]  # and no flush behind it
    first.touch()
    thread.join(30)
    assert not thread.is_alive()
    assert notes(out, "held") == told
    assert (out / "tracking" / "held.json").read_bytes() == cursor


@pytest.mark.usefixtures("_strangers")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--track", "csw"), "unknown tracker 'csw'; did you mean 'csv'?"),
        (("--track", "csv", "--track", "csv"), "given twice"),
        (("--set", "track.csv.separator=;"), "--track csv is not given"),
        (("--track", "csv", "--set", "track.csv.separater=;"), "track.csv: unknown key"),
        (("--track", "csv", "--set", "track.csv.separator=x"), "track.csv.separator: "),
        (("--track", "csv", "--set", "track.csv=3"), "expected track.NAME.KEY=VALUE"),
        (("--track", "csv", "--set", "track={}"), "expected track.NAME.KEY=VALUE"),
        (("--track", "csv", "--set", "track={csv={}, x={}}"), "expected track.NAME.KEY=VALUE"),
        (("--track", "csv", "--set", 'track."csv".separator=;'), '--track "csv" is not given'),
        (("--track", "csv", "--set", "track.csv.use=plain"), "another --track"),
    ],
)
def test_wrong_words_are_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert cli.main([*RUN, str(tmp_path / "run"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_second_interrupt_waits_for_no_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(pump: Pump, seconds: float) -> bool:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Pump, "wait", interrupted)
        assert cli.main([*RUN, str(out), "--track", "csv"]) == 130
    assert f"corenas resume {out}" in capsys.readouterr().err
    assert cli.main(["resume", str(out), "--track", "csv"]) == 0
    check_events(out)


def test_a_recipe_that_fails_ends_with_its_own_error(
    tmp_path: Path, install_plugin: InstallPlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    install_plugin(
        "failing",
        "from corenas import NoOptions, Recipe, CorenasError, hookimpl\n"
        "def run(run, options):\n    raise CorenasError('no data')\n"
        "@hookimpl\ndef corenas_recipes():\n"
        "    return [Recipe('failing', 'failing:run', NoOptions)]\n",
    )
    assert cli.main(["run", "failing", "--out", str(tmp_path / "run"), "--track", "csv"]) == 1
    shown = capsys.readouterr()
    assert "no data" in shown.err
    assert "tracker" not in shown.out
