"""Answer requests of this machine alone; what the servers of the page and of votes share."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

ADDRESS = "127.0.0.1"
HTML, JSON = "text/html; charset=utf-8", "application/json"


class LocalHandler(BaseHTTPRequestHandler):
    """Handler that refuses requests made under another host's name (DNS rebinding), and logs nothing."""

    protocol_version = "HTTP/1.1"

    def refused(self) -> bool:
        """Return whether the request was refused, after answering it."""
        if self.headers.get("Host", "").rpartition(":")[0] in (ADDRESS, "localhost"):
            return False
        self.send_error(HTTPStatus.FORBIDDEN, "this server only answers requests from its own machine")
        return True

    def answer(
        self, content: bytes, kind: str, caching: str = "no-store", status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", caching)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal free of access logs."""
