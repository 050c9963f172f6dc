"""``corenas report`` and ``watch``: the page in a file, and served to this machine alone."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from corenas import cli
from corenas.commands._serving import find_names
from corenas.runs import journal
from corenas.values.trial import Event

from .parsing import Page


@pytest.fixture
def folder(digits_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_run, tmp_path / "run"))


@pytest.fixture
def server(folder: Path, serve: Callable[[Path], ThreadingHTTPServer]) -> ThreadingHTTPServer:
    return serve(folder)


def get(server: ThreadingHTTPServer, path: str, host: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_page_is_made_anew_when_the_journal_grew(
    server: ThreadingHTTPServer, folder: Path
) -> None:
    assert server.server_address[0] == "127.0.0.1"
    status, first = get(server, "/")
    page = Page(first.decode())
    (body,) = page.all("body")
    assert status == 200
    assert get(server, "/version") == (200, body["data-live"].encode())
    assert get(server, "/")[1] == first
    event = Event("epoch", 21, 20, {"loss": 0.5}, stage="train", message="another line")
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(journal.encode({"time": "2026-11-27T20:01:02.345+00:00", **event.to_json()}))
    assert get(server, "/version")[1] != body["data-live"].encode()
    assert "another line" in Page(get(server, "/")[1].decode()).text


def test_the_served_page_may_ask_its_own_server_alone(server: ThreadingHTTPServer) -> None:
    page = Page(get(server, "/")[1].decode())
    (policy,) = [e["content"] for e in page.all("meta") if "http-equiv" in e]
    assert policy.endswith("connect-src 'self'")
    assert policy.startswith("default-src 'none'")


def test_files_of_the_run_are_served_and_no_others(
    server: ThreadingHTTPServer, folder: Path
) -> None:
    model = (folder / "models" / "digits.safetensors").read_bytes()
    assert get(server, "/models/digits.safetensors") == (200, model)
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "models" / "link").symlink_to(folder.parent / "secret.txt")
    for path in (
        "/../secret.txt",
        "/models/../../secret.txt",
        "/models/%2e%2e/%2e%2e/secret.txt",
        "/%2Fetc/passwd",
        "//etc/passwd",
        "/models/link",
        "/models",
        "/checkpoints/created.fact.json",
        "/.lock",
        "/models/%00",
    ):
        assert get(server, path)[0] == 404, path


def test_a_name_that_another_site_lets_lead_here_is_refused(server: ThreadingHTTPServer) -> None:
    assert get(server, "/", f"evil.example:{server.server_port}")[0] == 403
    assert get(server, "/", f"localhost:{server.server_port}")[0] == 200


def test_the_port_of_http_stands_in_no_browsers_request() -> None:
    assert find_names(8377) == {"127.0.0.1:8377", "localhost:8377"}
    assert {"127.0.0.1", "localhost"} < find_names(80)


def test_a_run_without_an_event_is_waited_for(server: ThreadingHTTPServer, folder: Path) -> None:
    content = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(b"")
    status, waiting = get(server, "/")
    assert (status, b"has no event yet" in waiting) == (200, True)
    (folder / "journal.jsonl").write_bytes(content)
    assert b"The network found" in get(server, "/")[1]


def test_the_command_serves_until_it_is_interrupted(folder: Path) -> None:
    command = [sys.executable, "-m", "corenas.cli", "watch", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = int(line.split(":")[2].split("/")[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/version")
            assert connection.getresponse().status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()  # or one that serves on would be waited for


def test_commands_say_what_is_wrong(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"report: {folder / 'report.html'}\n"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["watch", str(folder), "--port", str(port)]) == 2
    assert f"error: --port {port}: " in capsys.readouterr().err
    for command in ("report", "watch"):
        assert cli.main([command, str(tmp_path / "nothing")]) != 0
        assert "not a run folder" in capsys.readouterr().err
    (folder / "journal.jsonl").unlink()
    assert cli.main(["report", str(folder)]) == 2
    assert "journal.jsonl: is missing" in capsys.readouterr().err
