"""A Hugging Face hub on this machine, for the real client: its repositories are folders."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(repositories: Mapping[str, Path], files: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """Yield the hub's address. ``files``: further paths, as of another server."""

    class Hub(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(*self._found())

        def do_HEAD(self) -> None:
            self._answer(*self._found(), body=False)

        def _found(self) -> tuple[int, bytes, dict[str, str]]:
            path = unquote(urlsplit(self.path).path).strip("/")
            if path in (files or {}):
                return 200, (files or {})[path], {}
            for name, folder in repositories.items():
                if path.startswith(f"api/models/{name}"):
                    told = _tree(folder) if f"{name}/tree/" in path else _info(name, folder)
                    return 200, json.dumps(told).encode(), {"Content-Type": "application/json"}
                if path.startswith(f"{name}/resolve/"):
                    file = folder / path.removeprefix(f"{name}/resolve/").partition("/")[2]
                    if file.is_file():
                        headers = {"ETag": f'"{_digest(file)}"', "X-Repo-Commit": COMMIT}
                        return 200, file.read_bytes(), headers
            return 404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}

        def _answer(self, status: int, content: bytes, headers: dict[str, str], body: bool = True) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _files(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _tree(folder: Path) -> list[dict[str, object]]:
    return [
        {"type": "file", "path": name, "size": path.stat().st_size, "oid": _digest(path)}
        for name, path in _files(folder).items()
    ]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _info(name: str, folder: Path) -> dict[str, object]:
    siblings = [{"rfilename": name, "size": path.stat().st_size} for name, path in _files(folder).items()]
    return {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "gated": False, "tags": []}
