"""Decoded images in a file of the user's cache, which every process of a machine maps.

A folder of images is decoded once for each scale. Then a run, each of its workers, and the next run
map the same pixels: they take memory once, and starting takes no decoding. A store goes by the
content of the files. It is a folder ``images/KEY`` of the cache with the pixels of the
high-resolution side (``hr.bin``), those of the low-resolution side (``lr.bin``), and what tells the
images apart (``images.json``).
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from attrs import asdict, frozen
from filelock import FileLock, Timeout
from torch import Tensor

from corenas.errors import DataError
from corenas.files import atomic_write, cache_folder, sync_folder

_FORMAT = 1
_SIDES = ("hr", "lr")
_BLOCK = 2**24
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0
_SPARE = 2**28
"""Bytes of the disk that a store leaves free, at least."""


@frozen
class Entry:
    """A pair in the store: its name, the sides' (height, width), and digests of their pixels."""

    name: str
    hr: tuple[int, int]
    lr: tuple[int, int]
    hr_digest: str
    lr_digest: str


Pair = tuple[Entry, Tensor, Tensor]
"""An entry with its high- and its low-resolution image, both uint8 of shape (3, H, W)."""

Content = tuple[str, ...]
"""Digests of a pair's files."""


@frozen
class PairSource:
    """A pair's name, its files, and what decodes them."""

    name: str
    files: tuple[Path, ...]
    decode: Callable[[], Pair]

    def content(self) -> Content:
        """Read the files for their digests.

        Raises:
            DataError: One cannot be read.
        """
        return tuple(map(_digest_of_file, self.files))


@frozen
class Store:
    """A store that was found to be whole; ``contents`` are those of its entries' files."""

    folder: Path
    entries: tuple[Entry, ...]
    contents: tuple[Content, ...]

    def images(self) -> list[tuple[Tensor, Tensor]]:
        """Map all images; return high and low resolution of each, shape (3, H, W), channels last.

        Whoever writes into them gets pages of his own; the file stays as it is.

        Raises:
            OSError: The files are gone, or cannot be mapped.
        """
        highs, lows = (
            self._map(side, [getattr(entry, side) for entry in self.entries]) for side in _SIDES
        )
        return list(zip(highs, lows, strict=True))

    def _map(self, side: str, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        block = _mapped(self.folder / f"{side}.bin", 3 * sum(map(math.prod, sizes)))
        images, start = [], 0
        for height, width in sizes:
            end = start + 3 * height * width
            images.append(block[start:end].view(height, width, 3).permute(2, 0, 1))
            start = end
        return images


def _mapped(path: Path, length: int) -> Tensor:
    """Map a file as uint8, such that it may be larger than the memory."""
    with path.open("rb") as file:
        if os.name == "posix":
            # Without a reserve of memory for pages that somebody might write into.
            flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", _NO_RESERVE)
            mapped = mmap.mmap(
                file.fileno(), length, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE
            )
        else:
            mapped = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY)
    return torch.frombuffer(mapped, dtype=torch.uint8)


def open_store(sources: Sequence[PairSource], *, place: Path, kind: str) -> Store:
    """Return the store of some files; make it where there is none, or it is stale or damaged.

    Of several processes that need the same one, the first makes it and the others wait. What did
    not change is taken from the store that the place had before, which is then removed.

    Args:
        sources: At least one.
        place: The folder in which the files lie.
        kind: What else decides the pixels, such as the scale, or which files they are.

    Raises:
        DataError: A file cannot be used; no store is made.
        OSError: The cache cannot be written to, or the disk is too full.
    """
    root = cache_folder() / "images"
    root.mkdir(parents=True, exist_ok=True)
    note = _Note.of(root, sources, place, kind)
    contents: list[Content] = []
    if not note.key:
        contents = [source.content() for source in sources]
    key = note.key or _key_of(kind, sources, contents)
    with _locked(root, key):
        store = _open(root / key)
        if store is None:
            contents = contents or [source.content() for source in sources]
            _remove_leftovers(root)
            known = _open(root / note.before) if note.before not in ("", key) else None
            store = _make(root / key, sources, contents, known)
        # Before the lock is released: from here on nobody takes the store for one without a place.
        note.keep(key)
    if note.before not in ("", key):
        _remove_unused(root, note.before)
    return store


@contextmanager
def _locked(root: Path, key: str, timeout: float = -1) -> Iterator[None]:
    try:
        with FileLock(root / f".{key}.lock", timeout=timeout):
            yield
    except NotImplementedError as error:
        raise OSError(f"{root}: lies on a file system without locks") from error


# --- What a store goes by -------------------------------------------------------------------------


def _key_of(kind: str, sources: Sequence[PairSource], contents: Sequence[Content]) -> str:
    named = [[each.name, *content] for each, content in zip(sources, contents, strict=True)]
    return _digest([_FORMAT, kind, named])


@frozen
class _Note:
    """What a file beside the stores remembers of the files at a place.

    ``before`` is the key of their store when they were last looked at, ``stamps`` tells their
    names, sizes and times now, ``key`` is ``before`` where those are the same: then no file has to
    be read.
    """

    path: Path
    place: str
    stamps: str
    before: str
    key: str

    @classmethod
    def of(cls, root: Path, sources: Sequence[PairSource], place: Path, kind: str) -> _Note:
        files = [(each.name, file) for each in sources for file in each.files]
        stamps = _digest([[name, str(file), *_stamp(file)] for name, file in files])
        path = root / f"{_digest([_FORMAT, str(place), kind])}.json"
        known = _read_json(path)
        before = str(known.get("key", ""))
        same = known.get("stamps") == stamps
        return cls(path, str(place), stamps, before, before if same else "")

    def keep(self, key: str) -> None:
        """Remember the store of the files as they are now."""
        if self.key != key:
            _write_json(self.path, {"place": self.place, "stamps": self.stamps, "key": key})


def _remove_unused(root: Path, key: str) -> None:
    """Remove a store that no place has any more, unless somebody is working on it."""
    with suppress(Timeout, OSError), _locked(root, key, timeout=0):
        if all(_read_json(note).get("key") != key for note in root.glob("*.json")):
            shutil.rmtree(root / key, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """Remove what kills left, and the stores of places that are gone."""
    for torn in root.glob(".*~"):
        key = torn.name[1:].partition(".")[0]
        with suppress(Timeout, OSError), _locked(root, key, timeout=0):
            shutil.rmtree(torn, ignore_errors=True)
    for note in root.glob("*.json"):
        known = _read_json(note)
        if "place" in known and not Path(str(known["place"])).exists():
            note.unlink(missing_ok=True)
            _remove_unused(root, str(known.get("key", "")))


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


def _digest_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def _write_json(path: Path, value: Any) -> None:
    """Write JSON in ASCII: a file's name need not be valid text."""
    with atomic_write(path) as file:
        file.write(json.dumps(value).encode())


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a missing or damaged one is empty."""
    with suppress(OSError, ValueError, RecursionError):
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
    return {}


# --- Opening and making ---------------------------------------------------------------------------


def _open(folder: Path) -> Store | None:
    """Return the store in a folder; None where there is none, or it is damaged, which is said."""
    if not folder.exists():
        return None
    held = _read_json(folder / "images.json")
    try:
        entries = tuple(_entry(value) for value in held["entries"])
        contents = tuple(tuple(value["content"]) for value in held["entries"])
        whole = held["digest"] == _digest(held["entries"]) and _is_whole(folder, held["pixels"])
    except (OSError, KeyError, TypeError, ValueError):
        whole = False
    if whole:
        return Store(folder, entries, contents)
    warnings.warn(f"{folder}: damaged; its images are decoded again", stacklevel=2)
    return None


def _entry(value: dict[str, Any]) -> Entry:
    hr, lr = (tuple(map(int, value[side])) for side in _SIDES)
    return Entry(value["name"], hr, lr, value["hr_digest"], value["lr_digest"])  # type: ignore[arg-type]


def _is_whole(folder: Path, digests: dict[str, str]) -> bool:
    """Whether the pixels are those that were written.

    They are read for that only where the files are not the very ones that were found to be whole
    before: of a large set it takes seconds.
    """
    stamps = {side: _stamp_of_pixels(folder, side) for side in _SIDES}
    note = folder / "whole.json"
    if _read_json(note) == stamps:
        return True
    if any(_digest_of_file(folder / f"{side}.bin") != digests[side] for side in _SIDES):
        return False
    with suppress(OSError):
        _write_json(note, stamps)
    return True


def _stamp_of_pixels(folder: Path, side: str) -> list[int]:
    status = (folder / f"{side}.bin").stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _make(
    folder: Path,
    sources: Sequence[PairSource],
    contents: Sequence[Content],
    known: Store | None,
) -> Store:
    for torn in folder.parent.glob(f".{folder.name}.*~"):
        shutil.rmtree(torn, ignore_errors=True)  # a kill left it: its lock is ours
    made = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix="~"))
    try:
        entries, digests = _write_pixels(made, _pairs(sources, contents, known))
        values = [
            {**asdict(entry), "content": content}
            for entry, content in zip(entries, contents, strict=True)
        ]
        held = json.loads(json.dumps(values))  # as it is read back: tuples are lists
        _write_json(
            made / "images.json",
            {"entries": held, "digest": _digest(held), "pixels": digests},
        )
        _write_json(made / "whole.json", {side: _stamp_of_pixels(made, side) for side in _SIDES})
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Store(folder, tuple(entries), tuple(contents))


def _pairs(
    sources: Sequence[PairSource], contents: Sequence[Content], known: Store | None
) -> Iterator[Pair]:
    """Take each pair from a store that knows it, or decode it.

    Raises:
        DataError: One cannot be used.
    """
    held: dict[tuple[str, Content], Pair] = {}
    if known is not None:
        for entry, content, images in zip(
            known.entries, known.contents, known.images(), strict=True
        ):
            held[entry.name, content] = (entry, *images)
    for source, content in zip(sources, contents, strict=True):
        yield held.get((source.name, content)) or source.decode()


def _write_pixels(folder: Path, pairs: Iterable[Pair]) -> tuple[list[Entry], dict[str, str]]:
    entries = []
    with (folder / "hr.bin").open("wb") as hr_file, (folder / "lr.bin").open("wb") as lr_file:
        files = dict(zip(_SIDES, (hr_file, lr_file), strict=True))
        hashes = {side: hashlib.sha256() for side in _SIDES}
        for entry, *images in pairs:
            for side, image in zip(_SIDES, images, strict=True):
                pixels = image.permute(1, 2, 0).contiguous().numpy().data
                _leave_space(folder, pixels.nbytes)
                files[side].write(pixels)
                hashes[side].update(pixels)
            entries.append(entry)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    return entries, {side: digest.hexdigest() for side, digest in hashes.items()}


def _leave_space(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free - size < _SPARE:
        raise OSError(f"{folder.parent}: the disk is too full to keep decoded images")
