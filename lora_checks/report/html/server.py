"""The page of a report folder, made anew when its run goes on; for this machine only."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lora_checks.core.errors import LoraChecksError, ReportError
from lora_checks.images.made import FILE
from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.report import html
from lora_checks.report.html import growing
from lora_checks.report.html.prints import FOLDER, OURS
from lora_checks.report.html.template import environment

ADDRESS = "127.0.0.1"
LEAST_SECONDS = 3.0  # between two makings of the page
SHARE = 5  # at most one part in so many of the time is spent on making it
TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}


class Live:
    """The page as it is now. Safe to ask from several threads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._text, self._version, self._rest_until = "", "", 0.0
        self._store: Path | None = None
        self._read = [directory / report.NAME, directory / journal.NAME]
        self._trouble = ""  # why there is no page, where that is not for want of a report

    def version(self) -> str:
        """Of the page that the next request would get; it changes when there is something new to show."""
        with self._lock:
            return self._version if time.monotonic() < self._rest_until else self._stamp()

    def page(self) -> str:
        with self._lock:
            stamp = self._stamp()
            if stamp != self._version and time.monotonic() >= self._rest_until:
                began = time.monotonic()
                self._text = self._make(stamp)
                self._version = stamp if self._text else ""
                spent = time.monotonic() - began
                self._rest_until = time.monotonic() + max(LEAST_SECONDS, SHARE * spent)
            return self._text or environment().get_template("waiting.html.j2").render(
                folder=str(self.directory), trouble=self._trouble
            )

    def _make(self, stamp: str) -> str:
        """ "" where there is no report yet."""
        try:
            self._refuse_links()
            document = report.read(self.directory)
        except LoraChecksError as error:
            self._trouble = str(error) if any(map(Path.exists, self._read)) else ""
            return ""
        store = document["run"].get("store")
        self._store = Path(store) if store else None
        document = growing.grown(document)
        going = "" if growing.finished(document) else f"Running: {growing.words(document)}. "
        live = {"version": stamp, "words": f"{going}This page follows the folder."}
        return html.html(document, self.directory, live)

    def _refuse_links(self) -> None:
        for file in self._read:
            if file.is_symlink():
                raise ReportError(f"{file} is a link; only what lies in the folder itself is shown")

    def _stamp(self) -> str:
        """Of what the page is made of, by time and size."""
        made = [self._store / FILE] if self._store else []
        files = [*self._read, *made]
        known = [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files]
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


class Handler(BaseHTTPRequestHandler):
    """The page, its state, and the pictures beside it: nothing else of the disk."""

    live: Live
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in (ADDRESS, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, "this server answers to its own machine")
            return
        path = self.path.partition("?")[0]
        if path in ("/", f"/{html.NAME}"):
            self._answer(self.live.page().encode(), "text/html; charset=utf-8")
        elif path == "/state":
            self._answer(json.dumps({"version": self.live.version()}).encode(), "application/json")
        else:
            self._picture(path.removeprefix(f"/{FOLDER}/"))

    def _picture(self, name: str) -> None:
        file = self.live.directory / FOLDER / name
        content = _own_bytes(file) if OURS.fullmatch(name) and file.suffix in TYPES else None
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._answer(content, TYPES[file.suffix], "max-age=31536000, immutable")

    def _answer(self, content: bytes, kind: str, caching: str = "no-store") -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", caching)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal belongs to whoever started it."""


def _own_bytes(file: Path) -> bytes | None:
    """What lies in the folder itself; None for a link, which may lead to anything on this disk.

    The open file is looked at as well, because its name may lead elsewhere by then.
    """
    try:
        if file.parent.is_symlink():
            return None
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123
            return opened.read() if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else None
    except OSError:
        return None


def serve(directory: Path, port: int) -> ThreadingHTTPServer:
    """A server that listens and does not yet answer; ``port`` 0 takes a free one. Raises `OSError`."""
    handler = type("Handler", (Handler,), {"live": Live(directory)})
    return ThreadingHTTPServer((ADDRESS, port), handler)
