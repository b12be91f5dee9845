"""How long a worker may take before it counts as hung."""

from __future__ import annotations

FIRST = 1800.0  # seconds for the first job of a kind: the base may have to be downloaded and loaded
LEAST = 120.0
TIMES = 10  # the longest job of its kind so far


class Limits:
    """The longest time that each kind of job took, and the limit that follows.

    Args:
        stated: Seconds of ``--lora-cluster-timeout``; None to derive them.
    """

    def __init__(self, stated: float | None) -> None:
        self._stated, self._longest = stated, dict[str, float]()

    def took(self, kind: str, seconds: float) -> None:
        self._longest[kind] = max(seconds, self._longest.get(kind, 0.0))

    def of(self, kind: str, fresh: bool) -> float:
        """Return the seconds for a job, on a worker that has done none yet if it is ``fresh``."""
        if self._stated is not None:
            return self._stated
        if fresh or kind not in self._longest:
            return FIRST
        return max(LEAST, TIMES * self._longest[kind])
