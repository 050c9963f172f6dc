"""The page of ``corenas compare``, and names on it and on the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from corenas import cli

Make = Callable[..., Path]


@pytest.mark.abuse("the page of a comparison cannot be written")
def test_a_page_that_cannot_be_written_is_said(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = str(make("one")), str(make("two", strategy="mine"))
    assert cli.main(["compare", *folders, "--html", "/proc/nowhere/page.html"]) == 1
    assert "/proc/nowhere/page.html: cannot be written" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert cli.main(["compare", *folders, "--html", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot be read: Not a directory" in capsys.readouterr().err


HOSTILE = "[bold]x[/bold] \x1b[31mred <img src=x onerror=alert(1)> & 'q'"


class Page(HTMLParser):
    """Collects a page's tags, their attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_are_text_on_the_terminal_and_on_the_page(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = make(HOSTILE), make("two", strategy=HOSTILE.replace("\x1b", ""))
    page = tmp_path / "page.html"
    for _ in range(2):  # its own page is written over
        assert cli.main(["compare", str(one), str(two), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert HOSTILE.replace("\x1b", " ") in shown
    assert "strategy" in shown
    read = Page(page.read_text(encoding="utf-8"))
    assert HOSTILE.replace("\x1b", " ") in read.text
    assert "script" not in read.tags
    assert read.links
    assert all(link.startswith("data:image/png;base64,") for link in read.links)
    assert len(page.read_bytes()) < 300_000
    assert not re.search(r"https?://", page.read_text(encoding="utf-8"))


def test_ten_runs_make_one_picture(make: Make, tmp_path: Path) -> None:
    folders = [
        make(f"run-{n}", seed=n % 5, strategy="ab"[n // 5], bonus=[0, 1, 2, 3, 4])
        for n in range(10)
    ]
    page = tmp_path / "page.html"
    assert cli.main(["compare", *map(str, folders), "--html", str(page)]) == 0
    assert Page(page.read_text(encoding="utf-8")).tags.count("img") == 1
