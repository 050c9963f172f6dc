"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name; it appears under its own, synced, when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic within one file system only. By its name a
    # resumed run finds what a kill left behind.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix="~")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            # Before the rename: else a crash may leave the new name with no content.
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's files are private; a result is to be shared
        os.replace(temporary, path)
    # Also for KeyboardInterrupt: a second Ctrl-C must leave no half file.
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    # Windows opens no folders.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mistaken_for(path: Path) -> str:
    """Return what a file is that people take for an image or weights; nothing where it is neither.

    Those are what a clone without Git LFS leaves, and the page that a server sends for an error.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return ""
    if head.startswith(b"version https://git-lfs."):
        return "a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    beginning = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if beginning.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, so a failed download; fetch the file again"
    return ""


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file for people and programs, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text.encode() + b"\n")


def cache_folder() -> Path:
    """Return the user's cache folder for what can be made again; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "corenas"
