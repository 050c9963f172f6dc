from __future__ import annotations

import math

import pytest

from corenas.names import printable
from corenas.show.progress import (
    RunProgress,
    StageProgress,
    format_duration,
    format_number,
    format_rate,
    trial_numbers,
)
from corenas.values.architecture import Architecture
from corenas.values.trial import Event, Measurement, Trial


def finished(number: int, score: float, choice: str = "") -> Event:
    architecture = Architecture("s", {"d": choice or str(number)})
    trial = Trial(number, architecture, Measurement({"psnr": score}), score)
    return Event("trial", number + 1, 10, trial=trial, stage="search")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (13_953_024_000, "13.95 G"),  # TPSR at x2, 1280x720
        (60_785, "60.8 K"),
        (999_999, "1.00 M"),
        (-25_000.5, "-25.0 K"),
        (9_999, "9999"),
        (0, "0"),
        (34.1, "34.10"),
        (1234.56, "1235"),
        (0.41, "0.4100"),
        (1.5e-05, "1.5e-05"),
        (3.99e18, "3.99e+18"),
        (None, "–"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_read_as_people_write_them(value: float | None, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (192, "3:12"), (3792, "1:03:12"), (183_600, "2 d 3 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(12.4, "12/s"), (1234, "1234/s"), (0.05, "3.0/min"), (0.9999 / 60, "60/h"), (1e-5, "0.0/h")],
)
def test_rates_have_the_smallest_unit_that_makes_them_one(rate: float, text: str) -> None:
    assert format_rate(rate) == text


def test_printable_text_has_no_control_characters() -> None:
    assert printable("a\x1b[2Jb\nc\r\u202ed") == "a [2Jb c  d"


def test_trial_numbers_keep_the_order_of_the_measurement() -> None:
    measurement = Measurement({"psnr": 34.123, "mult_adds": 13_953_024_000})
    trial = Trial(1, Architecture("s", {}), measurement, 34.123)
    expected = [("score", "34.12"), ("psnr", "34.12"), ("mult_adds", "13.95 G")]
    assert list(trial_numbers(trial).items()) == expected


def test_rate_and_time_left_come_from_recent_events() -> None:
    stage = StageProgress("train")
    stage.begin("", 100.0)
    assert stage.rate() is None
    stage.take(Event("epoch", 5, 50), 110.0)
    assert stage.rate() == pytest.approx(0.5)
    assert stage.seconds_left(110.0) == pytest.approx(90)
    assert stage.seconds_left(120.0) == pytest.approx(80)
    assert stage.seconds_left(1000.0) == 0


def test_earlier_sessions_count_but_take_no_time() -> None:
    progress = RunProgress()
    progress.take(Event("epoch", 40, 50, stage="train"), 0.0)
    assert progress.stages == []
    stage = progress.begin("train", "resumed", 100.0)
    progress.take(Event("epoch", 41, 50, stage="train"), 110.0)
    assert stage.rate() == pytest.approx(0.1)
    assert stage.position() == "41/50"


def test_the_next_stage_ends_the_one_before_and_only_its_own_event_finishes_it() -> None:
    progress = RunProgress()
    first = progress.begin("first", "", 1.0)
    progress.take(Event("epoch", 2, 2, stage="first"), 2.0)
    assert not first.finished
    progress.take(Event("stage", 2, 2, message="finished", stage="first"), 3.0)
    second = progress.begin("second", "", 4.0)
    assert first.finished
    assert first.ended == 3.0
    assert progress.current is second
    assert not second.finished


def test_stage_that_was_stopped_is_over_but_not_finished() -> None:
    progress = RunProgress()
    stage = progress.begin("train", "", 1.0)
    progress.take(Event("epoch", 2, 9, stage="train"), 2.0)
    assert progress.end(3.0) is stage
    assert progress.end(4.0) is None
    assert stage.ended == 3.0
    assert not stage.finished


def test_best_trials_are_ranked_once_per_architecture() -> None:
    stage = StageProgress("search")
    scores = [(0, 3.0, "a"), (1, 1.0, "b"), (2, 2.0, "b"), (3, 3.0, "c"), (4, 0.5, "d")]
    news = [stage.take(finished(*each), 0.0) for each in scores]
    assert [t.number for t in stage.best] == [0, 3, 2, 4]
    assert news == [True, False, False, False, False]


def test_running_trials_are_those_that_began_and_did_not_end() -> None:
    stage = StageProgress("search")
    stage.begin("", 0.0)
    for number in range(3):
        stage.take(Event("started", 0, 10, {"number": number}), 0.0)
    stage.take(finished(0, 1.0), 1.0)
    failed = Trial(1, Architecture("s", {"d": "x"}), status="failed", reason="killed")
    stage.take(Event("failed", 1, 10, trial=failed), 2.0)
    rejected = Trial(3, Architecture("s", {"d": "y"}), status="rejected", reason="too big")
    stage.take(Event("rejected", 1, 10, trial=rejected), 2.0)
    assert list(stage.tally()) == [
        (1, "finished"),
        (1, "rejected"),
        (1, "failed"),
        (1, "running"),
    ]
    assert stage.failure == "trial 1: killed"
    assert stage.scalars == {}


def test_scalars_with_a_slash_in_their_name_are_not_shown() -> None:
    stage = StageProgress("search")
    stage.take(Event("epoch", 1, 2, {"loss": 0.5, "path/0001": 0.25}), 0.0)
    assert stage.scalars == {"loss": 0.5}


def test_what_an_epoch_says_holds_until_the_next_one() -> None:
    stage = StageProgress("train")
    stage.take(Event("epoch", 1, 9, message="the discriminator wins"), 0.0)
    assert stage.message == "the discriminator wins"
    stage.take(Event("epoch", 2, 9), 1.0)
    assert stage.message == ""


def test_what_other_events_say_holds_until_there_is_news() -> None:
    stage = StageProgress("search")
    stage.take(Event("trial", 1, 9, message="the limit is tight"), 0.0)
    stage.take(finished(1, 1.0), 1.0)
    assert stage.message == "the limit is tight"


def test_a_failure_without_a_trial_is_counted_and_stays() -> None:
    stage = StageProgress("compare")
    stage.take(Event("epoch", 1, 9, message="a"), 0.0)
    stage.take(Event("failed", 3, 9, message="a: the loss is nan"), 0.0)
    stage.take(Event("epoch", 4, 9, message="b"), 0.0)
    assert list(stage.tally()) == [(1, "failed")]
    assert stage.failure == "a: the loss is nan"
    assert stage.message == "b"


def share(number: int, score: float, fidelity: float, **known: int) -> Event:
    architecture = Architecture("s", {"d": str(number)})
    measured = Measurement({"psnr": score})
    trial = Trial(number, architecture, measured, score, fidelity=fidelity, **known)
    return Event("trial", number + 1, 10, trial=trial, stage="search")


def test_highest_share_is_best_whatever_it_scores_and_shares_are_counted() -> None:
    stage = StageProgress("search")
    events = [share(0, 9.0, 1 / 9), share(1, 8.0, 1 / 9), share(2, 5.0, 1 / 3, continues=0)]
    assert [stage.take(event, 0.0) for event in events] == [True, False, True]
    assert [trial.number for trial in stage.best] == [2, 0, 1]
    assert stage.climbed() == "2 at 1/9, 1 at 1/3"
    stage.take(share(3, 4.0, 1.0, continues=2), 0.0)
    assert stage.best[0].number == 3
    assert stage.climbed() == "2 at 1/9, 1 at 1/3, 1 at all"


def test_full_trainings_are_not_counted_by_share_and_repeated_ones_are() -> None:
    stage = StageProgress("search")
    stage.take(share(0, 9.0, 1.0), 0.0)
    stage.take(share(1, 9.0, 1.0, repeats=0), 0.0)
    assert stage.climbed() == ""
    assert list(stage.tally()) == [(2, "finished"), (1, "of them repeated")]


def test_trial_that_its_stage_did_not_wait_for_is_not_running() -> None:
    stage = StageProgress("search")
    stage.take(Event("started", 0, 10, {"number": 0}, stage="search"), 0.0)
    assert list(StageProgress.from_json(stage.to_json()).tally()) == [(1, "running")]
    stage.take(Event("stage", 0, 10, message="finished", stage="search"), 0.0)
    assert list(StageProgress.from_json(stage.to_json()).tally()) == []
