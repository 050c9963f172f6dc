"""Progress bars: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.live import Live

from corenas.show import progress_bar as bars
from corenas.show.progress_bar import bar


def test_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(bar("abc", total=3, what="reading")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(bars, "LINE_SECONDS", 0)
    assert list(bar("abc", total=3, what="reading")) == ["a", "b", "c"]
    expected = "reading: 0 of 3\nreading: 1 of 3\nreading: 2 of 3\n"
    assert capsys.readouterr().err == expected


def test_terminal_gets_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(bar("abc", total=3, what="reading")) == ["a", "b", "c"]
    assert re.search(r"reading .*━.*100%", capsys.readouterr().err)


def test_live_screen_gets_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(bars, "LINE_SECONDS", 0)
    screen = io.StringIO()
    with Live("a run's screen", console=Console(file=screen), auto_refresh=False):
        assert list(bar("ab", total=2, what="reading")) == ["a", "b"]
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").split("\n")
    assert [line.strip() for line in lines if "reading" in line] == [
        "reading: 0 of 2",
        "reading: 1 of 2",
    ]
