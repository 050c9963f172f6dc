"""States of candidates between two of their trainings: in the run's folder, not in memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from corenas.files import atomic_write

_DIGEST = 16
_SUFFIX = ".state"


class KeptStates(Protocol):
    """Bytes by the number of a trial.

    With several workers a number may come to stand for another candidate, when what followed a
    checkpoint is done again: so each has its ``owner`` with it, the architecture's id.
    """

    def keep(self, number: int, owner: str, state: bytes) -> None:
        """Take a state in."""

    def get(self, number: int, owner: str) -> bytes:
        """Return a state; nothing where it is gone, and then its training begins anew."""

    def settle(self, needed: Collection[int]) -> None:
        """Remove what neither ``needed`` nor the last two calls named.

        It is called whenever the search's state is taken, for a checkpoint: the two before may
        still be what the run goes on from.
        """


def states_in(folder: Path | None) -> KeptStates:
    """Return the states that are kept in a folder, or in memory where there is none."""
    return _InMemory() if folder is None else _InFolder(folder)


class _Generations:
    """What the last two checkpoints need."""

    def __init__(self) -> None:
        self._before: deque[frozenset[int]] = deque(maxlen=2)

    def needless(self, kept: Collection[int], needed: Collection[int]) -> set[int]:
        """Return which of the kept ones no checkpoint needs; none before there were two."""
        before, now = tuple(self._before), frozenset(needed)
        self._before.append(now)
        return set() if len(before) < 2 else set(kept).difference(now, *before)


class _InMemory:
    def __init__(self) -> None:
        self._states: dict[int, tuple[str, bytes]] = {}
        self._generations = _Generations()

    def keep(self, number: int, owner: str, state: bytes) -> None:
        self._states[number] = owner, state

    def get(self, number: int, owner: str) -> bytes:
        known, state = self._states.get(number, (owner, b""))
        return state if known == owner else b""

    def settle(self, needed: Collection[int]) -> None:
        for number in self._generations.needless(self._states, needed):
            del self._states[number]


class _InFolder:
    """A file for each state, with a digest of its owner and itself in front."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generations = _Generations()

    def keep(self, number: int, owner: str, state: bytes) -> None:
        with atomic_write(self._path(number)) as file:
            file.write(_digest(owner, state))
            file.write(state)

    def get(self, number: int, owner: str) -> bytes:
        try:
            content = self._path(number).read_bytes()
        except FileNotFoundError:
            return b""
        digest, state = content[:_DIGEST], content[_DIGEST:]
        # A damaged one costs the time to train it again, and nothing else.
        return state if digest == _digest(owner, state) else b""

    def settle(self, needed: Collection[int]) -> None:
        kept = {int(path.stem) for path in self._folder.glob(f"*{_SUFFIX}")}
        for number in self._generations.needless(kept, needed):
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}{_SUFFIX}"


def _digest(owner: str, state: bytes) -> bytes:
    return hashlib.blake2b(state, digest_size=_DIGEST, key=owner.encode()).digest()
