"""What each part of a space's networks takes on a device: a file that travels to the search."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from corenas.cost import MadeOfParts, Shape
from corenas.errors import ConfigError, DataError
from corenas.files import atomic_write
from corenas.names import printable
from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture

_WHAT, _VERSION = "corenas latency table", 1
_LARGEST = 2**24
"""Bytes that such a file may have; one of all parts of `tiny` has 20 kB."""


@frozen
class LatencyTable:
    """Seconds of the parts of networks, by `corenas.cost.Part.key`.

    Args:
        space: The space's name.
        input: Width and height of the low-resolution image.
        engine: What ran the parts, with its version.
        threads: How many threads computed.
        processor: The name of what computed.
        seconds: Of each part.
        agreement: How sums agree with whole networks, for people.
    """

    space: str
    input: tuple[int, int]
    engine: str
    threads: int
    processor: str
    seconds: Mapping[str, float] = field(factory=dict)
    agreement: Mapping[str, float] = field(factory=dict)

    @property
    def shape(self) -> Shape:
        """The shape of a network's input."""
        width, height = self.input
        return (1, 3, height, width)

    @property
    def protocol(self) -> str:
        """What a sum of the parts is, in words."""
        width, height = self.input
        plural = "s" if self.threads > 1 else ""
        return (
            f"input of {width}x{height}, sum of parts, {self.engine}, {self.threads} "
            f"thread{plural}, {self.processor}"
        )

    def estimate(self, space: MadeOfParts, architecture: Architecture) -> float:
        """Return the seconds of a forward pass: the sum of those of the network's parts."""
        return sum(self.seconds[part.key] for part in space.parts(architecture, self.shape))

    def check(self, space: SearchSpace) -> MadeOfParts:
        """Return the space, if the table has all of its networks' parts.

        Raises:
            ConfigError: It does not tell its parts, or the table lacks one.
        """
        parts = check_parts(space)
        if space.name != self.space:
            raise ConfigError(f"a latency table of the space {self.space!r}, not {space.name!r}")
        lacking = [p.key for p in parts.all_parts(self.shape) if p.key not in self.seconds]
        if lacking:
            raise ConfigError(
                f"the latency table lacks {len(lacking)} parts of the space as its options are, "
                f"such as {lacking[0]!r}; make it with the same options"
            )
        return parts

    @classmethod
    def read(cls, path: Path) -> LatencyTable:
        """Read a file.

        Raises:
            DataError: It cannot be read, or is no such table.
        """
        try:
            if path.stat().st_size > _LARGEST:
                raise DataError(f"{path}: too large for a latency table")
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise DataError(f"{path}: no latency table: {error}") from error
        if not isinstance(value, dict) or value.get("what") != _WHAT:
            raise DataError(f"{path}: no latency table, as 'corenas latency table' writes it")
        if value.get("version") != _VERSION:
            raise DataError(
                f"{path}: a latency table of version {value.get('version')!r}, which this CoreNAS "
                "does not know"
            )
        try:
            return cls._parse(value)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(f"{path}: a damaged latency table: {error!r}") from error

    @classmethod
    def _parse(cls, value: Mapping[str, Any]) -> LatencyTable:
        width, height = value["input"]
        seconds = {str(key): float(each) for key, each in value["seconds"].items()}
        wrong = [key for key, each in seconds.items() if not 0 <= each < math.inf]
        if wrong:
            raise ValueError(f"no time: {wrong[0]}")
        # Not isinstance: True is an int to Python.
        if not all(type(side) is int and side > 0 for side in (width, height)):
            raise ValueError(f"no size: {value['input']}")
        return cls(
            str(value["space"]),
            (width, height),
            # They go to the screen.
            printable(str(value["engine"])),
            int(value["threads"]),
            printable(str(value["processor"])),
            seconds,
            {str(key): float(each) for key, each in value["agreement"].items()},
        )

    @property
    def digest(self) -> str:
        """A hash of all that the table says."""
        return hashlib.sha256(self._content()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        with atomic_write(path) as file:
            file.write(self._content())

    def _content(self) -> bytes:
        value = {
            "what": _WHAT,
            "version": _VERSION,
            "space": self.space,
            "input": list(self.input),
            "engine": self.engine,
            "threads": self.threads,
            "processor": self.processor,
            "agreement": dict(self.agreement),
            "seconds": dict(self.seconds),
        }
        return json.dumps(value, indent=1).encode() + b"\n"


def check_parts(space: SearchSpace) -> MadeOfParts:
    """Return the space, if it tells what its networks are made of.

    Raises:
        ConfigError: It does not.
    """
    if not isinstance(space, MadeOfParts):
        raise ConfigError(
            f"the space {space.name!r} does not tell the parts of its networks; time candidates "
            "whole, with the option 'latency' of the evaluator"
        )
    return space
