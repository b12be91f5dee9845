"""Vision models behind real HTTP servers on this machine, of any temper, and pictures to ask them about."""

from __future__ import annotations

import base64
import http.server
import io
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.vlm.endpoints.chat import Chat
from lora_checks.networks.vlm.endpoints.client import Client
from lora_checks.networks.vlm.endpoints.decisions import Decisions
from lora_checks.networks.vlm.endpoints.patience import Patience
from lora_checks.networks.vlm.endpoints.systemone import SystemOne
from lora_checks.networks.vlm.systemone import NAME

QUICK = Patience(tries=3, first=0.001, longest=0.5)
CLIENTS: Mapping[str, type[Client]] = {"systemone": SystemOne, "decisions": Decisions, "chat": Chat}
HTML = b"<!doctype html><title>Sign in</title>"


@dataclass(frozen=True)
class Asked:
    """One request as the server got it."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def images(self) -> list[bytes]:
        """The pictures that the model gets to see: of ``assets`` those whose name stands in the state."""
        body = self.body
        if "messages" in body:
            return _of_parts(body["messages"][0]["content"])
        if "input" in body:
            return _of_parts(body["input"][0]["content"])
        if "images" in body:
            return list(map(_of_url, body["images"]))
        if isinstance(body["state"], list):
            return _of_parts(body["state"])
        assets = sorted(body["assets"].items(), key=lambda item: body["state"].find(item[0]))
        return [base64.b64decode(asset["data_base64"]) for name, asset in assets if name in body["state"]]

    @property
    def text(self) -> str:
        """The question, without the instruction that chat adds."""
        body = self.body
        if "messages" in body:
            return str(body["messages"][0]["content"][-1]["text"]).removesuffix("\nAnswer Yes or No only.")
        questions = body["questions"]
        return str((questions[0] if isinstance(questions, list) else questions[NAME])["instructions"])

    @property
    def pixels(self) -> list[Any]:
        """The pictures, each (H, W, 3) in [0, 255]."""
        return [np.asarray(Image.open(io.BytesIO(image)), np.float64) for image in self.images]


Answer = tuple[int, "bytes | dict[str, Any]"] | tuple[int, "bytes | dict[str, Any]", Mapping[str, str]]


class Dead(Exception):
    """Raised by an answer: the server closes the connection without a word."""


@dataclass
class Server:
    address: str
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0  #: most requests that were under way together
    stop: Callable[[], None] = lambda: None


@contextmanager
def serving(answer: Callable[[Asked], Answer]) -> Iterator[Server]:
    """Yield a server that answers every POST so."""
    lock, running, closed = threading.Lock(), [0], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(OSError):  # the client has hung up
                super().handle()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if closed.is_set() or len(content) < int(self.headers["Content-Length"]):
                return self._hang_up()
            asked = Asked(self.path, dict(self.headers.items()), json.loads(content))
            with lock:
                server.asked.append(asked)
                running[0] += 1
                server.at_once = max(server.at_once, running[0])
            try:
                status, body, *headers = answer(asked)
            except Dead:
                return self._hang_up()
            finally:
                with lock:
                    running[0] -= 1
            return self._send(status, body, headers[0] if headers else {})

        def _hang_up(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _send(self, status: int, body: bytes | dict[str, Any], headers: Mapping[str, str]) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:  # the client has hung up
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    inner = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inner.daemon_threads = True
    server = Server(f"http://127.0.0.1:{inner.server_address[1]}")
    threading.Thread(target=inner.serve_forever, args=(0.01,), daemon=True).start()

    def stop() -> None:
        if not closed.is_set():
            closed.set()
            inner.shutdown()
            inner.server_close()

    server.stop = stop
    try:
        yield server
    finally:
        stop()


def client(server: Server, api: str = "systemone", patience: Patience = QUICK, **settings: Any) -> Client:
    """Return a client of that server, as a policy would set it up."""
    return CLIENTS[api](
        {"api": api, "model": "small", "endpoint": server.address, **settings}, "cpu", patience
    )


def ask(judge: Client, requests: Sequence[Request]) -> list[Reply]:
    """Return the replies, and check that `done` was told each of them once."""
    told: dict[int, Reply] = {}
    replies = judge.ask(requests, lambda index, reply: _once(told, index, reply))
    assert told == dict(enumerate(replies))
    return replies


def _once(told: dict[int, Reply], index: int, reply: Reply) -> None:
    assert index not in told
    told[index] = reply


def yes_no(*images: bytes, text: str = "Is a person in the picture?") -> Request:
    return Request("predicate", text, ("yes", "no"), images or (png(),))


def said(asked: Asked, *probabilities: float) -> Answer:
    """Return a good answer in the form of the API that was asked; for yes or no, P(yes) is enough."""
    if asked.path.endswith("/chat/completions"):
        names = ["Yes", "No"] if len(probabilities) == 1 else "ABCDEFGHIJ"
        pair = (*probabilities, 1 - probabilities[0]) if len(probabilities) == 1 else probabilities
        return 200, chat_answer(dict(zip(names, pair, strict=False)))
    question = asked.body["questions"]
    if isinstance(question, dict):
        return 200, {
            "model": "small",
            "answers": {NAME: _systemone(question[NAME], probabilities)},
            "usage": {"input_tokens": 40, "output_tokens": 0},
        }
    return 200, {
        "model": "small",
        "answers": [_decision(question[0], probabilities)],
        "usage": {
            "input_tokens": 40,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 40,
        },
    }


def chat_answer(tokens: Mapping[str, float], **choice: Any) -> dict[str, Any]:
    """Return a chat completion whose first token has these probabilities."""
    top = [
        {"token": token, "logprob": math.log(p) if p else -9999.0, "bytes": None}
        for token, p in tokens.items()
    ]
    content = [{**top[0], "top_logprobs": top}]
    return {
        "id": "1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": top[0]["token"]},
                "finish_reason": "length",
                "logprobs": {"content": content},
            }
            | choice
        ],
        "usage": {"prompt_tokens": 39, "completion_tokens": 1, "total_tokens": 40},
    }


def _systemone(question: Mapping[str, Any], probabilities: Sequence[float]) -> dict[str, Any]:
    kind, criteria = question["type"], question.get("criteria")
    if kind == "noul":
        return {"type": kind, "noul": probabilities[0]}
    names = list(criteria) if kind == "choice" else list(map(str, range(len(criteria))))
    best = _best(probabilities)
    more = {"choice": names[best]} if kind == "choice" else {"score": float(best), "legend": {}}
    found = dict(zip(names, probabilities, strict=True))
    return {"type": kind, "probabilities": found, "confidence": 0.5, **more}


def _decision(question: Mapping[str, Any], probabilities: Sequence[float]) -> dict[str, Any]:
    kind, name = question["type"], question["name"]
    if kind == "predicate":
        return {"type": kind, "name": name, "probability": probabilities[0]}
    if kind == "choice":
        named = [{"value": one["value"]} for one in question["choices"]]
    else:
        named = [{"value": i, "label": one["label"]} for i, one in enumerate(question["levels"])]
    both = zip(named, probabilities, strict=True)
    best = _best(probabilities)
    more = {"choice": named[best]["value"]} if kind == "choice" else {"score": float(best)}
    found = [{**one, "probability": p} for one, p in both]
    return {"type": kind, "name": name, "probabilities": found, "confidence": 0.5, **more}


def _best(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _of_parts(parts: Sequence[Any]) -> list[bytes]:
    urls = []
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "image_url":
            urls.append(part["image_url"]["url"])
        elif isinstance(part, dict) and part.get("type") == "input_image":
            urls.append(part["image_url"])
    return list(map(_of_url, urls))


def _of_url(url: str) -> bytes:
    head, _, content = url.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(content)


def png(colour: tuple[int, int, int] = (90, 120, 150), size: int = 16) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, "PNG")
    return file.getvalue()


def redness(image: bytes) -> float:
    """Return how red a picture is, in [0, 1]: what a judge that looks would say."""
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), float)
    red, _, blue = pixels.mean((0, 1)) / 255
    return float(np.clip(0.5 + (red - blue) / 2, 0.01, 0.99))
