"""Tell the time as records write it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the time in UTC to the second, in ISO format: "2026-11-29T21:45:46+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")
