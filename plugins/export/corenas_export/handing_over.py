"""Where an export's files go: checked before anything takes long, and each appears whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from corenas.errors import CorenasError, InputError
from corenas.files import atomic_write, sync_folder


def targets_of(
    model: Path, out: Path | None, suffixes: Sequence[str], *, force: bool
) -> tuple[Path, ...]:
    """Return where the files go, one for each suffix.

    Args:
        model: The model file, whose name is taken where there is no other.
        out: The first file.
        suffixes: Those of the format.
        force: Replace files that exist.

    Raises:
        InputError: The name has another ending, a file exists, is the model itself, or its folder
            cannot be written into.
    """
    first = _first(model, out, suffixes[0])
    stem = first.name.removesuffix(suffixes[0]).removesuffix(_ending(suffixes[0]))
    targets = (first, *(first.with_name(stem + suffix) for suffix in suffixes[1:]))
    for target in targets:
        if target.resolve() == model.resolve():
            raise InputError(f"{target}: is the model file; give another name with --out")
    if not force:
        refuse_existing(targets)
    try:
        tempfile.TemporaryFile(dir=first.parent).close()
    except OSError as error:
        raise InputError(f"{first}: cannot be written: {error.strerror or error}") from error
    for target in targets:
        if target.is_dir() and _ending(target.name) != ".mlpackage":
            raise InputError(f"{target}: is a folder")
    return targets


def refuse_existing(targets: Sequence[Path]) -> None:
    """Raise an `InputError` where a file is there already."""
    for target in targets:
        if os.path.lexists(target):
            raise InputError(f"nothing was written: {target} exists; --force replaces it")


def _first(model: Path, out: Path | None, suffix: str) -> Path:
    ending = _ending(suffix)
    if out is None:
        stem = model.stem
        if ending == ".py":
            # A module is imported by its name.
            stem = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem)
            stem = stem if stem.isidentifier() else f"network_{stem}"
        return Path(stem + suffix)
    if not out.name.endswith(ending) or out.name == ending:
        raise InputError(f"--out {out}: the name of this format's file ends in {ending}")
    return out


def _ending(suffix: str) -> str:
    """Return how a name has to end: ``.onnx`` for ``-int8.onnx``, ``.ncnn.param`` as it is."""
    return suffix[suffix.index(".") :]


def hand_over(files: Sequence[Path], targets: Sequence[Path]) -> None:
    """Copy files to where they go; they appear when all are copied, the first one last.

    That is the one that is opened.

    Raises:
        CorenasError: One cannot be written. What was there before is there still.
    """
    new = [target for target in targets if not os.path.lexists(target)]
    try:
        with ExitStack() as copies:  # left in the reverse order
            for file, target in zip(files, targets, strict=True):
                copies.enter_context(_writing(target))
                copies.enter_context(_copied(file, target))
    except BaseException:
        # Half of an export is of no use, and would have to be replaced by force.
        for target in new:
            if not target.is_dir():
                target.unlink(missing_ok=True)
        raise


@contextmanager
def _copied(file: Path, target: Path) -> Iterator[None]:
    """Copy a file or a folder; it appears under its own name when the context is left."""
    if file.is_dir():
        with _copied_folder(file, target):
            yield
        return
    with atomic_write(target) as copy:
        with file.open("rb") as content:
            shutil.copyfileobj(content, copy)
        copy.flush()
        yield


def set_aside(files: Sequence[Path], targets: Sequence[Path]) -> Path:
    """Keep files that shall not be used under names that say so; return the first one's."""
    aside = [t.with_name(f"{t.stem}.refused{t.suffix}") for t in targets]
    hand_over(files, aside)
    return aside[0]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CorenasError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _copied_folder(folder: Path, target: Path) -> Iterator[None]:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / "new"))
        yield
        if target.exists():
            target.rename(Path(temporary) / "old")
        copy.rename(target)
    sync_folder(target.parent)
