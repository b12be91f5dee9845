"""An S3 server in this process (moto's), and a proxy in front of it that fails as networks and servers do."""

from __future__ import annotations

import contextlib
import http.client
import logging
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

BUCKET = "bucket"
KEY, SECRET = "AKIATESTKEYOFNOBODY", "a-secret-that-nothing-may-print"
Fault = Callable[[str, str], str]  # method and path -> "", or what goes wrong with the request


class S3:
    """A server with one bucket."""

    def __init__(self, port: int) -> None:
        self.port, self.folders = port, 0
        self.name = uuid.uuid4().hex[:8]  # servers of one process share what they hold

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return what makes a process's S3 client find the server, or the proxy at ``port``."""
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def empty(self) -> str:
        """Return the URL of a store that nobody has used."""
        self.folders += 1
        return f"s3://{BUCKET}/{self.name}-{self.folders}"

    def url(self, monkeypatch: pytest.MonkeyPatch, port: int | None = None) -> str:
        """Return the URL of an empty store, and make this process's S3 client find it."""
        for name, value in self.environment(port).items():
            monkeypatch.setenv(name, value)
        return self.empty()


@contextlib.contextmanager
def serving() -> Iterator[S3]:
    """Run the server, on a free port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it says every request

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        port = server.get_host_and_port()[1]
        link = http.client.HTTPConnection("127.0.0.1", port)
        link.request("PUT", f"/{BUCKET}", headers={"Host": "s3.amazonaws.com"})
        assert link.getresponse().status == 200
        yield S3(port)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with serving() as server:
        yield server


class Proxy(ThreadingHTTPServer):
    """Passes requests on, or does what ``fault`` says.

    Faults: an HTTP status such as "500"; "503 after 0" with Retry-After; "torn", half of the reply; "lost",
    the request is done and the reply does not come; "cut", the line breaks before; "slow", a reply too late.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.fault: Fault = lambda _method, _path: ""
        self.seen = Counter[str]()  # requests by method
        self.faults = Counter[str]()
        self.slow = 1.0  # seconds

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of lines that the client cut."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _answer(self) -> None:
        self.server.seen[self.command] += 1
        body = self._body()
        fault = self.server.fault(self.command, self.path)
        self.server.faults[fault] += bool(fault)
        if fault == "cut":
            self._cut()
        elif fault[:3].isdigit():
            self._reply(int(fault[:3]), {"Retry-After": fault[10:]} if "after" in fault else {}, b"", 0)
        else:
            status, headers, content = self._asked(body)
            if fault == "slow":
                time.sleep(self.server.slow)
            if fault == "lost":
                self._cut()
            else:
                self._reply(status, headers, content, len(content) // 2 if fault == "torn" else len(content))

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _asked(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        link = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "expect")}
        link.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
        reply = link.getresponse()
        content = reply.read()
        kept = {k: v for k, v in reply.getheaders() if k.lower() not in ("connection", "transfer-encoding")}
        link.close()
        return reply.status, kept, content

    def _reply(self, status: int, headers: dict[str, str], content: bytes, sent: int) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
        if sent < len(content):
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    with Proxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def one_in(number: int, seed: int = 0) -> Fault:
    """Return a fault for one request of ``number``, of a kind drawn by a seeded generator."""
    drawn, lock = random.Random(seed), threading.Lock()
    kinds = ("500", "503 after 0", "torn", "lost", "cut")

    def fault(_method: str, _path: str) -> str:
        with lock:
            return drawn.choice(kinds) if drawn.randrange(number) == 0 else ""

    return fault


def first(times: int, what: str, method: str = "") -> Fault:
    """Return a fault for the first requests, of one method if it is named."""
    left = [times]

    def fault(asked: str, _path: str) -> str:
        if left[0] and method in ("", asked):
            left[0] -= 1
            return what
        return ""

    return fault
