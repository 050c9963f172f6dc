from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from corenas.show.reporter import LiveReporter, PlainReporter, Quiet, Reporter, reporter_for
from corenas.values.architecture import Architecture
from corenas.values.trial import Event, Measurement, Trial


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def terminal(output: io.StringIO) -> Console:
    return Console(file=output, force_terminal=True, width=80, height=24, _environ={})


def finished(number: int, score: float) -> Event:
    trial = Trial(
        number, Architecture("s", {"d": str(number)}), Measurement({"psnr": score}), score
    )
    return Event("trial", number + 1, 10, {"entropy": 4.0}, trial=trial, stage="search")


def failed(number: int, reason: str) -> Event:
    trial = Trial(number, Architecture("s", {"d": "x"}), status="failed", reason=reason)
    return Event("failed", number, 10, trial=trial, stage="search")


def test_terminal_gets_the_live_screen_and_a_pipe_plain_lines() -> None:
    assert isinstance(reporter_for(terminal(io.StringIO())), LiveReporter)
    assert isinstance(reporter_for(Console(file=io.StringIO(), _environ={})), PlainReporter)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(reporter_for(dumb), PlainReporter)


def test_plain_lines_tell_stages_and_new_best_trials_at_once() -> None:
    output, clock = io.StringIO(), Clock()
    reporter = PlainReporter(Console(file=output, width=20), clock=clock)
    reporter.start("tpsr", Path("runs/tpsr-1"))
    reporter.stage("search")
    for number, score in enumerate([30.0, 29.0, 31.0, 30.5]):
        clock.now += 1
        reporter.event(finished(number, score))
    reporter.checkpoint()
    reporter.close()
    first, third = (Architecture("s", {"d": d}).id for d in "02")
    assert output.getvalue().splitlines() == [
        "tpsr: writes into runs/tpsr-1",
        "search: begins",
        f"search 1/10: trial 0 ({first}) is the best so far: score 30, psnr 30",
        f"search 3/10: trial 2 ({third}) is the best so far: score 31, psnr 31",
        "search 4/10: ended after 4 s, entropy 4",
    ]


def test_plain_lines_sum_up_the_rest_every_so_many_seconds() -> None:
    output, clock = io.StringIO(), Clock()
    reporter = PlainReporter(Console(file=output), seconds=30.0, clock=clock)
    reporter.stage("train-x2")
    for step in range(1, 71):
        clock.now += 1
        reporter.event(Event("epoch", step, 100, {"loss": 2.5}, stage="train-x2"))
    lines = output.getvalue().splitlines()
    assert lines == [
        "train-x2: begins",
        "train-x2 30/100: 1.0/s, 1:10 left, loss 2.500",
        "train-x2 60/100: 1.0/s, 40 s left, loss 2.500",
    ]


def test_plain_summary_names_the_last_failure() -> None:
    output, clock = io.StringIO(), Clock()
    reporter = PlainReporter(Console(file=output), seconds=5.0, clock=clock)
    reporter.stage("search")
    reporter.event(failed(1, "timeout: 60 s"))
    clock.now = 6.0
    reporter.event(failed(2, "killed:\n\x1b[31m signal 9 [bold]"))
    assert output.getvalue().splitlines()[1:] == [
        "search 2/10: 20/min, 24 s left, 2 failed, "
        "last failure: trial 2: killed:  [31m signal 9 [bold]"
    ]


def test_end_of_a_short_stage_tells_of_trials_that_failed() -> None:
    output, clock = io.StringIO(), Clock()
    reporter = PlainReporter(Console(file=output), clock=clock)
    reporter.stage("search")
    reporter.event(finished(0, 30.0))
    reporter.event(failed(1, "timeout: 60 s"))
    reporter.event(failed(2, "killed: signal 9"))
    reporter.close()
    assert output.getvalue().splitlines()[-1] == (
        "search 2/10: ended after 0 s, entropy 4, 1 finished, 2 failed, "
        "last failure: trial 2: killed: signal 9"
    )


def test_plain_summary_has_what_the_newest_epoch_says() -> None:
    output, clock = io.StringIO(), Clock()
    reporter = PlainReporter(Console(file=output), seconds=5.0, clock=clock)
    reporter.stage("train")
    for step, message in enumerate(["", "the discriminator wins", ""], start=1):
        clock.now += 5
        reporter.event(Event("epoch", step, 3, {"loss": 1.5}, message=message, stage="train"))
    assert output.getvalue().splitlines()[1:] == [
        "train 1/3: 12/min, 10 s left, loss 1.500",
        "train 2/3: 12/min, 5 s left, loss 1.500, the discriminator wins",
        "train 3/3: 12/min, 0 s left, loss 1.500",
    ]


def test_stage_that_was_done_before_has_one_plain_line() -> None:
    output = io.StringIO()
    reporter = PlainReporter(Console(file=output), clock=Clock())
    reporter.event(Event("epoch", 10, 10, stage="train-x2"))
    reporter.event(Event("stage", 10, 10, message="finished", stage="train-x2"))
    reporter.stage("train-x2", "already done")
    reporter.close()
    assert output.getvalue() == "train-x2: already done\n"


def test_end_of_a_stage_stands_before_what_is_said_of_it() -> None:
    output = io.StringIO()
    reporter = PlainReporter(Console(file=output), clock=Clock())
    reporter.stage("train")
    reporter.event(Event("epoch", 10, 10, stage="train"))
    reporter.event(Event("stage", 10, 10, message="finished", stage="train"))
    reporter.say("a table")
    reporter.close()
    assert output.getvalue().splitlines() == [
        "train: begins",
        "train 10/10: ended after 0 s",
        "a table",
    ]


@pytest.mark.parametrize("make", [LiveReporter, PlainReporter])
def test_several_lines_stay_as_they_are(make: type[LiveReporter | PlainReporter]) -> None:
    output = io.StringIO()
    make(Console(file=output, width=40)).say("model  psnr\nx2     \x1b[1m31.1 [dB]")
    assert output.getvalue() == "model  psnr\nx2      [1m31.1 [dB]\n"


def test_plain_lines_survive_an_output_without_unicode() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    reporter = PlainReporter(Console(file=output), clock=Clock())
    reporter.say("größer – besser")
    output.seek(0)
    assert output.read() == "gr??er ? besser\n"


def test_live_screen_is_drawn_and_given_back() -> None:
    output = io.StringIO()
    reporter = LiveReporter(terminal(output))
    reporter.start("tpsr", Path("runs/tpsr-1"))
    reporter.stage("search")
    reporter.event(finished(0, 30.0))
    reporter.checkpoint()
    reporter.say("a line that [bold]stays")
    reporter.close()
    text = output.getvalue()
    assert "a line that [bold]stays" in text
    assert Architecture("s", {"d": "0"}).id in text
    assert "saved at step 1, 0 s ago" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_live_screen_is_drawn_at_most_four_times_a_second() -> None:
    output = io.StringIO()
    reporter = LiveReporter(terminal(output))
    reporter.start("tpsr", Path("runs/tpsr-1"))
    reporter.stage("search")
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < 1.0:
        reporter.event(finished(number, 30.0 + number))
        number += 1
    drawn = output.getvalue().count("runs/tpsr-1")
    reporter.close()
    assert number > 100
    assert 1 <= drawn <= 6


def test_live_screen_stands_events_and_lines_from_several_threads() -> None:
    output = io.StringIO()
    reporter = LiveReporter(terminal(output))
    reporter.start("tpsr", Path("runs/tpsr-1"))
    reporter.stage("search")

    def work(first: int) -> None:
        for number in range(first, first + 50):
            reporter.event(finished(number, 30.0 + number % 7))
            reporter.say(f"line {number}")

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    reporter.close()
    assert not any(thread.is_alive() for thread in threads)
    assert output.getvalue().count("line ") >= 200


@pytest.mark.parametrize("make", [Quiet, lambda: PlainReporter(Console(file=io.StringIO()))])
def test_reporters_take_events_before_any_stage(make: type[Reporter]) -> None:
    reporter = make()
    reporter.event(finished(0, 30.0))
    reporter.checkpoint()
    reporter.close()
    reporter.close()
