"""Serve the page on which people vote to this machine; each vote is on disk before it is confirmed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from lora_checks.core.errors import ConfigError, LoraChecksError
from lora_checks.record.votes import book
from lora_checks.record.votes.ballot import Ballot
from lora_checks.report.html import voting
from lora_checks.report.html.local import ADDRESS, HTML, JSON, LocalHandler

MOST = 4096  # bytes of a vote
PICTURES = "/pictures/"


class Handler(LocalHandler):
    """Handler of one ballot: its page, its pictures by token, and the votes of the rater who asks."""

    ballot: Ballot
    folder: Path
    files: Mapping[str, Path]
    page: bytes

    def do_GET(self) -> None:
        if self.refused():
            return
        path, _, query = self.path.partition("?")
        if path == "/":
            self.answer(self.page, HTML)
        elif path == "/votes":
            self._votes(parse_qs(query).get("rater", [""])[0])
        elif path.startswith(PICTURES):
            self._picture(path.removeprefix(PICTURES).removesuffix(".png"))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        if self.refused():
            return
        length = self.headers.get("Content-Length", "")
        if self.path != "/votes" or not length.isdecimal() or int(length) > MOST:
            self.close_connection = True  # the body stays unread
            self._error(HTTPStatus.BAD_REQUEST, "no vote")
            return
        body = self.rfile.read(int(length))
        # A form of another site can be sent without asking, but not as this type.
        if self.headers.get("Content-Type", "").partition(";")[0] != JSON:
            self._error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a vote is {JSON}")
            return
        self._keep(body)

    def _keep(self, body: bytes) -> None:
        try:
            book.append(book.checked(json.loads(body), self.ballot), self.folder)
        except (ConfigError, ValueError, RecursionError) as error:
            self._error(HTTPStatus.BAD_REQUEST, str(error))
        except LoraChecksError as error:
            self._error(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        else:
            self.answer(b"{}", JSON)

    def _votes(self, name: str) -> None:
        try:
            rater = book.rater_of(name)
            votes = [asdict(vote) for vote in book.of_rater(rater, self.folder, self.ballot)]
        except LoraChecksError as error:
            self._error(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self.answer(json.dumps({"rater": rater, "votes": votes}).encode(), JSON)

    def _picture(self, token: str) -> None:
        picture = next((one for one in self.ballot.pictures if one.token == token), None)
        try:
            content = voting.png(self.files[token], picture.sha256) if picture else None
        except LoraChecksError:  # whose words name the file, and so the LoRA
            self._error(HTTPStatus.GONE, "this picture is gone")
            return
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self.answer(content, "image/png", "private, max-age=3600")

    def _error(self, status: HTTPStatus, why: str) -> None:
        self.answer(json.dumps({"error": why}).encode(), JSON, status=status)


def serve(ballot: Ballot, folder: Path, files: Mapping[str, Path], port: int) -> ThreadingHTTPServer:
    """Return a server that listens but does not answer yet; ``port`` 0 picks a free one. Raises `OSError`."""
    values = {"ballot": ballot, "folder": folder, "files": files, "page": voting.served(ballot).encode()}
    return ThreadingHTTPServer((ADDRESS, port), type("Handler", (Handler,), values))
