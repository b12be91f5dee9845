"""Serve the page of a report folder to this machine, and update it while the run is going on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path

from lora_checks.core.errors import LoraChecksError, ReportError
from lora_checks.images.made import FILE
from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.report import html
from lora_checks.report.html import growing
from lora_checks.report.html.local import ADDRESS, HTML, JSON, LocalHandler
from lora_checks.report.html.prints import FOLDER, OURS
from lora_checks.report.html.template import environment

LEAST_SECONDS = 3.0  # between two renderings of the page
SHARE = 5  # rest this many times as long as a rendering takes
TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}


class Live:
    """The current page; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._text, self._version, self._rest_until = "", "", 0.0
        self._store: Path | None = None
        self._read = [directory / report.NAME, directory / journal.NAME]
        self._trouble = ""  # why there is no page although there is a report

    def version(self) -> str:
        """Return the version of the page that the next request would get."""
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
        """Render the page; return "" if there is no report yet."""
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
                raise ReportError(f"{file} is a link; only files of the folder itself are shown")

    def _stamp(self) -> str:
        """Hash the time and size of the page's source files."""
        made = [self._store / FILE] if self._store else []
        files = [*self._read, *made]
        known = [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files]
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


class Handler(LocalHandler):
    """Handler that serves the page, its state and its pictures, and nothing else from disk."""

    live: Live

    def do_GET(self) -> None:
        if self.refused():
            return
        path = self.path.partition("?")[0]
        if path in ("/", f"/{html.NAME}"):
            self.answer(self.live.page().encode(), HTML)
        elif path == "/state":
            self.answer(json.dumps({"version": self.live.version()}).encode(), JSON)
        else:
            self._picture(path.removeprefix(f"/{FOLDER}/"))

    def _picture(self, name: str) -> None:
        file = self.live.directory / FOLDER / name
        content = _own_bytes(file) if OURS.fullmatch(name) and file.suffix in TYPES else None
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.answer(content, TYPES[file.suffix], "max-age=31536000, immutable")


def _own_bytes(file: Path) -> bytes | None:
    """Read a regular file of the folder; return None for a link, which may point anywhere on disk.

    The open file is checked too, because its name may have been exchanged in between.
    """
    try:
        if file.parent.is_symlink():
            return None
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123
            return opened.read() if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else None
    except OSError:
        return None


def serve(directory: Path, port: int) -> ThreadingHTTPServer:
    """Return a server that listens but does not answer yet; ``port`` 0 picks a free one. Raises `OSError`."""
    handler = type("Handler", (Handler,), {"live": Live(directory)})
    return ThreadingHTTPServer((ADDRESS, port), handler)
