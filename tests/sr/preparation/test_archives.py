"""Archives are unpacked whole, or, where they are not to be trusted, not at all."""

from __future__ import annotations

import io
import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from attrs import frozen

from corenas.errors import CorenasError
from corenas_sr.preparation.archives import extract

pytestmark = pytest.mark.abuse("hostile archive")

FILES = {"DIV2K_train_HR/0001.png": b"one" * 1000, "DIV2K_train_HR/deeper/0002.png": b""}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("DIV2K_train_HR")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        folder = tarfile.TarInfo("DIV2K_train_HR")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            add(archive, name, content)
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o4777
    archive.addfile(info, io.BytesIO(content))


@frozen
class Usage:
    """What `shutil.disk_usage` returns."""

    free: int


WRITERS = {"a.zip": write_zip, "a.tar": write_tar}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "outer/target"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_files_come_out_as_they_went_in(tmp_path: Path, target: Path, name: str) -> None:
    hidden = {"DIV2K_train_HR/._0001.png": b"resource fork", ".bashrc": b"rm -r"}
    archive = WRITERS[name](tmp_path / name, {**FILES, **hidden})
    (target / "DIV2K_train_HR").mkdir()
    (target / "DIV2K_train_HR/0001.png").write_bytes(b"torn")
    assert extract(archive, target) == {name: len(content) for name, content in FILES.items()}
    assert contents(target) == FILES


def test_modes_of_an_archive_are_not_taken_over(tmp_path: Path, target: Path) -> None:
    extract(write_tar(tmp_path / "a.tar", FILES), target)
    assert not (target / "DIV2K_train_HR/0001.png").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)


@pytest.mark.parametrize(
    "bad",
    ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "a\\..\\evil.png", "C:evil.png", ".."],
)
@pytest.mark.parametrize("name", WRITERS)
def test_names_that_lead_out_of_the_folder_are_refused_before_anything_is_written(
    tmp_path: Path, target: Path, name: str, bad: str
) -> None:
    archive = WRITERS[name](tmp_path / name, {**FILES, bad: b"evil"})
    with pytest.raises(CorenasError, match=r"refused, nothing was unpacked: .* leads out of the"):
        extract(archive, target)
    assert contents(tmp_path / "outer") == {}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, target: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "0001.png", b"one")
        info = tarfile.TarInfo("0002.png")
        info.type, info.linkname = kind, "../../secret"
        archive.addfile(info)
        add(archive, "0002.png", b"through the link")
    with pytest.raises(CorenasError, match=r"'0002\.png' is a link or a device"):
        extract(path, target)
    assert contents(tmp_path / "outer") == {}


def test_links_in_a_zip_are_refused(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("0002.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "../../secret")
    with pytest.raises(CorenasError, match=r"'0002\.png' is a link or a device"):
        extract(path, target)
    assert contents(tmp_path / "outer") == {}


def test_encrypted_zip_is_refused(tmp_path: Path, target: Path) -> None:
    path = write_zip(tmp_path / "a.zip", FILES)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(signature, at + 1)
    path.write_bytes(content)
    with pytest.raises(CorenasError, match="is encrypted"):
        extract(path, target)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_damaged_archive_is_named_and_leaves_no_half_file(
    tmp_path: Path, target: Path, name: str, damage: str
) -> None:
    archive = WRITERS[name](tmp_path / name, {"a.png": random.Random(0).randbytes(40_000)})
    content = archive.read_bytes()
    changed = b"\xff" * 300 + content[300:]
    archive.write_bytes({"cut": content[:20_000], "changed": changed, "empty": b""}[damage])
    with pytest.raises(CorenasError, match=r"a\.(zip|tar): damaged archive"):
        extract(archive, target)
    assert "a.png" not in contents(target)


def test_archive_that_is_larger_than_the_disk_is_refused(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.png": bytes(2_000_000)})
    assert archive.stat().st_size < 10_000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1_000_000))
    with pytest.raises(CorenasError, match=r"needs 0\.002 GB, and only 0\.001 GB are free"):
        extract(archive, target)
    assert contents(target) == {}


def test_folder_in_the_way_of_a_file_is_an_error_with_its_path(
    tmp_path: Path, target: Path
) -> None:
    (target / "a.png").mkdir()
    with pytest.raises(CorenasError, match=r"cannot be unpacked: .*a\.png"):
        extract(write_zip(tmp_path / "a.zip", {"a.png": b"x"}), target)
