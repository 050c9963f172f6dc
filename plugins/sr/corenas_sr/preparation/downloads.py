"""Published image sets, fetched on request only: resumable, checked, and unpacked safely."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from attrs import frozen

from corenas.errors import CorenasError, InputError
from corenas.files import write_json
from corenas.show.progress_bar import download_bar
from corenas_sr.preparation.archives import extract

ATTEMPTS = 5
"""Attempts in a row that bring nothing new, before it is given up."""

_PAUSE = 1.0
_TIMEOUT = 30.0
_CHUNK = 2**18
_TOO_BUSY = (408, 429)
_NOTHING_LEFT = 416

Show = Callable[[int, int | None], None]
"""Told the bytes received so far, and how many there will be, where that is known."""


@frozen
class Archive:
    """A file to fetch; ``md5`` is its published checksum."""

    name: str
    md5: str


@frozen
class DataSet:
    """Where a set is published, and the archives that it consists of."""

    address: str
    archives: tuple[Archive, ...]


_EDSR = "https://cv.snu.ac.kr/research/EDSR/"

DATA_SETS: Mapping[str, DataSet] = {
    "div2k": DataSet(
        "http://data.vision.ee.ethz.ch/cvl/DIV2K/",
        (
            Archive("DIV2K_train_HR.zip", "bdc2d9338d4e574fe81bf7d158758658"),
            Archive("DIV2K_valid_HR.zip", "9fcdda83005c5e5997799b69f955ff88"),
            Archive("DIV2K_train_LR_bicubic_X2.zip", "9a637d2ef4db0d0a81182be37fb00692"),
            Archive("DIV2K_train_LR_bicubic_X3.zip", "ad80b9fe40c049a07a8a6c51bfab3b6d"),
            Archive("DIV2K_train_LR_bicubic_X4.zip", "76c43ec4155851901ebbe8339846d93d"),
            Archive("DIV2K_valid_LR_bicubic_X2.zip", "1512c9a3f7bde2a1a21a73044e46b9cb"),
            Archive("DIV2K_valid_LR_bicubic_X3.zip", "18b1d310f9f88c13618c287927b29898"),
            Archive("DIV2K_valid_LR_bicubic_X4.zip", "21962de700c8d368c6ff83314480eff0"),
        ),
    ),
    "flickr2k": DataSet(_EDSR, (Archive("Flickr2K.tar", "5d3f39443d5e9489bff8963f8f26cb03"),)),
    "benchmark": DataSet(_EDSR, (Archive("benchmark.tar", "4ace41d33c2384b97e6b320cd0afd6ba"),)),
}


def fetch(archive: Archive, address: str, folder: Path) -> bool:
    """Download and unpack an archive into a folder, unless its files are there already.

    The archive is deleted afterwards; a record below ``.fetched`` remembers its files.

    Args:
        archive: What to fetch.
        address: What its name is appended to.
        folder: Where to; it is made.

    Returns:
        Whether anything was fetched.

    Raises:
        InputError: The address is not of HTTP.
        CorenasError: It cannot be reached, is another file, is refused, or does not fit.
    """
    kept = folder / ".fetched"
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    record = kept / f"{archive.name}.json"
    if _is_there(record, folder):
        return False
    file = kept / archive.name
    with download_bar() as progress:
        task = progress.add_task(archive.name, total=None)
        download(
            address.rstrip("/") + "/" + archive.name,
            file,
            md5=archive.md5,
            show=lambda done, total: progress.update(task, completed=done, total=total),
        )
    write_json(record, extract(file, folder))
    file.unlink()
    return True


def _is_there(record: Path, folder: Path) -> bool:
    try:
        sizes: dict[str, int] = json.loads(record.read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def download(
    url: str,
    target: Path,
    *,
    md5: str,
    show: Show = lambda done, total: None,
    pause: float = _PAUSE,
) -> None:
    """Fetch a file; what an earlier attempt has left is continued.

    Args:
        url: Of HTTP or HTTPS.
        target: Where to; what is not complete yet is kept in ``target.part`` beside it.
        md5: The checksum that it must have.
        show: Told of progress.
        pause: Seconds before the second attempt in a row; each further one waits twice as long.

    Raises:
        InputError: The address is not of HTTP.
        CorenasError: It cannot be reached, cannot be written, or is another file.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: expected an address that begins with http:// or https://")
    if target.exists() and checksum(target) == md5:
        return
    partial = target.with_name(f"{target.name}.part")
    _receive_all(url, partial, md5, show, pause)
    found = checksum(partial)
    if found != md5:
        partial.unlink()
        raise CorenasError(
            f"{url}: wrong checksum: MD5 {found}, not {md5}; it was deleted: the server has another"
            " file, or it was damaged on the way"
        )
    partial.replace(target)


def checksum(file: Path) -> str:
    """Return the MD5 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, _md5).hexdigest()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _receive_all(url: str, partial: Path, md5: str, show: Show, pause: float) -> None:
    """Try until the server has sent everything, or nothing more for several attempts."""
    failures = 0
    while True:
        before = _size(partial)
        problem = _attempt(url, partial, show)
        if not problem:
            return
        failures = 0 if _size(partial) > before else failures + 1
        if failures < ATTEMPTS:
            time.sleep(pause * 2 ** max(failures - 1, 0))
        elif _size(partial) and checksum(partial) == md5:
            return  # the server announces more than there is
        else:
            raise CorenasError(
                f"{url}: {problem}, {ATTEMPTS} times in a row; the {_size(partial)} bytes so far "
                "are kept, and the same command continues"
            )


def _attempt(url: str, partial: Path, show: Show) -> str:
    """Receive what is left; return what stopped it, or nothing when it is complete."""
    try:
        return _receive(url, partial, show)
    except HTTPError as error:
        if error.code == _NOTHING_LEFT and _size(partial):
            return ""
        answer = f"the server answers {error.code} {error.reason}"
        if error.code < 500 and error.code not in _TOO_BUSY:
            raise CorenasError(f"{url}: {answer}") from error
        return answer
    except URLError as error:
        return f"cannot be reached: {error.reason}"
    except (OSError, HTTPException) as error:
        return f"the connection was lost ({error})"


def _receive(url: str, partial: Path, show: Show) -> str:
    begun = _size(partial)
    headers = {"User-Agent": "corenas", **({"Range": f"bytes={begun}-"} if begun else {})}
    with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:
        done = _first_byte(response)
        if done not in (0, begun):
            partial.unlink(missing_ok=True)
            return f"the server sent bytes from {done} on instead of from {begun} on"
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        _check_room(url, partial, (total or 0) - done)
        with _opened(partial, "ab" if done else "wb") as file:
            while chunk := response.read(_CHUNK):
                _write(file, chunk)
                done += len(chunk)
                show(done, total)
    if total is not None and done < total:
        return f"the connection was closed after {done} of {total} bytes"
    return ""


def _first_byte(response: HTTPResponse) -> int:
    """Return from where on the server sends the file: not every one can send the rest alone."""
    sent = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(sent[1]) if response.status == 206 and sent else 0


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _opened(file: Path, mode: str) -> BinaryIO:
    try:
        return file.open(mode)  # type: ignore[return-value]
    except OSError as error:
        raise CorenasError(f"{file}: cannot be written: {error.strerror}") from error


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise CorenasError(f"{file.name}: cannot be written: {error.strerror}") from error


def _check_room(url: str, partial: Path, needed: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    if needed > free:
        raise CorenasError(
            f"{url}: {needed / 1e9:.3g} GB are to come, and {partial.parent} has only "
            f"{free / 1e9:.3g} GB free"
        )
