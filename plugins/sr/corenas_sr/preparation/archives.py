"""Archives of images, unpacked without trusting what they say."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from attrs import frozen

from corenas.errors import CorenasError
from corenas.show.progress_bar import bar

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


@frozen
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def extract(archive: Path, folder: Path) -> dict[str, int]:
    """Unpack the files of a zip or tar archive.

    Nothing is written from an archive with a name that leads out of the folder, a link, a device
    or an encrypted file. Hidden files are left out. Each file appears whole or not at all; modes,
    owners and times of the archive are not taken over.

    Args:
        archive: Its name ends in ``.zip`` or ``.tar``.
        folder: Where to; files that are there are overwritten.

    Returns:
        The size in bytes of each file, by its path below ``folder``.

    Raises:
        CorenasError: The archive is refused, damaged, or does not fit on the disk.
    """
    try:
        with _members(archive) as members:
            _check_room(archive, members, folder)
            for member in bar(members, total=len(members), what=f"unpacking {archive.name}"):
                _write(member, folder / member.name)
            return {member.name: member.size for member in members}
    except _DAMAGED as error:
        raise CorenasError(f"{archive}: damaged archive: {error}") from error
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror or error}"
        raise CorenasError(f"{archive}: cannot be unpacked: {reason}") from error


@contextmanager
def _members(archive: Path) -> Iterator[list[_Member]]:
    """Open an archive and list its files, all of them checked."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            yield [member for member in _zipped(archive, zipped) if not _is_hidden(member)]
    else:
        with tarfile.open(archive, "r:") as tarred:
            yield [member for member in _tarred(archive, tarred) if not _is_hidden(member)]


def _zipped(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        _check_name(archive, info.filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(archive, info.filename, "is a link or a device")
        if info.flag_bits & 1:
            raise _refused(archive, info.filename, "is encrypted")
        if not info.is_dir():
            yield _Member(info.filename, info.file_size, partial(zipped.open, info))


def _tarred(archive: Path, tarred: tarfile.TarFile) -> Iterator[_Member]:
    for info in tarred.getmembers():
        _check_name(archive, info.name)
        if not (info.isreg() or info.isdir()):
            raise _refused(archive, info.name, "is a link or a device")
        if info.isreg():
            yield _Member(info.name, info.size, partial(_opened, tarred, info))


def _opened(tarred: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tarred.extractfile(info)
    if file is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return file


def _check_name(archive: Path, name: str) -> None:
    # Backslashes and colons lead out of the folder on other systems.
    if not name or name.startswith("/") or ".." in name.split("/") or set(name) & set("\\:\0"):
        raise _refused(archive, name, "leads out of the folder")


def _refused(archive: Path, name: str, reason: str) -> CorenasError:
    return CorenasError(f"{archive}: refused, nothing was unpacked: {name!r} {reason}")


def _is_hidden(member: _Member) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(member.name).parts)


def _check_room(archive: Path, members: list[_Member], folder: Path) -> None:
    needed, free = sum(member.size for member in members), shutil.disk_usage(folder).free
    if needed > free:
        raise CorenasError(
            f"{archive}: needs {needed / 1e9:.3g} GB, and only {free / 1e9:.3g} GB are free"
        )


def _write(member: _Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}~")
    with member.open() as source, temporary.open("wb") as file:
        shutil.copyfileobj(source, file)
    os.replace(temporary, target)
