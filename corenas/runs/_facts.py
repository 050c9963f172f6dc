"""Small facts that a run finds out once and keeps when it is resumed, such as what was missing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from corenas.errors import ResumeError
from corenas.files import write_json
from corenas.runs._stage_files import writing


class Facts:
    """JSON values by name, each in a file with its digest.

    Args:
        folder: Holds the files, in that of the run.
        known: Whether facts in the folder still hold. Where not, they are found out again.
    """

    def __init__(self, folder: Path, *, known: bool) -> None:
        self._folder = folder
        self._known = known
        self._values: dict[str, Any] = {}

    def has(self, name: str) -> bool:
        """Return whether the fact is known; `get` then returns it."""
        # A run that never came to an event may be begun with other data: its facts do not hold.
        return name in self._values or (self._known and self._path(name).exists())

    def get(self, name: str) -> Any:
        """Return a fact that is known.

        Raises:
            ResumeError: The file that holds it is damaged.
        """
        if name not in self._values:
            self._values[name] = _read(self._path(name))
        return self._values[name]

    def keep(self, name: str, value: Any, *, of_data: bool = False) -> None:
        """Write a fact down; readers of other folders are told whether it is one of the data."""
        held = {"value": value, "digest": digest_of(value)}
        with writing(self._folder.parent):
            write_json(self._path(name), held | {"of_data": True} if of_data else held)
        self._values[name] = json.loads(json.dumps(value))  # as it is found again: tuples are lists

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.fact.json"


def _read(path: Path) -> Any:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        value, digest = held["value"], held["digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResumeError(_explain_damage(path)) from error
    if digest != digest_of(value):
        raise ResumeError(_explain_damage(path))
    return value


def _explain_damage(path: Path) -> str:
    return (
        f"{path}: damaged, and the run rests on what it held: bring the file back from a copy, or "
        "begin the run anew in another folder"
    )


def digest_of(value: Any) -> str:
    """Return what tells a JSON value from any other one."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
