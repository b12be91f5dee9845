"""Read from the policy where a vision model is served, with whose key, and how fast."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lora_checks.core.errors import ConfigError
from lora_checks.networks.weights import check_keys, number

KIND = "judge"  # the kind of network in messages
SETTINGS = frozenset({"api", "model", "revision", "endpoint", "key_env", "timeout", "concurrency", "extra"})
TIMEOUT = 120.0  # seconds for one answer; a large model on a busy server takes long over its first
CONCURRENCY = 4
ROUTES = ("/systemone", "/decisions", "/chat/completions")  # gateways answer one API at another's name
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = frozenset(
    {"model", "messages", "input", "state", "questions", "assets", "images", "logprobs", "stream"}
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is, and what the policy allows. It names the key's variable and never holds the key."""

    url: str  #: of the route, such as "http://127.0.0.1:8000/v1/systemone"
    host: str  #: with its port, for messages
    on_this_machine: bool
    model: str
    revision: str
    key_env: str  #: "" sends no key
    timeout: float  #: seconds
    concurrency: int
    extra: Mapping[str, Any]  #: further keys of each request's body


def endpoint_of(settings: Mapping[str, Any], route: str, known: Collection[str] = ()) -> Endpoint:
    """Return the endpoint that a policy's network describes.

    Args:
        settings: What the policy says about the network.
        route: Path of the API below the server's ``/v1``, such as "systemone".
        known: Settings of this API alone.

    Raises:
        ConfigError: A setting is unknown, missing or not usable.
    """
    check_keys(KIND, settings, SETTINGS | set(known))
    parts = _address(_text(settings, "endpoint", "the server's address, such as http://127.0.0.1:8000/v1"))
    key_env = settings.get("key_env", "")
    if key_env and not (isinstance(key_env, str) and _VARIABLE.fullmatch(key_env)):
        raise _error("key_env", "must be the name of an environment variable, never the key itself")
    if key_env and parts.scheme == "http" and not _is_near(parts.hostname or ""):
        raise _error("endpoint", f"{parts.netloc} would get the key unencrypted; use https")
    return Endpoint(
        url=_url(parts, route),
        host=parts.netloc,
        on_this_machine=_is_loopback(parts.hostname or ""),
        model=_text(settings, "model", "the name by which the server knows the model"),
        revision=str(settings.get("revision", "")),
        key_env=key_env,
        timeout=number(KIND, settings, "timeout", TIMEOUT, 0.1, 3600),
        concurrency=int(number(KIND, settings, "concurrency", CONCURRENCY, 1, 256)),
        extra=_extra(settings),
    )


def _text(settings: Mapping[str, Any], key: str, what: str) -> str:
    value = settings.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _error(key, f"is not given; name {what}" if value is None else f"must be {what}, not {value!r}")
    return value.strip()


def _address(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise _error("endpoint", f"{text!r} is not an address such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        # Not quoted: what stands there is likely to be a key.
        raise _error("endpoint", "must hold no name, password or query; put the key into key_env's variable")
    return parts


def _url(parts: SplitResult, route: str) -> str:
    """Return the address of the route: the policy gives it, its ``/v1``, or the server alone."""
    path = parts.path.rstrip("/")
    if not path:
        path = "/v1"
    if not path.endswith(ROUTES):
        path = f"{path}/{route}"
    return parts._replace(path=path).geturl()


def _extra(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = settings.get("extra", {})
    if not isinstance(extra, Mapping):
        raise _error("extra", f"must be a mapping, not {extra!r}")
    if taken := sorted(_OWN & extra.keys()):
        raise _error("extra", f"cannot set {', '.join(taken)}, which the question itself decides")
    try:
        json.dumps(extra, allow_nan=False)
    except (TypeError, ValueError):
        raise _error("extra", "must be what JSON can hold") from None
    return extra


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_near(host: str) -> bool:
    """Return whether a host is on this machine or in its own network, where TLS is rare."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal"))


def _error(key: str, problem: str) -> ConfigError:
    return ConfigError(f"networks: {KIND}: {key}: {problem}")
