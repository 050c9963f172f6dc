"""An option's type decides how the text of an assignment is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import frozen

from corenas.options.declaring import option
from corenas.options.structuring import structure
from corenas.options.toml import parse_assignment


@frozen
class Inner:
    text: str = option("", "text")
    path: Path = option(Path(), "a path")
    unset: str | None = option(None, "text or nothing")
    choice: Literal["1", "x"] = option("x", "a choice")
    either: int | str = option(0, "a number or text")
    whole: int = option(0, "an integer")
    real: float = option(0.0, "a number")
    flag: bool = option(False, "yes or no")


@pytest.mark.parametrize("written", ["2024", "1.50", "true", "2024-01-01", "1e3", "007", "inf"])
@pytest.mark.parametrize(("key", "make"), [("text", str), ("path", Path), ("unset", str)])
def test_text_stays_as_it_is_written(written: str, key: str, make: Any) -> None:
    found = structure(Inner, parse_assignment(f"{key}={written}"))
    assert getattr(found, key) == make(written)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [("choice=1", "1"), ("either=7", 7), ("whole=7", 7), ("real=7", 7.0), ("flag=true", True)],
)
def test_other_types_are_read_as_before(assignment: str, value: Any) -> None:
    found = structure(Inner, parse_assignment(assignment))
    assert getattr(found, assignment.partition("=")[0]) == value
