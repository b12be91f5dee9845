"""Run a server on this machine until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from http.server import HTTPServer

from lora_checks.core.errors import ConfigError


def until_stopped(start: Callable[[int], HTTPServer], port: int, stop: str) -> None:
    """Start a server, print its address, and answer requests until Ctrl-C.

    Args:
        start: Starts the server on a port, without answering yet.
        port: The port to listen on; 0 picks a free one.
        stop: What to say in brackets behind the address.

    Raises:
        ConfigError: The port cannot be listened on.
    """
    try:
        listening = start(port)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--port {port}: cannot listen on it ({error}); choose another port, or 0 for a free one"
        ) from error
    host, number = listening.server_address[:2]
    try:
        print(f"http://{host!s}:{number}/  ({stop})", flush=True)
        listening.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        listening.server_close()
