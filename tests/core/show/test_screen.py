from __future__ import annotations

import itertools

import pytest
from rich.text import Text

from corenas.show._screen import Screen
from corenas.values.architecture import Architecture
from corenas.values.trial import Event, Measurement, Trial


def search_screen(*, trials: int = 8) -> Screen:
    """A screen as it is two minutes into a search, after a finished training."""
    screen = Screen("tpsr tiny", "/data/of/somebody/runs/tpsr-2026-11-21-0930")
    progress = screen.progress
    progress.begin("teacher", "", 0.0)
    progress.take(Event("epoch", 300, 300, {"loss": 5.0}, stage="teacher"), 60.0)
    progress.take(Event("stage", 300, 300, message="finished", stage="teacher"), 60.0)
    progress.begin("search", "", 60.0)
    for number in range(trials):
        metrics = {"psnr": 30.0 + number, "mult_adds": 1e9 * (1 + number), "params": 60_785}
        trial = Trial(
            number, Architecture("tpsr", {"d": str(number)}), Measurement(metrics), 30.0 + number
        )
        event = Event(
            "trial",
            number + 1,
            100,
            {"reward": 0.5, "entropy": 42.83},
            trial=trial,
            stage="search",
        )
        progress.take(event, 70.0 + 10 * number)
    screen.saved = (7, 130.0)
    return screen


def plain(lines: list[Text]) -> list[str]:
    return [line.plain for line in lines]


def test_search_shows_its_stages_best_trials_scalars_and_state() -> None:
    lines = plain(search_screen().draw(80, 23, 142.0))
    text = "\n".join(lines)
    assert lines[0].startswith("tpsr tiny")
    assert lines[0].endswith("runs/tpsr-2026-11-21-0930")
    assert lines[2].startswith("✓ teacher  ━")
    assert lines[2].rstrip().endswith("300/300  took 1:00")
    assert lines[3].startswith("● search   ━")
    assert lines[3].rstrip().endswith("8/100  6.0/min, 15:18 left")
    header = ["trial", "architecture", "score", "psnr", "mult_adds", "params"]
    assert lines[5].split() == header
    best = Architecture("tpsr", {"d": "7"}).id
    assert lines[6].split() == ["#7", best, "37", "37", "8.00", "G", "60.8", "K"]
    assert [line.split()[0] for line in lines[6:11]] == ["#7", "#6", "#5", "#4", "#3"]
    assert "reward 0.5000   entropy 42.83" in text
    assert "8 finished" in text
    assert lines[-1] == "saved at step 7, 12 s ago"


@pytest.mark.parametrize("trials", [0, 1, 8])
def test_screen_fits_every_terminal(trials: int) -> None:
    screen = search_screen(trials=trials)
    for width, height in itertools.product((1, 2, 5, 11, 20, 47, 80, 250), (1, 2, 5, 9, 23, 60)):
        lines = screen.draw(width, height, 150.0)
        assert 1 <= len(lines) <= height
        assert all(line.cell_len <= width for line in lines)


def test_stage_in_progress_is_the_last_to_go() -> None:
    assert plain(search_screen().draw(80, 1, 150.0))[0].startswith("● search")


def test_narrow_table_leaves_out_whole_columns() -> None:
    table = next(line for line in plain(search_screen().draw(45, 23, 150.0)) if "trial" in line)
    assert table.split() == ["trial", "architecture", "score", "psnr"]


def test_stage_that_was_stopped_is_not_shown_as_done() -> None:
    screen = search_screen()
    screen.progress.end(200.0)
    lines = plain(screen.draw(80, 23, 200.0))
    assert lines[3].startswith("· search")
    assert lines[3].rstrip().endswith("8/100  took 2:20")


def test_failure_and_message_cannot_disturb_the_terminal() -> None:
    screen = search_screen()
    trial = Trial(
        9, Architecture("tpsr", {}), status="failed", reason="killed\n\x1b[2J[red]" + "x" * 200
    )
    screen.progress.take(Event("failed", 8, 100, trial=trial, stage="search"), 150.0)
    lines = plain(screen.draw(80, 23, 150.0))
    failure = next(line for line in lines if "last failure" in line)
    assert failure.startswith("last failure: trial 9: killed  [2J[red]xxx")
    assert all(len(line) <= 80 and line.isprintable() for line in lines)


def test_terminal_without_unicode_gets_ascii() -> None:
    screen = search_screen()
    screen.title = "größer ✓"
    lines = plain(screen.draw(80, 23, 150.0, ascii_only=True))
    assert all(line.isascii() for line in lines)
    assert lines[3].startswith("* search   =>----")


def test_training_without_trials_has_no_table() -> None:
    screen = Screen("train", "runs/x")
    screen.progress.begin("train-x2", "", 0.0)
    screen.progress.take(Event("epoch", 5, 0, {"loss": 1.5}, stage="train-x2"), 10.0)
    lines = plain(screen.draw(80, 23, 11.0))
    assert not any("architecture" in line for line in lines)
    assert lines[2].split()[-2:] == ["5", "30/min"]
    assert lines[-1] == "loss 1.500"


def test_what_an_epoch_says_is_shown_with_the_last_failure() -> None:
    screen = Screen("tpsr", "runs/x")
    screen.progress.begin("compare", "", 0.0)
    failure = Event("failed", 5, 9, message="srgan-1: the loss is nan", stage="compare")
    screen.progress.take(failure, 5.0)
    said = "srgan-2: the discriminator\x1b[2J wins"
    screen.progress.take(Event("epoch", 6, 9, {"loss": 1.5}, message=said, stage="compare"), 6.0)
    assert plain(screen.draw(80, 23, 7.0))[-3:] == [
        "1 failed",
        "last failure: srgan-1: the loss is nan",
        "srgan-2: the discriminator [2J wins",
    ]
    screen.progress.take(Event("epoch", 7, 9, {"loss": 1.5}, stage="compare"), 8.0)
    assert plain(screen.draw(80, 23, 9.0))[-1] == "last failure: srgan-1: the loss is nan"


def test_search_in_shares_shows_how_far_the_best_are_trained() -> None:
    screen = Screen("digits", "runs/here")
    screen.progress.begin("search", "", 0.0)
    for number, fidelity in enumerate((1 / 9, 1 / 9, 1 / 3)):
        trial = Trial(
            number, Architecture("s", {"d": str(number)}), Measurement({}), 9.0, fidelity=fidelity
        )
        screen.progress.take(Event("trial", 1, 10, trial=trial, stage="search"), 1.0)
    lines = [line.split() for line in plain(screen.draw(80, 23, 2.0))]
    assert ["trial", "architecture", "share", "score"] in lines
    assert ["#2", Architecture("s", {"d": "2"}).id, "1/3", "9"] in lines
    assert ["shares", "of", "the", "training:", "2", "at", "1/9,", "1", "at", "1/3"] in lines
