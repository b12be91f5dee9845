"""Ray: start it on this machine or connect to it, and run the workers there. No other module imports it."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import ConfigError, PrerequisiteError, first_line

CONNECT_SECONDS = 10.0
LOCAL, AUTO = "local", "auto"
STORE_BYTES = 128 << 20  # of Ray's own memory here: images go through our store
# Of a Ray that is started here: it reports to nobody, and only this machine can connect, with a token.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on 127.0.0.1 only
    "RAY_AUTH_MODE": "token",
}
OURS = (*ENVIRONMENT, "RAY_AUTH_TOKEN")  # variables that a run may set
NO_SPACES = re.compile(r"(ray://)?[^\s/]+:[0-9]+")


@dataclass(frozen=True)
class Share:
    """What one worker gets of its node."""

    cpus: float
    gpus: float


def check_address(address: str) -> None:
    """Raise `ConfigError` for what names no cluster."""
    if address not in (LOCAL, AUTO) and not NO_SPACES.fullmatch(address):
        raise ConfigError(
            f"--lora-cluster: '{address}' names no cluster; use auto, local, HOST:PORT or ray://HOST:PORT"
        )


class Ray:
    """A connection to a cluster of Ray, by its Python package."""

    def __init__(self, address: str) -> None:
        """Connect, or start a cluster on this machine for ``local``.

        Raises:
            PrerequisiteError: The package is missing, or there is no such cluster.
            ConfigError: This process is connected to another cluster.
        """
        check_address(address)
        self._before = {name: os.environ.get(name) for name in OURS}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address == LOCAL:
            os.environ.update(ENVIRONMENT)
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray keeps one at home
        try:
            import ray
        except ModuleNotFoundError as error:
            raise PrerequisiteError(
                "--lora-cluster needs the package ray: pip install 'lora-checks[ray]'"
            ) from error
        _refuse_silence(address)
        self._ray: Any = ray
        self.address = address
        if ray.is_initialized():
            raise ConfigError("--lora-cluster: this process is connected to a Ray cluster already")
        try:
            self._connect(_arguments(address))
        except Exception as error:
            raise PrerequisiteError(
                f"--lora-cluster {address}: cannot connect: {first_line(error)}; start Ray there, or use "
                "`local` for this machine alone"
            ) from error

    def _connect(self, arguments: Mapping[str, Any], tries: int = 3) -> None:
        """Connect. Ray Client's server starts a process for each client, which does not always succeed."""
        try:
            self._ray.init(**arguments)
        except ConnectionAbortedError:
            self._ray.shutdown()
            if tries == 1:
                raise
            self._connect(arguments, tries - 1)

    def resources(self) -> tuple[list[dict[str, float]], float]:
        """Return what each living node has, and the number of GPUs of all."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return nodes, sum(node.get("GPU", 0.0) for node in nodes)

    def start(self, worker: type, share: Share, setup: object) -> Any:
        """Start a worker where there is room for it; it is not restarted by Ray."""
        actor = self._ray.remote(worker)
        options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_restarts": 0, "max_task_retries": 0}
        return actor.options(**options).remote(setup)

    def ready(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Wait until one of the calls has ended, at most so long; return those that have."""
        done, _ = self._ray.wait(list(calls), num_returns=1, timeout=seconds, fetch_local=False)
        return list(done)

    def result(self, call: Any) -> Any:
        """Return what an ended call returned. Raises an exception of Ray's if the worker is gone."""
        return self._ray.get(call)

    def put(self, value: object) -> Any:
        """Hand a value to the cluster once, for many calls."""
        return self._ray.put(value)

    def kill(self, actor: Any) -> None:
        """End a worker at once, whether it answers or not."""
        with suppress(Exception):
            self._ray.kill(actor, no_restart=True)

    def close(self) -> None:
        """Disconnect; a cluster that was started here ends."""
        self._ray.shutdown()
        for name, value in self._before.items():  # the next cluster of this process has another token
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def fetched(value: Any) -> bytes:
    """Return, in a worker, what `Ray.put` was given."""
    import ray

    content: bytes = ray.get(value)
    return content


def cause(error: BaseException) -> str:
    """Return in one line why a worker is gone, from Ray's long text."""
    text = " ".join(str(error).split())
    _, found, why = text.partition("The actor is dead because ")
    why = why.split(" Some common causes")[0] if found else first_line(error)
    why = why.replace("Worker exit detail: ", "").replace("Worker exit type: ", "")
    return why if len(why) <= 200 else f"{why[:200].rstrip()} ..."


def _refuse_silence(address: str) -> None:
    """Raise `PrerequisiteError` if nobody listens at HOST:PORT: Ray itself would try for many minutes."""
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS", "")
    if not NO_SPACES.fullmatch(address):
        return  # started here, or found by Ray on this machine
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise PrerequisiteError(
            f"--lora-cluster {address}: nothing answers there ({first_line(error)}); start Ray there, or use "
            "`local` for this machine alone"
        ) from error


def _arguments(address: str) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        return quiet | {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
            "configure_logging": False,
        }
    return quiet | {"address": address}
