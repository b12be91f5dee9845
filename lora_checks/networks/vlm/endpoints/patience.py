"""Decide when to send a request again: pauses that double, and whatever wait the server asks for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and how long in seconds, to wait for a server in trouble."""

    tries: int = 5
    tries_of_timeouts: int = 2  #: each of them has already waited for the whole timeout
    first: float = 1.0  #: the first pause; each further one is twice as long
    longest: float = 120.0  #: a server that asks for more is not waited for

    def pause(self, tries: int, timed_out: bool, asked: float | None) -> float | None:
        """Return the seconds until the next try, or None to give up.

        Args:
            tries: How often the request was sent.
            timed_out: Whether the last try got no answer in time.
            asked: The wait that the server asks for.
        """
        if tries >= (self.tries_of_timeouts if timed_out else self.tries):
            return None
        if asked is not None:
            return asked if asked <= self.longest else None
        # Random, so that requests which failed together do not come back together.
        return min(self.first * 2.0 ** (tries - 1), self.longest) * random.uniform(0.5, 1.0)


PATIENCE = Patience()


class Gate:
    """Hold back all threads while the server asks for a pause; let them go when the work is called off."""

    def __init__(self) -> None:
        self._until = 0.0
        self._off = threading.Event()

    def hold(self, seconds: float) -> None:
        self._until = max(self._until, time.monotonic() + seconds)

    def call_off(self) -> None:
        self._off.set()

    def passed(self, seconds: float = 0.0) -> bool:
        """Wait so long, and until the server's pause is over; return False if the work was called off."""
        end = time.monotonic() + seconds
        while (left := max(end, self._until) - time.monotonic()) > 0:
            if self._off.wait(left):
                return False
        return not self._off.is_set()


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, a number or a date; None without a usable one."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (when.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds == seconds else None
