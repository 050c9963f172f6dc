"""Serves the report of a run to browsers of this machine, made anew when its journal has grown."""

from __future__ import annotations

import hashlib
import mimetypes
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTP_PORT
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import define, field
from markupsafe import escape

from corenas.commands.output import say
from corenas.errors import CorenasError, InputError
from corenas.plugins.registry import Registry
from corenas.report.page import encode, make_page
from corenas.runs.identity import read_info
from corenas.runs.launch import failure_of, state_of

_HOST = "127.0.0.1"
_READ = ("journal.jsonl", "summary.json")

# A page of a long run takes seconds: never more than a tenth of the time goes into making it.
_LEAST_SECONDS = 1.0
_REST = 9.0

_SERVED = ("models", "images", "crops", "summary.json", "config.toml", "run.json", "journal.jsonl")

_WAITING = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>waiting</title>
<meta http-equiv="refresh" content="2"><p>{}</p></html>
"""


@define
class LivePage:
    """The report of a run that may be going on.

    ``version`` tells the state of the folder that the page was made of.
    """

    folder: Path
    registry: Registry
    version: str = ""
    _page: bytes = b""
    _due: float = 0.0
    _lock: threading.Lock = field(factory=threading.Lock)

    def current(self) -> tuple[str, bytes]:
        """Return version and page, made anew if the run went on and there was time enough since."""
        with self._lock:
            version = self._find_version()
            if version != self.version and time.monotonic() >= self._due:
                began = time.monotonic()
                self._page, self.version = self._make(version), version
                took = time.monotonic() - began
                self._due = time.monotonic() + max(_LEAST_SECONDS, _REST * took)
            return self.version, self._page

    def _find_version(self) -> str:
        found: list[object] = [state_of(self.folder), failure_of(self.folder)]
        for name in _READ:
            with suppress(OSError):
                status = (self.folder / name).stat()
                found += [name, status.st_size, status.st_mtime_ns]
        return hashlib.sha256(repr(found).encode()).hexdigest()[:16]

    def _make(self, version: str) -> bytes:
        try:
            page = make_page(
                self.folder,
                registry=self.registry,
                state=state_of(self.folder),
                live=version,
                failure=failure_of(self.folder),
            )
        except CorenasError as error:  # the run may have only begun, and will have more to show
            page = _WAITING.format(escape(str(error)))
        except Exception as error:  # a damaged folder must not end what may be repaired
            page = _WAITING.format(escape(f"{type(error).__name__}: {error}"))
        return encode(page)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        # Another site's page may have its own name lead to this address.
        if self.headers.get("Host", "") not in self.server.names:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        path = unquote(urlsplit(self.path).path, errors="surrogateescape").lstrip("/")
        if path == "version":
            self._send(self.server.page.current()[0].encode(), "text/plain")
        elif path in ("", "report.html"):
            self._send(self.server.page.current()[1], "text/html; charset=utf-8")
        else:
            self._send_file(path)

    def _send_file(self, name: str) -> None:
        """Send a file that a run leaves for its user, and no other one of the machine."""
        folder = self.server.page.folder.resolve()
        try:
            path = (folder / name).resolve()
            if path.relative_to(folder).parts[:1][0] not in _SERVED:
                raise FileNotFoundError(name)
            content = path.read_bytes()
        except (OSError, ValueError, IndexError):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        # A drawing is a document of its own when it is opened: nothing in it shall act.
        self._send(
            content, mimetypes.guess_type(path.name)[0] or "application/octet-stream", alone=True
        )

    def _send(self, content: bytes, kind: str, *, alone: bool = False) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        if alone:
            self.send_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        with suppress(ConnectionError):  # the browser has left
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of a request."""


def find_names(port: int) -> set[str]:
    """Return what browsers of this machine call a server, with its port unless it is HTTP's own."""
    names = {_HOST, "localhost"}
    return {f"{name}:{port}" for name in names} | (names if port == HTTP_PORT else set())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, page: LivePage) -> None:
        super().__init__((_HOST, port), _Handler)
        self.page = page
        self.names = find_names(self.server_port)


def make_server(folder: Path, *, port: int, registry: Registry) -> ThreadingHTTPServer:
    """Return a server of a run's report, which listens on the loopback interface alone.

    Raises:
        InputError: The port cannot be used.
        ResumeError: It is no run folder.
    """
    read_info(folder)
    try:
        return _Server(port, LivePage(folder, registry))
    except OSError as error:
        raise InputError(
            f"--port {port}: {error.strerror or error}; --port 0 takes a free one"
        ) from error


def serve(folder: Path, *, port: int, registry: Registry) -> None:
    """Serve until Ctrl-C."""
    with make_server(folder, port=port, registry=registry) as server:
        say(f"http://{_HOST}:{server.server_port}/ shows {folder}; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
