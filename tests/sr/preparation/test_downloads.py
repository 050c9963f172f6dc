"""Downloads from a server on loopback that drops, lies, ignores and misleads."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from corenas import cli
from corenas.errors import CorenasError, InputError
from corenas_sr.preparation import downloads
from corenas_sr.preparation.downloads import ATTEMPTS, Archive, DataSet, download, fetch

CONTENT = bytes((k * k) % 251 for k in range(700_000))
MD5 = hashlib.md5(CONTENT).hexdigest()

Answer = Callable[[BaseHTTPRequestHandler, bytes, int], None]
"""What a server does with a request: the handler, the whole file, and the first byte wanted."""


class Server(ThreadingHTTPServer):
    """Answers each request with the next of the answers, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/a.bin": CONTENT}
        self.answers: list[Answer] = [partial]
        self.ranges: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.ranges.append(wanted)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        begin = re.match(r"bytes=(\d+)-", wanted)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
        else:
            answer(self, content, int(begin[1]) if begin else 0)

    def log_message(self, format: str, *args: object) -> None:
        pass


def send(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, object], body: bytes
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, str(value))
    handler.end_headers()
    handler.wfile.write(body)


def partial(handler: BaseHTTPRequestHandler, content: bytes, begin: int) -> None:
    """Answer as a good server does."""
    total = len(content)
    if begin >= total:
        send(handler, 416, {"Content-Range": f"bytes */{total}", "Content-Length": 0}, b"")
    elif begin:
        sent = {"Content-Range": f"bytes {begin}-{total - 1}/{total}"}
        send(handler, 206, {**sent, "Content-Length": total - begin}, content[begin:])
    else:
        send(handler, 200, {"Content-Length": total}, content)


def dropping(after: int) -> Answer:
    """Close the connection after so many bytes."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes, begin: int) -> None:
        rest = content[begin:]
        sent = (
            {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        )
        send(handler, 206 if begin else 200, {**sent, "Content-Length": len(rest)}, rest[:after])

    return answer


def whole(handler: BaseHTTPRequestHandler, content: bytes, begin: int) -> None:
    """Ignore what part was asked for."""
    send(handler, 200, {"Content-Length": len(content)}, content)


def another_part(handler: BaseHTTPRequestHandler, content: bytes, begin: int) -> None:
    """Send the second half whatever was asked for."""
    half = len(content) // 2
    sent = {"Content-Range": f"bytes {half}-{len(content) - 1}/{len(content)}"}
    send(handler, 206, {**sent, "Content-Length": len(content) - half}, content[half:])


def claiming(more: int, *, length: bool = True) -> Answer:
    """Announce a wrong length, or none."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes, begin: int) -> None:
        headers: dict[str, object] = {"Content-Length": len(content) + more} if length else {}
        send(handler, 200, headers, content)

    return answer


def failing(status: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, content: bytes, begin: int) -> None:
        handler.send_error(status)

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "_PAUSE", 0.0)
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def get(server: Server, folder: Path, *, md5: str = MD5) -> bytes:
    target = folder / "a.bin"
    download(f"{server.address}/a.bin", target, md5=md5, pause=0)
    assert not list(folder.glob("*.part"))
    return target.read_bytes()


def test_file_arrives_whole_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path) == CONTENT
    assert get(server, tmp_path) == CONTENT
    assert server.ranges == [""]


def test_dropped_connection_is_continued_where_it_was(server: Server, tmp_path: Path) -> None:
    server.answers = [dropping(300_000), dropping(200_000), partial]
    assert get(server, tmp_path) == CONTENT
    assert server.ranges == ["", "bytes=300000-", "bytes=500000-"]


def test_earlier_part_is_continued_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.answers = [dropping(400_000), failing(503)]
    with pytest.raises(CorenasError, match=r"answers 503 .*400000 bytes so far are kept"):
        get(server, tmp_path)
    assert len(server.ranges) == 1 + ATTEMPTS
    server.answers = [partial]
    assert get(server, tmp_path) == CONTENT
    assert server.ranges[-1] == "bytes=400000-"


def test_progress_counts_what_was_there_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:600_000])
    shown: list[tuple[int, int | None]] = []
    download(
        f"{server.address}/a.bin",
        tmp_path / "a.bin",
        md5=MD5,
        show=lambda done, total: shown.append((done, total)),
    )
    assert shown[0][0] > 600_000
    assert shown[-1] == (700_000, 700_000)


def test_server_that_ignores_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"?" * 300_000)
    server.answers = [whole]
    assert get(server, tmp_path) == CONTENT
    assert server.ranges == ["bytes=300000-"]


def test_server_that_sends_another_part_is_asked_for_everything(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:300_000])
    server.answers = [another_part, partial]
    assert get(server, tmp_path) == CONTENT
    assert server.ranges == ["bytes=300000-", ""]


def test_part_that_is_whole_already_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert get(server, tmp_path) == CONTENT


@pytest.mark.parametrize("answer", [claiming(99), claiming(0, length=False)])
def test_wrong_or_missing_length_does_not_spoil_a_right_file(
    server: Server, tmp_path: Path, answer: Answer
) -> None:
    server.answers = [answer]
    assert get(server, tmp_path) == CONTENT


def test_file_cut_by_a_wrong_length_has_the_wrong_checksum(server: Server, tmp_path: Path) -> None:
    server.answers = [claiming(-1000)]
    with pytest.raises(CorenasError, match=r"wrong checksum: MD5 .*, not"):
        get(server, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [300_000, 900_000])
def test_part_of_another_file_has_the_wrong_checksum_and_the_next_call_is_right(
    server: Server, tmp_path: Path, length: int
) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"?" * length)
    with pytest.raises(CorenasError, match="wrong checksum"):
        get(server, tmp_path)
    assert get(server, tmp_path) == CONTENT


def test_missing_file_is_said_at_once(server: Server, tmp_path: Path) -> None:
    server.files = {}
    with pytest.raises(CorenasError, match=r"a\.bin: the server answers 404"):
        get(server, tmp_path)
    assert len(server.ranges) == 1


def test_server_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(CorenasError, match=f"cannot be reached: .* {ATTEMPTS} times in a row"):
        download("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", md5=MD5, pause=0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "a.zip"])
def test_only_http_is_followed(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="expected an address that begins with http"):
        download(url, tmp_path / "a", md5=MD5)


def test_file_larger_than_the_disk_is_refused_before_it_comes(
    server: Server, tmp_path: Path
) -> None:
    server.answers = [claiming(10**17)]
    with pytest.raises(CorenasError, match=r"1e\+08 GB are to come, and .* has only"):
        get(server, tmp_path)


# whole data sets


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def published(server: Server, name: str, content: bytes) -> Archive:
    server.files[f"/{name}"] = content
    return Archive(name, hashlib.md5(content).hexdigest())


def test_fetched_set_is_unpacked_and_not_fetched_again_until_a_file_is_missing(
    server: Server, tmp_path: Path
) -> None:
    archive = published(server, "s.zip", zipped({"S/HR/a.png": b"a", "S/HR/b.png": b"bb"}))
    assert fetch(archive, server.address, tmp_path / "data")
    assert (tmp_path / "data/S/HR/b.png").read_bytes() == b"bb"
    assert [path.name for path in (tmp_path / "data/.fetched").iterdir()] == ["s.zip.json"]
    assert not fetch(archive, f"{server.address}/", tmp_path / "data")
    assert len(server.ranges) == 1
    (tmp_path / "data/S/HR/a.png").unlink()
    assert fetch(archive, server.address, tmp_path / "data")
    assert (tmp_path / "data/S/HR/a.png").exists()


def test_malicious_archive_writes_nothing_and_is_no_fetched_set(
    server: Server, tmp_path: Path
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as evil:
        link = tarfile.TarInfo("HR")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        evil.addfile(link)
    archive = published(server, "s.tar", content.getvalue())
    with pytest.raises(CorenasError, match="is a link or a device"):
        fetch(archive, server.address, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".fetched"]
    with pytest.raises(CorenasError, match="is a link or a device"):
        fetch(archive, server.address, tmp_path / "data")


def test_folder_that_cannot_be_made_is_the_users_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be made"):
        fetch(Archive("s.zip", MD5), server.address, tmp_path / "file")


# the command


def test_command_fetches_all_archives_of_a_set(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archives = tuple(
        published(server, f"DIV2K_{part}_HR.zip", zipped({f"DIV2K_{part}_HR/1.png": b"x"}))
        for part in ("train", "valid")
    )
    monkeypatch.setitem(downloads.DATA_SETS, "div2k", DataSet("http://127.0.0.1:9", archives))
    arguments = ["data", "fetch", "div2k", "--to", str(tmp_path), "--from", server.address]
    assert cli.main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[:2] == [
        "DIV2K_train_HR.zip: fetched",
        "DIV2K_valid_HR.zip: fetched",
    ]
    assert captured.err == ""
    assert (tmp_path / "DIV2K_valid_HR/1.png").exists()
    assert cli.main(arguments) == 0
    assert "DIV2K_train_HR.zip: is there already" in capsys.readouterr().out


def test_command_refuses_a_mirror_with_other_content(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/benchmark.tar"] = b"something else"
    arguments = ["data", "fetch", "benchmark", "--to", str(tmp_path), "--from", server.address]
    assert cli.main(arguments) == 1
    err = capsys.readouterr().err
    assert f"error: {server.address}/benchmark.tar: wrong checksum: MD5" in err
    assert "not 4ace41d33c2384b97e6b320cd0afd6ba" in err
    assert err.count("\n") == 1


def test_command_offers_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "fetch", "div2", "--to", str(tmp_path / "d")]) == 2
    assert capsys.readouterr().err == "error: unknown data set 'div2'; did you mean 'div2k'?\n"
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("data_set", downloads.DATA_SETS.values())
def test_published_checksums_and_addresses_are_well_formed(data_set: DataSet) -> None:
    assert re.fullmatch(r"https?://[\w./]+/", data_set.address)
    for archive in data_set.archives:
        assert re.fullmatch(r"[0-9a-f]{32}", archive.md5)
        assert archive.name.endswith((".zip", ".tar"))
    assert len({archive.md5 for archive in data_set.archives}) == len(data_set.archives)
