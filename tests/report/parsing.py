"""A page as a test reads it: elements, texts and what it would ask others for."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

from corenas.plugins.registry import default_registry
from corenas.report.page import make_page

VOID = {"meta", "img", "br", "hr", "input", "link", "base"}


class Page(HTMLParser):
    """Collects elements with their attributes, and the text of all and of each table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self.open: list[str] = []
        self._caption = ""
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td") and self._rows:
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[" ".join(self._caption.split())] = self._rows

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            return
        self.words.append(data)
        if "caption" in self.open:
            self._caption += data
        elif ("td" in self.open or "th" in self.open) and self._rows and self._rows[-1]:
            self._rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def table(self, beginning: str) -> list[list[str]]:
        (rows,) = [rows for name, rows in self.tables.items() if name.startswith(beginning)]
        return [[" ".join(cell.split()) for cell in row] for row in rows]

    def blocks(self, tag: str) -> list[str]:
        """Return the contents of scripts or styles, as they stand in the source."""
        return re.findall(rf"<{tag}>(.*?)</{tag}>", self.source, re.DOTALL)


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def make(folder: Path, *, state: str = "finished") -> Page:
    return Page(make_page(folder, registry=default_registry(), state=state))


def check_harmless(page: Page) -> None:
    """Check that nothing in a page acts but its own scripts, and that it asks nobody."""
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert attributes.get("src", "data:").startswith("data:"), tag
        assert tag not in ("link", "iframe", "object", "base", "form")
        href = attributes.get("href", "#")
        assert href.startswith(("#", "./")), href
    assert "\x1b" not in page.source
    (policy,) = [e["content"] for e in page.all("meta") if "http-equiv" in e]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    for tag in ("script", "style"):
        digests = [hashlib.sha256(block.encode()).digest() for block in page.blocks(tag)]
        hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
        assert rules[f"{tag}-src"].split() == hashes
    assert "unsafe" not in policy
    assert "style" not in {name for _, attributes in page.elements for name in attributes}
