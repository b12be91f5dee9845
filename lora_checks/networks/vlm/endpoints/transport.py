"""Send one request to the named endpoint and nowhere else, and sort what can go wrong."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from lora_checks.core.errors import LONGEST, PrerequisiteError
from lora_checks.networks.vlm.endpoints.endpoint import Endpoint
from lora_checks.networks.vlm.endpoints.patience import asked_wait

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
LARGEST = 4 << 20  # bytes of an answer; probabilities take a few hundred
_AGAIN = frozenset({408, 409, 425, 429})  # and every 5xx
_WRONG_PLACE = frozenset({404, 405, 410})
_REFUSED_CODES = frozenset(
    {"content_filter", "content_policy_violation"}
)  # HTTP 400 with OpenAI's and Azure's code
_NO_MONEY_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class Fault(Exception):
    """The server did not answer; sending it again may help."""

    def __init__(self, why: str, timed_out: bool = False, wait: float | None = None) -> None:
        super().__init__(why)
        self.timed_out, self.wait = timed_out, wait


class Declined(Exception):
    """The server does not take this request, or its answer is of no use; sending it again changes nothing."""


class Refused(Exception):
    """The model will not answer this question about this picture."""


class Transport:
    """A pool of connections to one endpoint. The key is read from the environment for each request."""

    def __init__(self, endpoint: Endpoint) -> None:
        import httpx2

        self._endpoint = endpoint
        self._client = httpx2.Client(
            verify=_trusted(),
            follow_redirects=False,  # another host must get neither pictures nor key
            trust_env=not endpoint.on_this_machine,  # a proxy cannot reach this machine's own ports
            timeout=httpx2.Timeout(
                endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout), pool=None
            ),
            limits=httpx2.Limits(max_connections=endpoint.concurrency),
        )

    def close(self) -> None:
        self._client.close()

    def post(self, body: bytes) -> bytes:
        """Return the JSON that the endpoint answers with.

        Raises:
            Fault: It does not answer, or is in trouble.
            Declined: It does not take this request.
            Refused: A filter of its own stands before the model.
            PrerequisiteError: It will take none: wrong address, wrong key, no credit.
        """
        import httpx2

        key = _key(self._endpoint.key_env)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        headers |= {"TypeSafe-Danger-Zone-Images": "true"}  # TypeSafe reads no pictures without it
        try:
            with self._client.stream("POST", self._endpoint.url, content=body, headers=headers) as response:
                content = self._content(response)
        except httpx2.TimeoutException:
            raise self._late() from None
        except httpx2.HTTPError as error:
            raise Fault(f"{self._endpoint.host} cannot be reached: {_brief(error, key)}") from None
        except RuntimeError as error:  # the client was closed while this thread waited
            raise Fault(_brief(error, key)) from None
        _sort(self._endpoint, response, content, key)
        return content

    def _content(self, response: httpx2.Response) -> bytes:
        """Return the body. A time limit for each read does not stop a server that sends a byte a minute."""
        end = time.monotonic() + self._endpoint.timeout
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > LARGEST:
                raise Declined(f"the answer is larger than {LARGEST >> 20} MiB")
            if time.monotonic() > end:
                raise self._late()
        return bytes(content)

    def _late(self) -> Fault:
        return Fault(f"no answer within {self._endpoint.timeout:g} s", timed_out=True)


@cache
def _trusted() -> ssl.SSLContext:
    """Return the certificates that are trusted, which takes a tenth of a second to read."""
    import httpx2

    return httpx2.create_ssl_context()


def _key(variable: str) -> str:
    """Return the key; "" if the policy names none. No message quotes it."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise PrerequisiteError(f"networks: judge: the environment variable {variable} holds no key; set it")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise PrerequisiteError(
            f"networks: judge: what the environment variable {variable} holds is no key: it has spaces, line "
            "ends or letters that no header can carry"
        )
    return key


def _sort(endpoint: Endpoint, response: httpx2.Response, content: bytes, key: str) -> None:
    """Raise what an answer other than JSON with HTTP 200 means."""
    status = response.status_code
    if status == 200:
        if not _is_json(content):
            what = (
                "an HTML page, of a proxy or a login?" if _is_html(content) else "something that is not JSON"
            )
            raise Declined(f"{endpoint.url} answers with {what}")
        return
    code, message = _complaint(content, key)
    said = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    if response.is_redirect:
        target = _scrubbed(response.headers.get("location", ""), key)
        raise _stop(f"{endpoint.url} redirects to {target}; if that is right, name it as the endpoint")
    if status in (401, 403):
        raise _stop(_about_key(endpoint, said))
    if status == 402 or code in _NO_MONEY_CODES:
        raise _stop(f"{endpoint.host} asks for money first ({said})")
    if status in _WRONG_PLACE:
        raise _stop(f"{endpoint.url} is not there ({said}); check endpoint, model and api in the policy")
    if status in _AGAIN or status >= 500:
        raise Fault(f"{endpoint.host} is in trouble ({said})", wait=asked_wait(response.headers))
    if code in _REFUSED_CODES:
        raise Refused(f"refused ({said})")
    raise Declined(f"{endpoint.host} does not take the question ({said})")


def _stop(why: str) -> PrerequisiteError:
    return PrerequisiteError(f"networks: judge: {why}")


def _about_key(endpoint: Endpoint, said: str) -> str:
    if endpoint.key_env:
        return f"{endpoint.host} does not accept the key in {endpoint.key_env} ({said})"
    return f"{endpoint.host} wants a key ({said}); key_env names the environment variable that holds it"


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _is_html(content: bytes) -> bool:
    return content.lstrip()[:1] == b"<"


def _complaint(content: bytes, key: str) -> tuple[str, str]:
    """Return the code and the message of an error: OpenAI's {"error": {...}} or FastAPI's {"detail": ...}."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return "", "" if _is_html(content) else _brief(content[:LONGEST].decode(errors="replace"), key)
    while isinstance(value, dict | list):
        if isinstance(value, list):
            value = value[0] if value else ""
            continue
        inner = next((value[name] for name in ("error", "detail", "message", "msg") if value.get(name)), "")
        if not isinstance(inner, dict | list):
            return str(value.get("code") or value.get("type") or ""), _brief(inner, key)
        value = inner
    return "", _brief(value, key)


def _brief(text: Any, key: str) -> str:
    """Return the text as a short part of a sentence, without the key."""
    line = " ".join(_scrubbed(str(text), key).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()} ..."


def _scrubbed(text: str, key: str) -> str:
    """Return the text without the key, and without what looks like one: services quote parts of it."""
    if key:
        text = text.replace(key, "***")
    return re.sub(r"\b(sk|pk|key|hf|gsk|xai)[-_][\w*.-]{6,}", "***", text)
