"""Which image files are ours: a PNG says which command wrote it, from what, and its pixels' sum.

A file is ours while its pixels are those that were written. Only such a file may be written over.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from corenas.errors import DataError, InputError
from corenas_sr.data.images import LARGEST, is_damaged, read_image, read_text, write_image

_KEY = "corenas"
_SHOWN = 5
_HEAD = 2**20
"""Bytes in which a mark begins: only a colour profile stands before it."""


def digest_of_file(path: Path) -> str:
    """Return a hash of a file's content.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def write_marked(
    path: Path,
    image: Tensor,
    *,
    command: str,
    source: str = "",
    profile: bytes | None = None,
    largest: int = LARGEST,
) -> None:
    """Write a PNG file that says who wrote it.

    Args:
        path: Where to.
        image: RGB values as uint8, shape (3, H, W).
        command: What is running, one word.
        source: What the image follows from, one word; see `is_made_from`.
        profile: An ICC profile of its colours.
        largest: Pixels that it may have at most.

    Raises:
        CorenasError: The file cannot be written.
    """
    mark = f"{command} {_sum(image)} {source}"
    write_image(path, image, text={_KEY: mark}, profile=profile, largest=largest)


def is_ours(path: Path, *, command: str) -> bool:
    """Whether a command wrote this file, and its pixels are still what was written.

    A damaged file counts as ours where it begins as our files do.
    """
    if _source(path, command) is not None:
        return True
    return _begins_as_ours(path, command) and is_damaged(path)


def is_made_from(path: Path, source: str, *, command: str) -> bool:
    """Whether a file is ours, and was made from this very source."""
    return _source(path, command) == source


def refuse_overwriting(
    targets: Iterable[Path], *, command: str, overwrite: bool, read: Iterable[Path] = ()
) -> None:
    """Refuse to write over files that are read, or that something else wrote.

    Args:
        targets: Files that will be written.
        command: Whose files may be written over.
        overwrite: Whether those of others may, too; never those that are read.
        read: Files that are read.

    Raises:
        InputError: There are such files; the first are named.
    """
    there = [path for path in targets if path.exists() or path.is_symlink()]
    reading = {path.resolve() for path in read}
    _refuse([p for p in there if p.resolve() in reading], "read here; choose another folder")
    if not overwrite:
        others = [path for path in there if not is_ours(path, command=command)]
        hint = "not written by this command, or changed since; --overwrite replaces such files"
        _refuse(others, hint)


def _refuse(files: list[Path], reason: str) -> None:
    if files:
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        names = ", ".join(map(str, files[:_SHOWN]))
        raise InputError(f"nothing was written: {names}{more}: would be replaced, and is {reason}")


def _source(path: Path, command: str) -> str | None:
    """Return what a file of ours was made from; None for any other file."""
    writer, _, rest = read_text(path).get(_KEY, "").partition(" ")
    known_sum, _, source = rest.partition(" ")
    if writer != command:
        return None
    try:
        # Whatever the limit was when it was written.
        return source if _sum(read_image(path, largest=sys.maxsize)) == known_sum else None
    except DataError:
        return None


def _begins_as_ours(path: Path, command: str) -> bool:
    """Whether a file's first bytes hold a command's mark, which a cut may have shortened."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    _, found, rest = head.partition(f"tEXt{_KEY}\0".encode())
    writer = f"{command} ".encode()
    return bool(found) and rest[: len(writer)] == writer[: len(rest)]


def _sum(image: Tensor) -> str:
    height, width = image.shape[1:]
    values = image.permute(1, 2, 0).contiguous().cpu().numpy()
    return f"{width}x{height}:{zlib.crc32(values.data):08x}"
